"""Prefect's API for a run, and what its page shows.

`api` asks the server that is configured, `server` holds one of our own (`server_process`) while any
render needs it; `artifacts` are the shot table, the contact sheet and the film. In: settings, a
plan. Out: an API address for the length of a `with`.
"""
