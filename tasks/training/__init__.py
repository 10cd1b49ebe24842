"""A laboratory: how the networks were trained.

Nothing of a render imports it. `loop` is what all programs share; `shots` draws endless shots with
exact truth (docs/generator.md); `upscaling` and `inbetween` are the two families. In: a seed, time.
Out: weights for the shelf.
"""
