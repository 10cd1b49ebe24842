"""Telling people and programs that a run ended.

`events` words what happened (pure), `targets` reads whom to tell, `send` tells all of them side by
side in bounded time by `webhook` and `mail`; `on_exit` does it around a render; `annotations` are
for CI. In: a result or a night. Out: who was told, and notes where that failed.
"""
