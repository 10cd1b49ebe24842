"""Faults of sound, subtitles, fonts and chapters."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.seeded.forger import Forger, Packets, copy_of
from tests.seeded.placed import Placed


def no_sound(forger: Forger) -> Placed:
    forger.remux(drop=("audio",))
    return Placed(name="no sound", says="^sound streams")


def no_subtitles(forger: Forger) -> Placed:
    forger.remux(drop=("subtitle",))
    return Placed(name="no subtitles", says="^subtitle streams")


def no_font(forger: Forger) -> Placed:
    forger.remux(drop=("attachment",))
    return Placed(name="no font", says="^attachments")


def no_chapters(forger: Forger) -> Placed:
    forger.remux(chapters=False)
    return Placed(name="no chapters", says="^chapters")


SOUND = "^(sound|duration)"


def sound_shifted(forger: Forger) -> Placed:
    late = forger.rng.choice((Fraction(40, 1000), Fraction(90, 1000)))

    def later(packets: Packets) -> Packets:
        for packet in packets:
            packet.pts += round(late / packet.time_base)
            packet.dts = packet.pts
        return packets

    forger.remux(sound=later)
    return Placed(name="sound shifted", says=rf"^sound .*{float(late):.3f} s late", also=SOUND)


def sound_shifted_within_its_length(forger: Forger) -> Placed:
    length = float(forger.plan.end)
    forger.ffmpeg("-c:a", "flac", "-af", f"adelay=40:all=1,atrim=end={length:.6f}")
    return Placed(name="sound shifted within", says="^sound .*0.040 s late", also=SOUND)


def sound_early(forger: Forger) -> Placed:
    length = float(forger.plan.end)
    trim = f"atrim=start=0.1,asetpts=PTS-STARTPTS,apad,atrim=end={length:.6f}"
    forger.ffmpeg("-c:a", "flac", "-af", trim)
    return Placed(name="sound early", says="^sound .*0.100 s early", also=SOUND)


def sound_cut_short(forger: Forger) -> Placed:
    forger.remux(sound=lambda packets: packets[: len(packets) * 3 // 4])
    return Placed(name="sound cut short", says="^sound end", also=SOUND)


def loud_moments(film: Path) -> list[float]:
    """When its sound can be heard well, in seconds."""
    with av.open(str(film)) as file:
        frames = list(file.decode(audio=0))
        sound: Any = frames[0].to_ndarray()
        full = float(np.iinfo(sound.dtype).max)
        return [f.time for f in frames if np.abs(f.to_ndarray() / full).max() > 0.1]


def a_second_without_sound(forger: Forger) -> Placed:
    at = forger.rng.choice([time for time in loud_moments(forger.film) if time > 2]) - 0.5
    mute = f"volume=0:enable='between(t,{at:.3f},{at + 1:.3f})'"
    forger.ffmpeg("-c:a", "flac", "-af", mute)
    frames = (int(at * 24000 / 1001), int((at + 1) * 24000 / 1001) + 1)
    return Placed(name="a second without sound", says="^sound.*silence", frames=frames)


def flipped_bit_in_the_sound(forger: Forger) -> Placed:
    def flip(packets: Packets) -> Packets:
        at = forger.rng.randrange(len(packets))
        data = bytearray(bytes(packets[at]))
        data[forger.rng.randrange(16, len(data))] ^= 1 << forger.rng.randrange(8)
        packets[at] = copy_of(packets[at], bytes(data))
        return packets

    forger.remux(sound=flip)
    return Placed(name="flipped bit in the sound", says="^sound data", also="^(sound|decoding)")
