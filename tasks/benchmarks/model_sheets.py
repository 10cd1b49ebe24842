"""Model sheets of the synthesised characters, and drawings of them in other poses with truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.benchmarks.paint import LEAST_REGION, TOLERANCE
from tasks.frames.optical_flow import Floats
from tasks.stages.colorize.paint import Painted, main_colours
from tasks.stages.colorize.regions import segment_drawing
from tasks.stages.colorize.sheet import paint_from_sheets, read_sheet
from tasks.synthetic.cast import Acting, Actor, make_cast
from tasks.synthetic.cel import Cel, mapped
from tasks.synthetic.curves import Matrix, affine
from tasks.synthetic.figure import Gait, draw_figure
from tasks.synthetic.raster import Grid, render_colouring, render_lines
from tasks.synthetic.scene import Camera, Scene, under

POSES = ((0.1, 0.0, 0.8), (0.6, 0.0, 0.4), (0.35, 1.0, 0.8))
"""Phase of the walk, walking (0) or running (1), turn of the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posed:
    """A character's sheet, a drawing of it in another pose and that drawing's colouring: signals
    (H, W, 3)."""

    sheet: Floats
    lines: Floats
    truth: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetScore:
    """Per region of many drawings: whether it is right, how sure it was, its pixels."""

    right: NDArray[np.bool_]
    sure: Floats
    area: Floats


def model_sheet(actor: Actor) -> Floats:
    """A colour model, 640x480: the character standing, and in a step with the head turned away."""
    standing = draw_figure(actor, Acting(), Gait(still=True))
    stepping = draw_figure(actor, Acting(yaw=-0.6, mouth=0.5), Gait(phase=0.25))
    scene = _scene((standing, affine(x=-330, y=40)), (stepping, affine(x=330, y=40)))
    return _signal(render_colouring(scene, Grid(640, 480, 2)))


def posed_characters(seeds: Sequence[int]) -> Iterator[Posed]:
    """Each character of the casts of some seeds in each of POSES, 480x270."""
    for seed in seeds:
        for actor in make_cast(seed):
            sheet = model_sheet(actor)
            for phase, run, yaw in POSES:
                acting = Acting(yaw=yaw, smile=0.2, mouth=0.6, lid=0.2)
                figure = draw_figure(actor, acting, Gait(phase=phase, run=run))
                scene = _scene((figure, affine(y=50, sx=1.1)))
                size = Grid(480, 270, 2)
                lines, truth = render_lines(scene, size), render_colouring(scene, size)
                yield Posed(sheet=sheet, lines=_signal(lines), truth=_signal(truth))


def score_sheets(drawings: Sequence[Posed]) -> SheetScore:
    """How well drawings are painted from their sheets."""
    right, sure, area = [], [], []
    for posed in drawings:
        drawing = segment_drawing(posed.lines)
        made: Painted = paint_from_sheets(drawing, [read_sheet(posed.sheet)])
        truth = main_colours(drawing, posed.truth)
        large = drawing.shape.area >= LEAST_REGION
        right.append((np.abs(made.colour - truth).max(1) <= TOLERANCE)[large])
        sure.append(made.sure[large])
        area.append(drawing.shape.area[large])
    return SheetScore(
        right=np.concatenate(right), sure=np.concatenate(sure), area=np.concatenate(area)
    )


def _scene(*figures: tuple[Cel, Matrix]) -> Scene:
    return Scene(tuple(under(Camera(), mapped(cel.marks, place)) for cel, place in figures))


def _signal(pixels: NDArray[np.uint8]) -> Floats:
    return np.asarray(pixels / np.float32(255), np.float32)
