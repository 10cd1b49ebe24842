"""All that `douga bench pictures` measures: sections of cases, ways and rows, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2

from tasks.benchmarks.colourings import paint_case, ways_to_paint, with_shares
from tasks.benchmarks.enlargements import BORDER, damages, small_cases, ways_to_enlarge
from tasks.benchmarks.evaluation import Case, Evaluation, Row, Way, evaluate
from tasks.benchmarks.footage import evenly
from tasks.benchmarks.material import Material
from tasks.benchmarks.paint import PaintPair, pairs_of, sample_pairs
from tasks.benchmarks.triplets import all_ways, oracles

StageName = Literal["interpolate", "upscale", "colorize"]
SAMPLE_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured: cases of each source at the most, and factors of enlargement."""

    triplets: int
    stills: int
    pairs: int
    factors: tuple[int, ...]


FULL = Amount(triplets=30, stills=8, pairs=1000, factors=(2, 3, 4))
QUICK = Amount(triplets=3, stills=2, pairs=3, factors=(2,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One stage under one condition: the same cases for every way."""

    stage: StageName
    what: str
    cases: tuple[Case, ...]
    ways: tuple[Way, ...]
    evaluation: Evaluation
    rows: tuple[Row, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the cases come from."""
        return tuple(dict.fromkeys(case.source for case in self.cases))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to measure. Without `paths` the sample; without `sheets` (drawings, their colouring)
    the sample's drawings. `peers` are ONNX files that enlarge."""

    stages: tuple[StageName, ...]
    paths: tuple[str, ...] = ()
    sheets: tuple[tuple[Path, Path], ...] = ()
    peers: tuple[Path, ...] = ()
    amount: Amount = FULL


Tell = Callable[[str, float], None]
"""Told what is being measured and the part of it that is done, 0 to 1."""


def measure_pictures(asked: Asked, tell: Tell) -> Iterator[Section]:
    """The sections, one by one, in the order of `stages`. All ways run on one thread."""
    cv2.setNumThreads(1)
    framed = [stage for stage in asked.stages if stage != "colorize"]
    material = None
    if framed:
        material = Material(asked.paths, progress=lambda part: tell("looking for drawings", part))
    for stage in asked.stages:
        if stage == "colorize":
            yield _painted(asked, tell)
        elif stage == "interpolate":
            assert material is not None
            yield from _inbetweens(material, asked, tell)
        else:
            assert material is not None
            yield from _enlarged(material, asked, tell)


def _inbetweens(material: Material, asked: Asked, tell: Tell) -> Iterator[Section]:
    cases = tuple(material.triplets(most=asked.amount.triplets))
    if not cases:
        return
    what = "the drawing between two drawings"
    ways = all_ways()
    told = _counting(f"interpolate: {what}", len(cases), tell)
    found = evaluate(cases, ways, bounds=oracles, progress=told)
    yield _section("interpolate", what, cases, ways, found)


def _enlarged(material: Material, asked: Asked, tell: Tell) -> Iterator[Section]:
    stills = material.stills(most=asked.amount.stills)
    for factor in asked.amount.factors:
        ways = ways_to_enlarge(factor=factor, peers=asked.peers)
        for words, damage in damages().items():
            what = f"{factor}x, {words}"
            cases = tuple(small_cases(stills, damage, factor=factor))
            told = _counting(f"upscale: {what}", len(cases), tell)
            found = evaluate(cases, ways, border=BORDER, progress=told)
            yield _section("upscale", what, cases, ways, found)


def _painted(asked: Asked, tell: Tell) -> Section:
    pairs = _pairs(asked)
    cases = tuple(paint_case(pair) for pair in pairs)
    ways = ways_to_paint()
    what = "the next drawing, painted like the one before"
    found = evaluate(cases, ways, progress=_counting(f"colorize: {what}", len(cases), tell))
    rows = with_shares(found.rows(), pairs)
    return Section(
        stage="colorize", what=what, cases=cases, ways=tuple(ways), evaluation=found, rows=rows
    )


def _pairs(asked: Asked) -> list[PaintPair]:
    most = asked.amount.pairs
    if not asked.sheets:
        return evenly(list(sample_pairs(SAMPLE_SEED)), most=most)
    return [pair for sheet in asked.sheets for pair in evenly(pairs_of(*sheet), most=most)]


def _section(
    stage: StageName, what: str, cases: tuple[Case, ...], ways: Sequence[Way], found: Evaluation
) -> Section:
    return Section(
        stage=stage,
        what=what,
        cases=cases,
        ways=tuple(ways),
        evaluation=found,
        rows=found.rows(),
    )


def _counting(what: str, count: int, tell: Tell) -> Callable[[], None]:
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        tell(what, done / count)

    tell(what, 0.0)
    return one_more
