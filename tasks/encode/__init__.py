"""Frames to video, one shot at a time.

`segment` encodes, `encoders` knows each encoder, `ffmpeg` is our one way to run it. In: frames of a
shot, their times, a delivery picture. Out: a closed-GOP, video-only segment whose bytes are the
same on every run.
"""
