"""Colour on drawings: what the stage `colorize` works with.

regions (a drawing taken apart) → match (which region is which) → paint (colour on them); tint (grey
pictures)
"""
