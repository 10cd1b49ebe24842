"""Prefect: the server there is or one for the run (`server`, `server_process`), and `artifacts`."""
