"""How well drawings are painted: frame t coloured → frame t + 1, region by region.

`python -m tasks.benchmarks.paint FOLDER` reads pairs of animations (a drawing and its colouring,
equal frames) and prints a table; without a folder it paints drawings of the synthesised short.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import InputError
from tasks.frames.optical_flow import Floats, warp
from tasks.stages.colorize.features import line_flow
from tasks.stages.colorize.paint import carry_paint, main_colours, paint_reference
from tasks.stages.colorize.regions import Drawing, segment_drawing

TOLERANCE = 0.05
"""Largest difference per channel, of 1, between a colour and the true one."""
LEAST_REGION = 12
"""Pixels; what is smaller is a speck between lines, and no painter's business."""

_EDGE = 0.08
_ALIGNED = 0.6
"""Share of the paint's edges (differences above _EDGE) that must lie within 2 pixels of a line: .98
where colouring and drawing belong together, .3 to .5 where they are a drawing apart."""

SHEETS = (("00131", "00141"), ("00151", "00161"))
"""Drawing and colouring in `../shared/data/line_art`."""


@dataclass(frozen=True, kw_only=True)
class PaintPair:
    """Signals (H, W, 3), 0 black, 1 white: a drawing, its colouring, the next drawing, the truth.

    `name` tells the pair from others; its part before a slash is the material it came from.
    """

    name: str
    lines: Floats
    paint: Floats
    next_lines: Floats
    truth: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintScore:
    """A pair's result: regions and region pixels (lines left out), and how many are right."""

    name: str
    regions: int
    regions_right: int
    pixels: int
    pixels_right: int

    @property
    def region_share(self) -> float:
        """Of 1; regions whose main colour is the truth's."""
        return self.regions_right / max(self.regions, 1)

    @property
    def pixel_share(self) -> float:
        """Of 1; region pixels whose colour is the truth's."""
        return self.pixels_right / max(self.pixels, 1)


Method = Callable[[PaintPair, Drawing], Floats]
"""A pair and its next drawing taken apart → the next drawing's picture (H, W, 3)."""


def paint_same_place(pair: PaintPair, _: Drawing) -> Floats:
    """The colouring of the drawing before, unmoved."""
    return pair.paint


def paint_flow_vote(pair: PaintPair, drawing: Drawing) -> Floats:
    """Each region in the colour that most of its pixels have along flow."""
    back = line_flow(drawing, segment_drawing(pair.lines))
    return main_colours(drawing, warp(pair.paint, back))[drawing.filled - 1]


def paint_matched(pair: PaintPair, drawing: Drawing) -> Floats:
    """What the stage does: each region in the colour of the region it continues."""
    return carry_paint(paint_reference(segment_drawing(pair.lines), pair.paint), drawing).paint


METHODS: Mapping[str, Method] = {
    "same place": paint_same_place,
    "flow vote": paint_flow_vote,
    "douga": paint_matched,
}


def evaluate_pairs(pairs: Sequence[PaintPair], method: Method) -> list[PaintScore]:
    """The score of one method on each pair, in order."""
    return [evaluate_pair(pair, method) for pair in pairs]


def evaluate_pair(pair: PaintPair, method: Method) -> PaintScore:
    """A region is right if its main colour is the truth's main colour there."""
    drawing = segment_drawing(pair.next_lines)
    made = method(pair, drawing)
    large = drawing.shape.area >= LEAST_REGION
    right = _near(main_colours(drawing, made), main_colours(drawing, pair.truth)) & large
    inside = drawing.marked > 0
    good = _near(made, pair.truth) & inside
    return PaintScore(
        name=pair.name,
        regions=int(large.sum()),
        regions_right=int(right.sum()),
        pixels=int(inside.sum()),
        pixels_right=int(good.sum()),
    )


def surety(pairs: Sequence[PaintPair]) -> tuple[Floats, NDArray[np.bool_]]:
    """Per region of all pairs: how sure the stage is of its colour, and whether that is right."""
    sure, right = [], []
    for pair in pairs:
        drawing = segment_drawing(pair.next_lines)
        made = carry_paint(paint_reference(segment_drawing(pair.lines), pair.paint), drawing)
        large = drawing.shape.area >= LEAST_REGION
        sure.append(made.sure[large])
        right.append(_near(made.colour, main_colours(drawing, pair.truth))[large])
    return np.concatenate(sure), np.concatenate(right)


def total(scores: Sequence[PaintScore], name: str) -> PaintScore:
    """The sum of several scores."""
    return PaintScore(
        name=name,
        regions=sum(score.regions for score in scores),
        regions_right=sum(score.regions_right for score in scores),
        pixels=sum(score.pixels for score in scores),
        pixels_right=sum(score.pixels_right for score in scores),
    )


