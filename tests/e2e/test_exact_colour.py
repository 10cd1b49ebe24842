"""An identity recipe goes through R'G'B' codes and the store and gives the samples back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.decode import index_source

WIDTH, HEIGHT, FRAMES = 48, 32, 4
TAGS = {"bt601": (6, 6, 6), "bt709": (1, 1, 1), "bt2020": (9, 14, 9), "untagged": (2, 2, 2)}
"""Primaries, transfer and matrix as ITU-T H.273 numbers them."""
RANGES = {"limited": 1, "full": 2}
SITINGS = ("left", "center", "topleft")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of source; every siting meets every depth, matrix and range somewhere."""

    depth: int
    colour: str
    range: str
    siting: str = "left"

    def __str__(self) -> str:
        return f"{self.depth}-{self.colour}-{self.range}-{self.siting}"

    @property
    def pix_fmt(self) -> str:
        """ffmpeg's name."""
        return "yuv420p" if self.depth == 8 else "yuv420p10le"


KINDS = [
    Kind(depth=depth, colour=colour, range=range_, siting=SITINGS[place % 3])
    for place, (depth, range_, colour) in enumerate(
        product((8, 10), RANGES, ("bt601", "bt709", "bt2020"))
    )
    for place in [place + place // 3]
]
DAILY = (1, 3, 5, 6, 8, 10)
"""Those in which every depth meets every range, and every matrix and siting is there."""


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=str(kind), marks=() if place in DAILY else pytest.mark.nightly)
        for place, kind in enumerate(KINDS)
    ],
)
def test_identity_gives_the_samples_back(
    kind: Kind, lab: Any, local_ray: None, tmp_path: Path
) -> None:
    source, film = tmp_path / "source.mkv", tmp_path / "film.mkv"
    write_source(source, kind)
    result = render_identity(lab, tmp_path, source, film)
    assert (result.findings, result.verified, result.frames_out) == ((), True, FRAMES)
    check_samples(lab, source, film)
    assert tags_of(film) == tags_of(source) == (*TAGS[kind.colour], RANGES[kind.range])
    was, now = (index_source(str(path)).picture for path in (source, film))
    assert now == was
    assert (now.pix_fmt, now.siting, now.range) == (kind.pix_fmt, kind.siting, kind.range)


def test_an_untagged_source_is_tagged_by_the_usual_rule_and_said_so(
    lab: Any, local_ray: None, tmp_path: Path
) -> None:
    source, film = tmp_path / "source.mkv", tmp_path / "film.mkv"
    write_source(source, Kind(depth=8, colour="untagged", range="limited"))
    said: list[str] = []
    render_identity(lab, tmp_path, source, film, said)
    check_samples(lab, source, film)
    assert tags_of(film) == (*TAGS["bt601"], RANGES["limited"])
    assert any("bt601" in note for note in said), said


def render_identity(
    lab: Any, folder: Path, source: Path, film: Path, said: list[str] | None = None
) -> Any:
    from flows.progress import Silent

    reporter = Silent()
    if said is not None:
        reporter.note = said.append  # type: ignore[method-assign, assignment]
    document = {"source": str(source), "cut": [], "recipe": [], "delivery": {"encoder": "ffv1"}}
    return lab.render(folder, document, output=str(film), reporter=reporter)


def check_samples(lab: Any, source: Path, film: Path) -> None:
    """Luma within 1 code value and chroma within 2, in every sample of every frame."""
    count = 0
    for was, now in zip(lab.planes(source), lab.planes(film), strict=True):
        for place, (a, b) in enumerate(zip(was, now, strict=True)):
            apart = np.abs(a.astype(int) - b.astype(int)).max()
            assert apart <= (2 if place else 1), f"plane {place} of frame {count}"
        count += 1
    assert count == FRAMES


def tags_of(film: Path) -> tuple[int, int, int, int]:
    """Primaries, transfer, matrix, range."""
    with av.open(str(film)) as file:
        context = file.streams.video[0].codec_context
        return (
            context.color_primaries,
            context.color_trc,
            context.colorspace,
            context.color_range,
        )


def write_source(path: Path, kind: Kind) -> None:
    """Frames of noise over the whole legal range and of one-pixel ink between saturated paints:
    nothing is harder to bring back, and any shift of chroma shows."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            "ffv1", rate=24, options={"chroma_sample_location": kind.siting, "level": "3"}
        )
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, kind.pix_fmt
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = TAGS[kind.colour]
        context.color_range = RANGES[kind.range]
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(draw(kind, number), format=kind.pix_fmt)
            frame.colorspace, frame.color_range = context.colorspace, context.color_range
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def draw(kind: Kind, number: int) -> NDArray[Any]:
    """Planar 4:2:0, (H * 3 / 2, W): noise in even frames, ink and paint in odd ones."""
    unit = 1 << (kind.depth - 8)
    full = kind.range == "full"
    least, luma, chroma = (0, 256 * unit - 1, 256 * unit - 1) if full else (16, 235, 240)
    if not full:
        least, luma, chroma = least * unit, luma * unit, chroma * unit
    rng = np.random.default_rng(number)
    y = rng.integers(least, luma + 1, (HEIGHT, WIDTH))
    c = rng.integers(least, chroma + 1, (HEIGHT // 2, WIDTH))
    if number % 2:
        rows, columns = np.indices(y.shape)
        y = np.where((columns + rows) % 7, luma, least)
        rows, columns = np.indices((2, HEIGHT // 2, WIDTH // 2))[1:]
        c = np.where((columns // 3 + rows // 5 + number) % 2, chroma, least).reshape(c.shape)
    return np.vstack([y, c]).astype(np.uint8 if kind.depth == 8 else np.uint16)
