"""Painted drawings against the truth, by the pictures' measures and region by region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np

from tasks.benchmarks.evaluation import Case, Row, Way
from tasks.benchmarks.paint import METHODS, Method, PaintPair, evaluate_pairs, total
from tasks.frames.codes import from_uint8, to_uint8
from tasks.frames.optical_flow import Floats
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.metrics.scores import Frame
from tasks.models.device import Device
from tasks.stages.colorize.regions import segment_drawing
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window

OURS, UNMOVED = "douga", "same place"
"""Names that tasks/benchmarks/paint.py gives to what the stage does, and to doing nothing."""

_REFERENCE = "before.png"


def paint_case(pair: PaintPair) -> Case:
    """A pair as a case: methods are given a drawing, its colouring and the next drawing."""
    lines, paint, next_lines, truth = (
        _pixels(x) for x in (pair.lines, pair.paint, pair.next_lines, pair.truth)
    )
    source, _, frame = pair.name.rpartition("/")
    return Case(
        source=source,
        name=f"drawing after {frame}",
        inputs=(lines, paint, next_lines),
        truth=truth,
        beside=(paint,),
    )


def ways_to_paint() -> list[Way]:
    """The methods of tasks/benchmarks/paint.py as pictures: their paint under the next drawing's
    lines. Ours is the stage, run as a render runs it; the unmoved colouring keeps its own lines.
    """
    ways = []
    for name, method in METHODS.items():
        if name == OURS:
            ways.append(Way(name=name, kind="ours", make=_by_stage(), default=True))
        elif name == UNMOVED:
            ways.append(Way(name=name, kind="reference", make=lambda _, paint, __: paint))
        else:
            ways.append(Way(name=name, kind="reference", make=_laid_under(method)))
    return ways


def with_shares(rows: Sequence[Row], pairs: Sequence[PaintPair]) -> tuple[Row, ...]:
    """The rows with the shares of regions and of region pixels in the right colour."""
    out = []
    for row in rows:
        score = total(evaluate_pairs(pairs, METHODS[row.method]), row.method)
        out.append(replace(row, regions=score.region_share, pixels=score.pixel_share))
    return tuple(out)


def _by_stage() -> Callable[[Frame, Frame, Frame], Frame]:
    stage = make_stage("colorize", {"reference": _REFERENCE, "mode": "lines"})

    def make(lines: Frame, paint: Frame, next_lines: Frame) -> Frame:
        _, png = cv2.imencode(".png", paint[..., ::-1])
        data = png.tobytes()
        stage.setup(Device(), lambda path: data)
        height, width = lines.shape[:2]
        track = Track(
            picture=Picture(width=width, height=height, pix_fmt="gbrp", matrix="rgb", range="full"),
            times=(Fraction(0), Fraction(1)),
            end=Fraction(2),
            rate=Fraction(1),
            drawing=(0, 1),
        )
        frames = from_uint8(np.stack([lines, next_lines]))
        window = Window(track=track, indices=(0, 1), frames_nhwc=frames)
        return to_uint8(stage.process(window, Span(1, 2))[0])

    return make


def _laid_under(method: Method) -> Callable[[Frame, Frame, Frame], Frame]:
    """A method's paint times the next drawing, which is white where nothing is drawn."""

    def make(lines: Frame, paint: Frame, next_lines: Frame) -> Frame:
        drawn = _signal(next_lines)
        # Methods are not shown the truth: in its place stands the drawing.
        pair = PaintPair(
            name="", lines=_signal(lines), paint=_signal(paint), next_lines=drawn, truth=drawn
        )
        return _pixels(method(pair, segment_drawing(drawn)) * drawn)

    return make


def _signal(pixels: Frame) -> Floats:
    return np.asarray(pixels / np.float32(255), np.float32)


def _pixels(signal: Floats) -> Frame:
    return np.rint(np.clip(signal, 0, 1) * 255).astype(np.uint8)
