"""A night of episodes before a deadline.

Pure: `spec` (nightly.yaml), `clock`, `choose` (who goes), `compare` (thresholds). The edge: `run`
and `render_night`, `candidates`, `collect`; `flow` and `deploy` for Prefect. In: nightly.yaml. Out:
films, a `Night` in the store, one exit code.
"""
