"""What the farm did over a time: cost, reuse, idleness, slow stages, retakes, failures.

`facts` reads the store, `compute` makes `figures` of them (pure), `page` draws them, `make` is all
of it. In: a store, a period. Out: figures, and one page.
"""
