"""Faults seeded into a film are found; a good film passes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cluster.errors import InputError, VerifyError
from tasks.assemble import Passthrough, SourceRange, assemble_film
from tasks.decode.planes import planes_of
from tasks.frames.codes import to_uint8
from tasks.frames.colour import rgb_from_planes
from tasks.frames.picture import Picture
from tasks.verify import expect_film, raise_on_findings, verify_film

TAGGED = Picture(
    width=64, height=64, matrix_tag="bt709", primaries="bt709", transfer="bt709", range="limited"
)
COUNTS = (50, 70)


class Case:
    """A film that can be made wrong in one way at a time."""

    def __init__(self, clips, folder: Path) -> None:
        self.clips = clips
        self.folder = folder
        self.times, self.end = clips.times(sum(COUNTS))
        self.passthrough = Passthrough(
            ranges=(SourceRange(path=clips.full_source(), start_s=Fraction(0)),)
        )

    def film(self, container="mkv", **changes) -> Path:
        given = {
            "segments": self.clips.segments(COUNTS),
            "times": self.times,
            "end": self.end,
            "picture": TAGGED,
            "container": container,
            "passthrough": self.passthrough,
        }
        out = self.folder / f"film.{container}"
        assemble_film(out, **(given | changes))
        return out

    def expected(self, container="mkv", **changes):
        given = {
            "times": self.times,
            "end": self.end,
            "picture": TAGGED,
            "container": container,
            "codec": "h264",
            "passthrough": self.passthrough,
        }
        return expect_film(**(given | changes))

    def faults(self, film: Path, *, container="mkv", **how) -> list[str]:
        found = verify_film(film, expected=self.expected(container), **how)
        return [finding.what for finding in found if finding.severity == "error"]


@pytest.fixture
def case(clips, tmp_path) -> Case:
    return Case(clips, tmp_path)


@pytest.mark.parametrize("container", ["mkv", "mp4", "mov"])
def test_a_good_film_passes(case, container):
    picture_of = pictures_of(case.clips.segments(COUNTS))
    film = case.film(container)
    assert case.faults(film, container=container, deep=True, picture_of=picture_of) == []


def pictures_of(segments):
    frames = []
    for path in segments:
        with av.open(str(path)) as file:
            frames += [
                to_uint8(rgb_from_planes(planes_of(f), TAGGED)) for f in file.decode(video=0)
            ]
    return lambda index: frames[index]


def test_a_dropped_frame_is_found_and_placed(case):
    times = case.times[:30] + case.times[31:]
    film = case.film(segments=case.clips.segments((50, 69)), times=times)
    (finding,) = verify_film(film, expected=case.expected())[:1]
    assert (finding.what, finding.expected, finding.got) == ("frame count", "120", "119")
    assert finding.where == "frame 30 on"


def test_frames_at_the_wrong_time_are_found(case):
    late = [time + (Fraction(1, 500) if frame > 80 else 0) for frame, time in enumerate(case.times)]
    for container in ("mkv", "mp4"):
        film = case.film(container, times=late)
        assert "frame time" in case.faults(film, container=container)


def test_shifted_sound_is_found(case):
    moved = Passthrough(
        ranges=(SourceRange(path=case.clips.full_source(), start_s=Fraction(-40, 1000)),)
    )
    film = case.film(passthrough=moved)
    found = verify_film(film, expected=case.expected())
    starts = [finding for finding in found if finding.what == "sound start"]
    assert [finding.where for finding in starts] == ["sound 1", "sound 2"]
    assert (starts[1].expected, starts[1].got) == ("0.000000 s", "0.040000 s")


def test_sound_cut_short_is_found(case):
    short = Passthrough(
        ranges=(SourceRange(path=case.clips.full_source(), start_s=Fraction(0), end_s=Fraction(4)),)
    )
    assert "sound end" in case.faults(case.film(passthrough=short))


def test_missing_streams_are_found(case):
    bare = replace(case.passthrough, subtitles=False, audio="none", chapters=False)
    faults = case.faults(case.film(passthrough=replace(bare, attachments=False)))
    assert set(faults) == {
        "sound streams",
        "subtitle streams",
        "chapters",
        "attachments",
        "cover pictures",
    }


def test_a_lost_subtitle_line_is_found(case):
    cut = case.clips.remux(
        "fewer.mkv", "-i", case.clips.full_source(), "-map", "0", "-map", "-0:v:1", "-c", "copy",
        "-bsf:s:0", "noise=drop=gt(n\\,2)",
    )  # fmt: skip
    other = Passthrough(ranges=(SourceRange(path=cut, start_s=Fraction(0)),))
    faults = case.faults(case.film(passthrough=other))
    assert "number of cues" in faults


def test_wrong_colour_and_size_are_found(case):
    wrong = replace(TAGGED, matrix_tag="smpte170m", range="full", transfer="")
    segments = case.clips.segments(COUNTS, codec="ffv1")
    film = case.film(segments=segments, picture=wrong)
    expected = replace(case.expected(), codec="ffv1", picture=replace(TAGGED, width=128))
    faults = {finding.what: finding for finding in verify_film(film, expected=expected)}
    assert (faults["matrix tag"].expected, faults["matrix tag"].got) == ("bt709", "smpte170m")
    assert faults["transfer tag"].got == "none"
    assert faults["colour range"].got == "full"
    assert faults["size"].got == "64x64"


def test_swapped_shots_and_black_frames_are_found_only_by_looking(case):
    segments = case.clips.segments((60, 60))
    film = case.film(segments=segments[::-1])
    looked = {"deep": True, "picture_of": pictures_of(segments)}
    assert case.faults(film) == []
    found = verify_film(film, expected=case.expected(), **looked)
    assert [f.frames for f in found if f.what == "picture"] == [(0, 120)]
    black = case.clips.remux(
        "black.mkv", "-f", "lavfi", "-i", "color=black:s=64x64:r=25", "-frames:v", "120",
        "-c:v", "ffv1",
    )  # fmt: skip
    film = case.film(segments=[black])
    assert "picture" in case.faults(film, **looked)


def test_one_finding_a_frame_is_not_a_flood(case):
    film = case.film(segments=case.clips.segments((60, 60))[::-1])
    picture_of = pictures_of(case.clips.segments((60, 60)))
    found = verify_film(film, expected=case.expected(), deep=True, picture_of=picture_of)
    assert len(found) <= 22


def test_a_damaged_film_is_found_by_decoding(case):
    film = case.film()
    data = bytearray(film.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 4000] = bytes(np.random.default_rng(7).integers(0, 256, 4000, "u1"))
    film.write_bytes(data)
    assert case.faults(film, deep=True) != []


def test_what_is_no_film_is_an_input_error(case, tmp_path):
    nothing = tmp_path / "film.mkv"
    nothing.write_bytes(b"not a film")
    with pytest.raises(InputError, match="cannot read the film"):
        verify_film(nothing, expected=case.expected())


def test_findings_become_one_line_and_exit_code_two(case):
    bare = replace(case.passthrough, subtitles=False)
    film = case.film(passthrough=bare)
    found = verify_film(film, expected=case.expected())
    with pytest.raises(VerifyError) as caught:
        raise_on_findings(found, film=film)
    line = str(caught.value)
    assert line.startswith("film.mkv: subtitle streams: expected 2, got 0")
    assert "\n" not in line
    assert caught.value.exit_code == 2
    raise_on_findings([replace(finding, severity="warning") for finding in found], film=film)
