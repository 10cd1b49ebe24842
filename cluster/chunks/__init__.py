"""Frames as stored objects.

`chunk` is the file (Arrow, one batch a frame) and reads it, `write` writes one frame by frame,
`codec` is a frame's bytes. In: frames, as (H, W, 3) uint16 codes or as planes, their times,
metadata. Out: bytes, and any frame of them, checked.
"""
