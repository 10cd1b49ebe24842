"""Prefect's API for a run, and what its page shows.

`api` asks the server that is configured, `server` gives that, or one of our own (`embedded`, its
`server_process`) while any render needs it; `show` shows a run there, with `artifacts`: shot table,
contact sheet, film. In: settings, a plan. Out: an API address for the length of a `with`.
"""
