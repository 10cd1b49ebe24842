"""The nouns: `codes` (a pixel), `picture` (size and colour), `track` (a shot's frames in time).

`colour` turns Y'CbCr planes into codes and back; `optical_flow` and `contact_sheet` are on frames.
"""
