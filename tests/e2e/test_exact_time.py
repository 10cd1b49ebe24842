"""Every frame, cut and beep of a film is where the recipe says; nothing of the source is lost."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tasks.synthetic import read_truth

SOURCES = ["23.976.mkv", "25.mp4", "29.97.mkv", "60.mp4", "varying.mkv", "varying.mp4"]
RECIPES: dict[str, list[Any]] = {
    "identity": [],
    "factor2": [{"interpolate": {"factor": 2}}],
    "rate60": [{"interpolate": {"rate": 60}}],
}
DAILY = {
    ("23.976.mkv", "rate60"),
    ("25.mp4", "factor2"),
    ("29.97.mkv", "identity"),
    ("29.97.mkv", "factor2"),
    ("60.mp4", "rate60"),
    ("varying.mkv", "factor2"),
    ("varying.mkv", "rate60"),
    ("varying.mp4", "identity"),
}
"""Every source and every recipe at least once, and what is hardest."""
APART_S = 0.001 + 1 / 48_000
"""What sound and picture may be apart: a millisecond and a sample."""
MILLISECOND = Fraction(1, 1000)
BT709 = (1, 1, 1)


def expected_times(source: Any, recipe: str) -> list[Fraction]:
    """When every frame of the film appears, worked out from the source alone."""
    if recipe == "identity":
        return list(source.times)
    if recipe == "factor2":
        return [
            time + half * source.stay(frame) / 2
            for frame, time in enumerate(source.times)
            for half in (0, 1)
        ]
    return [Fraction(k, 60) for k in range(ceil(source.end * 60))]


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        pytest.param(*pair, marks=() if pair in DAILY else pytest.mark.nightly)
        for pair in product(SOURCES, RECIPES)
    ],
)
def test_frames_cuts_and_beeps_stay_where_they_are(
    name: str, recipe: str, lab: Any, local_ray: None, tmp_path: Path
) -> None:
    source = lab.source(name)
    times = expected_times(source, recipe)
    document = {
        "source": str(source.path),
        "cut": list(source.cuts),
        "recipe": RECIPES[recipe],
        "delivery": {"preset": "veryfast"},
    }
    films = {kind: tmp_path / f"film.{kind}" for kind in ("mkv", "mp4")}
    for film in films.values():
        result = lab.render(tmp_path, document, output=str(film))
        assert (result.findings, result.verified) == ((), True)
        assert (result.frames_in, result.frames_out) == (len(source.times), len(times))
        assert [shot.start for shot in result.shots] == [0, *source.cuts]
    for kind, film in films.items():
        seen = lab.look(film)
        check_times(seen, times, kind)
        check_pictures(seen, times, source, recipe)
        check_sound(lab.beeps(film), seen, times, source, recipe)
        check_streams(film, source)
    same = [[frame.digest for frame in lab.look(film)] for film in films.values()]
    assert same[0] == same[1], "mkv and mp4 are joined of the same segments"


@pytest.mark.nightly
def test_the_sample_arrives_whole(sample: Any, lab: Any, local_ray: None, tmp_path: Path) -> None:
    """Cuts found by ourselves, every picture, every beep with its picture, all that goes along."""
    truth = read_truth(sample.truth)
    film = tmp_path / "film.mkv"
    document = {"source": str(sample.film), "recipe": [], "delivery": {"encoder": "ffv1"}}
    result = lab.render(tmp_path, document, output=str(film), workers=2)
    assert (result.findings, result.verified) == ((), True)
    check_cuts([shot.start for shot in result.shots[1:]], truth)
    seen = lab.look(film)
    assert len(seen) == truth.frames
    pairs = zip(lab.planes(sample.film), lab.planes(film), strict=True)
    assert all(np.abs(a[0].astype(int) - b[0]).max() <= 1 for a, b in pairs)
    beeps = lab.beeps(film)
    assert len(beeps) == len(truth.beeps)
    for beep, marked in zip(beeps, truth.beeps, strict=True):
        assert abs(beep - float(marked.time)) <= APART_S
        assert abs(beep - float(seen[marked.frame].time)) <= APART_S
    with av.open(str(sample.film)) as was, av.open(str(film)) as now:
        assert kinds(now) == kinds(was)
        assert now.metadata["title"] == truth.title
        fonts = [[bytes(font.data) for font in file.streams.attachments] for file in (was, now)]
        assert fonts[0] == fonts[1]
        assert len(fonts[0]) == 1
        ends = [[(c["start"], c["end"], c["metadata"]) for c in f.chapters()] for f in (was, now)]
        assert ends[0] == ends[1]
        assert [c["metadata"]["title"] for c in now.chapters()] == [
            chapter.title for chapter in truth.chapters
        ]


def check_cuts(found: list[int], truth: Any) -> None:
    """No cut that is none, and at this small size at most one missed; of a dissolve any frame
    within it will do. Finding them is proven elsewhere."""
    soft = [range(t.start, t.end) for t in truth.transitions if t.kind == "dissolve"]
    places = [
        next((span for span in soft if cut in span), range(cut, cut + 1)) for cut in truth.cuts
    ]
    hits = {place for cut in found for place in places if cut in place}
    assert len(found) == len(hits) >= len(places) - 1, (found, truth.cuts)


def kinds(film: Any) -> list[tuple[str, str]]:
    """Kind and language of every stream."""
    return [(stream.type, stream.metadata.get("language", "")) for stream in film.streams]


def check_times(seen: list[Any], times: list[Fraction], kind: str) -> None:
    """mp4 says every time exactly, Matroska to its millisecond."""
    if kind == "mp4":
        assert [frame.time for frame in seen] == times
        return
    assert len(seen) == len(times)
    for frame, time in zip(seen, times, strict=True):
        assert 1000 % frame.time.denominator == 0
        assert abs(frame.time - time) <= MILLISECOND / 2


def check_pictures(seen: list[Any], times: list[Fraction], source: Any, recipe: str) -> None:
    """Copies carry the number they had, and every frame has the paint of its own shot only."""
    for place, (frame, time) in enumerate(zip(seen, times, strict=True)):
        on_screen = source.frame_at(time)
        assert source.paint_of(on_screen) == pytest.approx(frame.paint, abs=2), place
        if recipe == "identity" or source.times[on_screen] == time:
            assert frame.number == on_screen
    cuts = [b for b in range(1, len(seen)) if _apart(seen[b - 1].paint, seen[b].paint) > 10]
    shots = [source.shot_of(source.frame_at(time)) for time in times]
    assert cuts == [b for b, (one, two) in enumerate(pairwise(shots), start=1) if one != two]


def _apart(one: tuple[float, float], two: tuple[float, float]) -> float:
    return max(abs(a - b) for a, b in zip(one, two, strict=True))


def check_sound(
    beeps: list[float], seen: list[Any], times: list[Fraction], source: Any, recipe: str
) -> None:
    """Beeps are heard when they were; where the grid keeps the frame they mark, with it."""
    assert len(beeps) == len(source.beeps)
    for beep, marked in zip(beeps, source.beeps, strict=True):
        assert abs(beep - float(source.times[marked])) <= APART_S
        first = next(k for k, time in enumerate(times) if time >= source.times[marked])
        if times[first] == source.times[marked]:
            assert seen[first].number == marked
            assert abs(beep - float(seen[first].time)) <= APART_S
        else:
            assert recipe == "rate60"


def check_streams(film: Path, source: Any) -> None:
    """Sound, subtitles, font, chapters and colour tags as the source has them."""
    with av.open(str(source.path)) as was, av.open(str(film)) as now:
        (picture,) = now.streams.video
        context = picture.codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == BT709
        assert context.color_range == 1
        (sound,) = now.streams.audio
        (words,) = now.streams.subtitles
        assert sound.codec_context.name == was.streams.audio[0].codec_context.name
        assert (sound.metadata["language"], words.metadata["language"]) == ("jpn", "eng")
        chapters = [
            [
                (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
                for c in file.chapters()
            ]
            for file in (was, now)
        ]
        assert chapters[0] == chapters[1]
        assert len(chapters[0]) == 2
        assert cue_starts(now) == [Fraction(1, 4), Fraction(1)]
        fonts = [bytes(a.data) for a in now.streams.attachments]
        assert fonts == ([source.font] if source.path.suffix == film.suffix == ".mkv" else [])


def cue_starts(film: Any) -> list[Fraction]:
    """When the subtitles with words in them begin."""
    packets = (p for p in film.demux(film.streams.subtitles[0]) if p.size > 2)
    return [packet.pts * packet.time_base for packet in packets]
