"""The verbs: each stage turns frames of one shot into frames, the same for any chunk size.

`stage` is the contract, `registry` the one table; adding one is a file, a line and an example
(docs/adding-a-stage.md). Stages never import one another.
"""
