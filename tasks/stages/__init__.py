"""The verbs: each turns a shot's frames into frames.

`stage` is the contract, `registry` the one table; adding one is a file, a line and an example
(docs/adding-a-stage.md). In: a window of codes, a track. Out: codes, the same for any chunk size.
Stages never import one another.
"""
