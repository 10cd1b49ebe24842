"""The nouns: a pixel, a picture, a shot in time.

`codes` (a pixel), `picture` (size and colour), `track` (a shot's frames in time); `colour` turns
Y'CbCr planes into codes and back, `optical_flow` follows movement, `contact_sheet` shows many.
Frames are (N, H, W, 3) uint16.
"""
