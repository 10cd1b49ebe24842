"""Notes for the artist: the drawing with its doubtful regions numbered, and their list."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from tasks.frames.optical_flow import Floats
from tasks.stages.colorize.paint import Painted
from tasks.stages.stage import Note

_LEAST = 12
"""Pixels: smaller regions are specks between lines and not worth a person's time."""
_FAINT = 0.35
_LARGE = 720
"""Overlays of smaller frames are enlarged to at least this height, so that numbers can be read."""
_MARK = (214, 38, 120)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A region that is left to a person: its number in the drawing, a point (x, y) well inside it,
    its box (x, y, width, height), the proposed colour and how likely that is right."""

    region: int
    point: tuple[int, int]
    box: tuple[int, int, int, int]
    colour: Floats
    sure: float
    why: str


def find_doubts(painted: Painted, *, ask_below: float) -> tuple[Doubt, ...]:
    """The regions less sure than `ask_below`, the largest first; what only continues a doubtful
    region is left out, for a correction of the first is carried to it."""
    drawing = painted.drawing
    area = drawing.shape.area
    fresh = (painted.sure < ask_below) & (painted.was_sure >= ask_below)
    asked = np.flatnonzero(fresh & (area >= _LEAST))
    doubts = []
    for index in asked[np.argsort(-area[asked], kind="stable")]:
        mask = (drawing.marked == index + 1).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        padded = cv2.copyMakeBorder(
            mask[y : y + height, x : x + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0
        )
        room = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
        row, column = np.unravel_index(int(room.argmax()), room.shape)
        doubts.append(
            Doubt(
                region=int(index) + 1,
                point=(int(column) + x - 1, int(row) + y - 1),
                box=(x, y, width, height),
                colour=painted.colour[index],
                sure=float(painted.sure[index]),
                why=_why(float(painted.sure[index])),
            )
        )
    return tuple(doubts)


def _why(sure: float) -> str:
    if sure < 0.1:
        return "nothing like it in the drawings before"
    if sure < 0.5:
        return "new, or changed past telling"
    return "one of several that it may be"


def doubt_notes(
    painted: Painted, picture: Floats, doubts: tuple[Doubt, ...], *, frame: int
) -> tuple[Note, ...]:
    """The overlay and the list for one frame; nothing where there is no doubt."""
    if not doubts:
        return ()
    entries = [
        {
            "frame": frame,
            "region": doubt.region,
            "point": list(doubt.point),
            "colour": hex_colour(doubt.colour),
            "confidence": round(doubt.sure, 2),
            "box": list(doubt.box),
            "why": doubt.why,
        }
        for doubt in doubts
    ]
    overlay = np.ascontiguousarray(draw_overlay(painted, picture, doubts)[..., ::-1])
    return (
        Note(name=f"{frame:06d}.png", data=cv2.imencode(".png", overlay)[1].tobytes()),
        Note(
            name=f"{frame:06d}.yaml", data=yaml.safe_dump(entries, sort_keys=False).encode("utf-8")
        ),
    )


def hex_colour(colour: Floats) -> str:
    """A signal as "#rrggbb"."""
    red, green, blue = np.rint(np.clip(colour, 0, 1) * 255).astype(int).tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


def draw_overlay(painted: Painted, picture: Floats, doubts: tuple[Doubt, ...]) -> NDArray[np.uint8]:
    """The frame made faint, its doubtful regions in their proposed colours, outlined and numbered.

    8-bit R'G'B', enlarged by a whole factor where the frame is small.
    """
    drawing = painted.drawing
    height, width = drawing.marked.shape
    scale = max(1, -(-_LARGE // height))
    shown = np.clip(1 - (1 - np.clip(picture, 0, 1)) * _FAINT, 0, 1)
    regions = np.isin(drawing.marked, [doubt.region for doubt in doubts])
    shown[regions] = np.clip(painted.colour[drawing.filled[regions] - 1], 0, 1)
    ink = drawing.coverage[..., None] * (drawing.marked == 0)[..., None]
    shown = shown * (1 - ink)
    big = np.rint(shown * 255).astype(np.uint8)
    canvas = np.asarray(
        cv2.resize(big, (width * scale, height * scale), interpolation=cv2.INTER_NEAREST)
    )
    for doubt in doubts:
        x, y, wide, high = doubt.box
        mask = (drawing.marked[y : y + high, x : x + wide] == doubt.region).astype(np.uint8)
        mask = np.repeat(np.repeat(mask, scale, 0), scale, 1)
        edges, _ = cv2.findContours(
            mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(x * scale, y * scale)
        )
        cv2.drawContours(canvas, edges, -1, _MARK, 2, cv2.LINE_AA)
    _write_numbers(canvas, doubts, scale)
    return canvas


def _write_numbers(canvas: NDArray[np.uint8], doubts: tuple[Doubt, ...], scale: int) -> None:
    """Each region's number beside it where nothing else is written, with a leader to its point."""
    height, width = canvas.shape[:2]
    size = max(0.45, 0.45 * height / _LARGE)
    taken = np.zeros((height, width), np.uint8)
    for doubt in doubts:
        text = str(doubt.region)
        (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        wide, high = wide + 6, high + 8
        x, y = (round((place + 0.5) * scale) for place in doubt.point)
        left, top = _free_place(taken, x, y, wide, high)
        taken[top : top + high, left : left + wide] = 1
        cv2.line(canvas, (x, y), (left + wide // 2, top + high // 2), _MARK, 1, cv2.LINE_AA)
        cv2.circle(canvas, (x, y), 3, _MARK, -1, cv2.LINE_AA)
        cv2.rectangle(canvas, (left, top), (left + wide, top + high), (255, 255, 255), -1)
        cv2.rectangle(canvas, (left, top), (left + wide, top + high), _MARK, 1)
        cv2.putText(
            canvas, text, (left + 3, top + high - 4), cv2.FONT_HERSHEY_SIMPLEX, size, _MARK, 1,
            cv2.LINE_AA,
        )  # fmt: skip


def _free_place(taken: NDArray[np.uint8], x: int, y: int, wide: int, high: int) -> tuple[int, int]:
    """The nearest place to (x, y), on rings of eight directions, that no other number covers."""
    height, width = taken.shape
    for ring in range(1, 24):
        for turn in range(8):
            away = 12 + 10 * ring
            left = round(x + away * np.cos(np.pi * turn / 4) - wide / 2)
            top = round(y + away * np.sin(np.pi * turn / 4) - high / 2)
            if not (0 <= left < width - wide and 0 <= top < height - high):
                continue
            if not taken[top : top + high, left : left + wide].any():
                return left, top
    return min(max(x, 0), max(width - wide, 0)), min(max(y, 0), max(height - high, 0))
