"""An artist's corrections: read from YAML with the line of every mistake, carried along a shot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from cluster.errors import StageError, UsageError, shortly
from tasks.frames.optical_flow import Floats
from tasks.stages.colorize.match import Match
from tasks.stages.colorize.regions import Drawing
from tasks.stages.stage import Params
from tasks.stages.yaml_text import read_yaml

Point = tuple[int, int]
_KEPT = 0.5
"""A mark goes on to a region that continues the marked one at least this likely."""
_TOLD = ("box", "confidence", "why")
"""What the list of doubtful regions says besides, so that its entries can be copied as they are."""
MAX_BYTES = 4 << 20
"""No episode is corrected in more YAML; reading so much takes a minute."""
MAX_NODES = 1_000_000
"""Values of so many corrections."""
_EXAMPLE = '{frame: 12, point: [310, 95], colour: "#d23c32"}'


class Like(Params):
    """A place in a reference picture or model sheet, in its own pixels."""

    reference: str = Field(min_length=1)
    point: Point


class Correction(Params):
    """The region at `point` (x, y in pixels), or of number `region`, of shot-relative `frame` has
    `colour` "#rrggbb", or the colour `like` a place in a reference. `where` is its line."""

    frame: int = Field(ge=0)
    point: Point | None = None
    region: int | None = Field(default=None, ge=1, le=1 << 31)
    colour: str | None = Field(default=None, pattern=r"^#[0-9a-fA-F]{6}$")
    like: Like | None = None
    where: str = ""

    @model_validator(mode="after")
    def _one_place_one_colour(self) -> Correction:
        if self.point is None and self.region is None:
            raise PydanticCustomError("place", "expected point: [x, y] or region: number")
        if (self.colour is None) == (self.like is None):
            raise PydanticCustomError("colour", "expected either colour or like")
        return self

    def rgb(self) -> Floats | None:
        """The colour as R'G'B' signal (3,), None if it is that of a reference."""
        if self.colour is None:
            return None
        parts = [int(pair, 16) for pair in re.findall("..", self.colour[1:])]
        return np.array(parts, np.float32) / np.float32(255)


@dataclass(frozen=True, slots=True)
class Marks:
    """Corrections on a drawing: `mark` (count,) is one's number from 1, 0 for none; `sure` (count,)
    how likely the region is the one that was marked."""

    drawing: Drawing
    mark: NDArray[np.int64]
    sure: Floats


def read_corrections(
    data: bytes, path: str, *, shot: str, shots: Sequence[str]
) -> list[dict[str, Any]]:
    """The entries of one shot. UsageError `path:line: what; remedy` for anything wrong in the file,
    whichever shot it is about."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES >> 10} KiB", where=path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("not UTF-8 text", where=path) from error
    document, lines = read_yaml(text, where=path, most=MAX_NODES)
    if document is None:
        return []
    if not isinstance(document, dict):
        raise UsageError(
            "expected shots with their corrections",
            where=f"{path}:{lines[()]}",
            remedy=f"for example sh010: [{_EXAMPLE}]",
        )
    found: list[dict[str, Any]] = []
    for key, entries in document.items():
        where = f"{path}:{lines.get((str(key),), lines[()])}"
        if key not in shots:
            close = get_close_matches(str(key)[:100], list(shots), n=1)
            remedy = f"did you mean {close[0]!r}?" if close else "see douga plan for the shots"
            raise UsageError(f"no shot {shortly(key)}", where=where, remedy=remedy)
        if not isinstance(entries, list):
            raise UsageError(
                "expected a list of corrections", where=where, remedy=f"for example - {_EXAMPLE}"
            )
        read = [
            _entry(entry, f"{path}:{lines[key, number]}") for number, entry in enumerate(entries)
        ]
        found += read if key == shot else []
    return found


def _entry(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError("expected a correction", where=where, remedy=f"for example {_EXAMPLE}")
    value = {str(name): item for name, item in value.items() if name not in _TOLD}
    if value.get("point") is not None:
        value.pop("region", None)
    try:
        return Correction.model_validate({**value, "where": where}).model_dump(exclude_none=True)
    except ValidationError as error:
        what = _explained(error.errors()[0])
        raise UsageError(what, where=where, remedy=f"for example {_EXAMPLE}") from error


def _explained(first: Any) -> str:
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        close = get_close_matches(name[:100], list(Correction.model_fields), n=1)
        return f"unknown key {shortly(name)}" + (f", did you mean {close[0]!r}?" if close else "")
    if first["type"] == "string_pattern_mismatch":
        return f'{name}: expected "#rrggbb", got {shortly(first["input"])}'
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{name}: {message}" if name else str(message)


def place_marks(drawing: Drawing, corrections: Sequence[tuple[int, Correction]]) -> Marks:
    """The corrections of one frame, each with its number, on its drawing; the last one stays.

    StageError naming the line where there is no such region.
    """
    mark = np.zeros(drawing.count, np.int64)
    height, width = drawing.marked.shape
    for number, correction in corrections:
        region = correction.region or 0
        if correction.point is not None:
            x, y = correction.point
            if not (0 <= x < width and 0 <= y < height):
                raise StageError(
                    f"expected a point within {width}x{height}, got {x}, {y}",
                    where=correction.where,
                    remedy="count pixels from the frame's upper left",
                )
            region = int(drawing.filled[y, x])
        if region > drawing.count:
            raise StageError(
                f"expected a region from 1 to {drawing.count} in frame {correction.frame}, "
                f"got {region}",
                where=correction.where,
                remedy="name it by a point in it",
            )
        mark[region - 1] = number
    return Marks(drawing, mark, (mark > 0).astype(np.float32))


def carry_marks(before: Marks, drawing: Drawing, match: Match) -> Marks:
    """The same corrections on a neighbouring drawing: where their region most likely goes on."""
    numbers = np.unique(before.mark[before.mark > 0])
    if not len(numbers):
        return Marks(
            drawing, np.zeros(drawing.count, np.int64), np.zeros(drawing.count, np.float32)
        )
    chance = match.chance[:, :-1]
    held = [chance @ (before.mark == number).astype(np.float32) for number in numbers]
    likely = np.stack(held, -1)
    best = likely.argmax(1)
    on = likely.max(1) >= _KEPT
    sure = likely.max(1) * (chance @ before.sure) / np.maximum(likely.sum(1), 1e-6)
    return Marks(
        drawing,
        np.where(on, numbers[best], 0),
        np.where(on, np.minimum(sure, 1), 0).astype(np.float32),
    )
