"""Frames as stored objects.

`chunk` is the file (Arrow, one batch a frame), `codec` a frame's bytes. In: frames (N, H, W, 3)
uint16, their times, metadata. Out: bytes, and any frame of them, checked.
"""
