"""The other commands, a file for each.

`options` are those that several share, `tables` what people see. In: what was typed. Out: a
document on stdout (`--json`, described by `schemas`) or a table of it, and an exit code.
"""