def pairs_of(drawings: Path, colourings: Path) -> list[PaintPair]:
    """Every pair of two animations (gif, webp) with equal frames. InputError if they are not."""
    lines, paints = _animation(drawings), _animation(colourings)
    if len(lines) != len(paints) or lines[0].shape != paints[0].shape:
        raise InputError(
            f"expected {len(lines)} frames of {lines[0].shape[1]}x{lines[0].shape[0]} as in "
            f"{drawings.name}, got {len(paints)} of {paints[0].shape[1]}x{paints[0].shape[0]}",
            where=str(colourings),
        )
    return [
        PaintPair(
            name=f"{drawings.stem}/{i}",
            lines=lines[i],
            paint=paints[i],
            next_lines=lines[i + 1],
            truth=paints[i + 1],
        )
        for i in range(len(lines) - 1)
    ]


def folder_pairs(folder: Path) -> list[PaintPair]:
    """The pairs of the line art that lies in `../shared/data/line_art`."""
    return [
        pair
        for lines, paint in SHEETS
        for pair in pairs_of(folder / f"{lines}.gif", folder / f"{paint}.gif")
    ]


def sample_pairs(
    seed: int,
    *,
    per_shot: int = 2,
    gap: int = 1,
    backward: bool = False,
    size: tuple[int, int] = (480, 270),
) -> Iterator[PaintPair]:
    """Drawings `gap` drawings apart of the short of a seed, `per_shot` pairs from each shot."""
    from tasks.synthetic import render_line_art, render_painted, synthesise

    short = synthesise(seed, shots=14, seconds=14, size=size)
    for shot in short.shots:
        drawings: list[tuple[int, Floats]] = []
        for frame in range(shot.start, shot.end):
            lines = _signal(render_line_art(short, frame))
            if not drawings or not np.array_equal(lines, drawings[-1][1]):
                drawings.append((frame, lines))
            if len(drawings) == per_shot + gap:
                break
        for first, last in zip(drawings, drawings[gap:], strict=False):
            (start, before), (end, after) = (last, first) if backward else (first, last)
            yield PaintPair(
                name=f"{seed}-{shot.kind}/{start}-{end}",
                lines=before,
                paint=_signal(render_painted(short, start)),
                next_lines=after,
                truth=_signal(render_painted(short, end)),
            )


def aligned(pair: PaintPair) -> bool:
    """Whether both colourings lie on their drawings: in some material they are a drawing off."""
    return _on_lines(pair.lines, pair.paint) and _on_lines(pair.next_lines, pair.truth)


def _on_lines(lines: Floats, paint: Floats) -> bool:
    edges = np.zeros(paint.shape[:2], bool)
    edges[:, 1:] |= np.abs(np.diff(paint, axis=1)).max(-1) > _EDGE
    edges[1:] |= np.abs(np.diff(paint, axis=0)).max(-1) > _EDGE
    drawn = segment_drawing(lines).marked == 0
    away = cv2.distanceTransform((~drawn).astype(np.uint8), cv2.DIST_L2, 5)
    return not edges.any() or float((away[edges] <= 2).mean()) >= _ALIGNED


def _near(made: Floats, truth: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.abs(made - truth).max(-1) <= TOLERANCE)


def _signal(pixels: NDArray[np.uint8]) -> Floats:
    return np.asarray(pixels / np.float32(255), np.float32)


def _animation(path: Path) -> list[Floats]:
    good, frames = cv2.imreadmulti(str(path), flags=cv2.IMREAD_COLOR)
    if not good or not frames:
        raise InputError("expected an animation (gif, webp, tiff)", where=str(path))
    return [_signal(np.asarray(frame, np.uint8)[..., ::-1]) for frame in frames]


def main() -> None:
    """The table, or with --json one document, on stdout."""
    parser = argparse.ArgumentParser(prog="python -m tasks.benchmarks.paint", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of line art; default: the sample")
    parser.add_argument("--seed", type=int, action="append", help="of samples (default 3)")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.folder:
        pairs = folder_pairs(asked.folder)
    else:
        pairs = [pair for seed in asked.seed or [3] for pair in sample_pairs(seed)]
    results = {}
    for name, method in METHODS.items():
        scores = evaluate_pairs(pairs, method)
        sources = dict.fromkeys(pair.name.partition("/")[0] for pair in pairs)
        parts = [[s for s in scores if s.name.startswith(f"{source}/")] for source in sources]
        sums = [total(part, source) for part, source in zip(parts, sources, strict=True)]
        belong = [s for s, pair in zip(scores, pairs, strict=True) if aligned(pair)]
        results[name] = [total(scores, "all"), total(belong, "aligned"), *sums]
    if asked.json:
        print(json.dumps({name: [asdict(s) for s in sums] for name, sums in results.items()}))
        return
    for name, sums in results.items():
        for score in sums:
            print(
                f"{name:12}{score.name:16}{score.regions:6} regions {score.region_share:7.1%}"
                f"   {score.pixels:9} pixels {score.pixel_share:7.1%}"
            )
    sure, right = surety(pairs)
    for least in (0.5, 0.7, 0.9, 0.95):
        above = sure >= least
        print(
            f"surer than {least:<4}: {above.mean():6.1%} of regions, of them "
            f"{right[above].mean():6.1%} right"
        )


if __name__ == "__main__":
    main()
