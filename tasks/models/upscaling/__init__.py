"""The family of the upscaling networks: one net, one training program, one evaluation.

`upscale2x`, `upscale3x` and `restore2x` differ by the lesson in their `train.py`, nothing else.
"""
