"""Networks, and what runs them.

A folder per network: its net, its card, its weights; `shelf` knows them all, `user` those that
users bring. `choose` picks for a scale, `load` and `morph` open one, `enlarge` with `tiles` runs it
by an `engine` on a `device`. In: frames in 0..1. Out: frames; weights and engine are in the key.
"""
