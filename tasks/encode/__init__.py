"""Frames to video: `segment` encodes one shot, `encoders` knows each encoder, `ffmpeg` runs it.

In: frames of a shot, their times, a delivery picture. Out: a closed-GOP, video-only segment whose
bytes are the same on every run.
"""
