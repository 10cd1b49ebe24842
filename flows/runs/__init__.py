"""Runs on record, from their beginning.

`record` keeps a run, `state` and `status` say how it stands, `result` how it ended, `outcome` what
that means (exit code, words, who is told), `failure` why a shot failed, `job` makes one job of a
key, `night` and `nights` keep nights, `find` and `wait` are for who asks. In: events of a
render. Out: documents in the store that outlive it.
"""
