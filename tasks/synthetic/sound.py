"""The sound track: a quiet pad, and a beep whose first sample is a marked frame's time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.synthetic.description import Short

Sound = NDArray[np.float32]
"""(2, samples): left and right, −1 to 1."""

BEEP_S = 0.06
BEEP_LEVEL = 0.5
PAD_LEVEL = 0.008
"""36 dB under the beep: an onset is the first sample over a tenth of the beep's level."""
BEEP_HZ = (880.0, 1320.0)
"""Left, right: the channels can be told apart."""
CHORDS = ((220.0, 277.18, 329.63), (196.0, 246.94, 293.66), (174.61, 220.0, 261.63))


def make_sound(short: Short) -> Sound:
    """Stereo sound of the film's exact length (rounded to a sample) at its sample rate.

    A beep starts at full level (a cosine), so its onset is exact to the sample.
    """
    rate = short.sample_rate
    count = round(short.seconds * rate)
    t = np.arange(count, dtype=np.float64) / rate
    sound = np.zeros((2, count), np.float64)
    bar = 2.0
    which = (t // bar).astype(int) % len(CHORDS)
    swell = np.sin(np.pi * (t % bar) / bar) ** 2
    for k, chord in enumerate(CHORDS):
        now = (which == k) * swell * PAD_LEVEL / 3
        for i, hertz in enumerate(chord):
            left = 0.75 if i == 0 else 0.4
            sound[0] += left * now * np.sin(2 * np.pi * hertz * t)
            sound[1] += (1.15 - left) * now * np.sin(2 * np.pi * hertz * 1.002 * t)
    length = int(BEEP_S * rate)
    u = np.arange(length) / rate
    gate = np.minimum((length - np.arange(length)) / (0.01 * rate), 1.0)
    for beep in short.beeps:
        here = slice(beep.sample, min(beep.sample + length, count))
        for channel, hertz in enumerate(BEEP_HZ):
            tone = BEEP_LEVEL * gate * np.cos(2 * np.pi * hertz * u)
            sound[channel, here] = tone[: here.stop - here.start]
    return sound.astype(np.float32)
