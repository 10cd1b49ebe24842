"""Sound cut from sources: to the sample, silent where there is none, never drifting."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from cluster.errors import InputError
from tasks.assemble.sound import Cut, SoundForm, join_sound

FORM = SoundForm(rate=48_000, layout="stereo", format="s16p")
FRAME = Fraction(1001, 24_000)


def joined(*cuts: Cut, form: SoundForm = FORM) -> np.ndarray:
    return np.concatenate(list(join_sound(cuts, form=form)), axis=1)


def test_a_cut_is_the_very_samples_of_the_source(clips):
    source = clips.source("pcm_s16le", "mkv")
    got = joined(Cut(path=source, index=1, start_s=30 * FRAME, end_s=90 * FRAME))
    first, last = round(30 * FRAME * 48_000), round(90 * FRAME * 48_000)
    assert got.shape[1] == round(60 * FRAME * 48_000)
    assert np.array_equal(got.T, clips.beep_track()[first : first + got.shape[1]])
    assert abs(last - first - got.shape[1]) <= 1


def test_lossy_sound_is_cut_at_the_same_place(clips):
    exact = joined(
        Cut(path=clips.source("pcm_s16le", "mkv"), index=1, start_s=FRAME * 70, end_s=FRAME * 110)
    )
    for codec, container in (("aac", "mp4"), ("aac", "mkv"), ("libopus", "mkv"), ("ac3", "mp4")):
        cut = Cut(
            path=clips.source(codec, container), index=1, start_s=FRAME * 70, end_s=FRAME * 110
        )
        got = joined(cut)
        apart = [
            np.abs(np.roll(exact[0], shift).astype(float) - got[0]).mean()
            for shift in range(-60, 61)
        ]
        # Matroska's timestamps are whole milliseconds, and so is what it keeps of a delay.
        assert abs(int(np.argmin(apart)) - 60) <= (49 if container == "mkv" else 0), codec


def test_a_source_far_in_is_reached_by_seeking(clips):
    length = len(clips.beep_track())
    long = clips.remux(
        "long.mkv", "-i", clips.beep_wav(), "-af", f"aloop=loop=19:size={length}",
        "-c:a", "pcm_s16le",
    )  # fmt: skip
    start_s = Fraction(15 * length + 40_000, 48_000)
    got = joined(Cut(path=long, index=0, start_s=start_s, end_s=start_s + 2))
    due = np.tile(clips.beep_track(), (2, 1))[40_000 : 40_000 + 96_000]
    assert np.array_equal(got.T, due)


def test_silence_fills_where_a_source_has_no_sound(clips):
    source = clips.source("flac", "mkv")
    got = joined(
        Cut(path=source, index=None, start_s=Fraction(0), end_s=Fraction(1, 2)),
        Cut(path=source, index=1, start_s=24 * FRAME, end_s=25 * FRAME),
        Cut(path=source, index=1, start_s=Fraction(100), end_s=Fraction(101)),
    )
    assert not got[:, :24_000].any()
    assert got[0, 24_000] > 20_000
    assert got.shape[1] == 24_000 + round(FRAME * 48_000) + 48_000
    assert not got[:, -48_000:].any()


def test_a_gap_in_a_source_is_heard_as_silence(clips):
    source = clips.source("flac", "mkv")
    gappy = clips.remux(
        "gappy.mkv", "-i", source, "-map", "0:a", "-c", "copy",
        "-bsf:a", "noise=drop=between(pts\\,1200\\,1700)",
    )  # fmt: skip
    got = joined(Cut(path=gappy, index=0, start_s=Fraction(0), end_s=Fraction(4)))
    loud = np.flatnonzero(np.abs(got[0]) > 10_000) / 48_000
    for time in clips.beep_times()[:3]:
        assert np.abs(loud - float(time)).min() <= 0.001 + 1 / 48_000


def test_another_rate_and_layout_keep_the_length(clips):
    form = SoundForm(rate=44_100, layout="mono", format="fltp")
    source = clips.source("pcm_s16le", "mkv")
    got = joined(Cut(path=source, index=1, start_s=Fraction(0), end_s=120 * FRAME), form=form)
    assert got.shape == (1, round(120 * FRAME * 44_100))
    assert got.dtype == np.float32
    first = np.flatnonzero(np.abs(got[0]) > 0.3)[0] / 44_100
    assert first == pytest.approx(float(clips.beep_times()[0]), abs=0.001)


def test_a_source_that_is_gone_is_named(clips, tmp_path):
    cut = Cut(path=tmp_path / "gone.mkv", index=0, start_s=Fraction(0), end_s=Fraction(1))
    with pytest.raises(InputError, match=r"gone\.mkv stream 0: cannot decode sound"):
        joined(cut)
