"""Colour on drawings and grey frames, from references.

`stage` is the stage; regions (a drawing taken apart) → match (which region is which) → paint
(colour on them); tint (grey pictures); sheet (model sheets); doubts and corrections (what is left
to a person, and what the person said).
"""
