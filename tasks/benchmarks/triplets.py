"""In-betweens against the truth: `python -m tasks.benchmarks.triplets PATH... [--json]`.

Every PATH (film, GIF, folder of frames) gives triplets of consecutive drawings; from the outer two
each method draws the middle one. All methods see the same triplets in the same call.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

import cv2
import numpy as np

from tasks.benchmarks.evaluation import Case, Evaluation, Kind, Way, evaluate
from tasks.benchmarks.footage import open_footage, read_triplets
from tasks.benchmarks.inbetweens import Method, engine, engines, references
from tasks.benchmarks.table import table_of
from tasks.metrics.scores import Frame, psnr
from tasks.stages.interpolate.stage import InterpolateParams

ORACLE_OF = ("average", "dis warp", "hold nearest")
BLOCK = 16
MOST = 30
"""Triplets of one source at the most, so that long films do not drown the others."""


def measure_triplets(
    triplets: Iterable[Case],
    methods: Mapping[str, Method] | None = None,
    *,
    progress: Callable[[], None] | None = None,
) -> Evaluation:
    """Draw the middle of every triplet by the references, every engine of ours, and `methods`.

    All at t = .5, against the drawing that was there. With two bounds: the best of average, DIS
    warp and hold chosen per triplet, and per 16x16 pixels, by the truth.
    """
    ways = [*all_ways()]
    ways += [between(name, method, "ours") for name, method in (methods or {}).items()]
    return evaluate(triplets, ways, bounds=oracles, progress=progress)


def all_ways() -> tuple[Way, ...]:
    """The references, then every engine of the stage as `ours NAME`, and users' networks."""
    chosen = InterpolateParams.model_fields["engine"].default
    ours = [
        between(
            f"peer {one.model}" if one.brought else f"ours {one.model or one.name}",
            engine(one.name, model=one.model),
            "peer" if one.brought else "ours",
            default=one.name == chosen and not one.model,
        )
        for one in engines()
    ]
    return (*(between(name, way, "reference") for name, way in references().items()), *ours)


def between(name: str, method: Method, kind: Kind, *, default: bool = False) -> Way:
    """A method of in-betweens as a way to make the middle of a triplet."""

    def make(a: Frame, b: Frame) -> Frame:
        return method(a, b, 0.5)

    return Way(name=name, kind=kind, make=make, default=default)


def oracles(made: Mapping[str, Frame], truth: Frame) -> dict[str, Frame]:
    """The best of `ORACLE_OF` for the whole picture, and block by block."""
    guesses = [made[name] for name in ORACLE_OF]
    return {
        "oracle per triplet": max(guesses, key=lambda guess: psnr(guess, truth)),
        f"oracle per {BLOCK}x{BLOCK}": best_blocks(guesses, truth),
    }


def best_blocks(guesses: Iterable[Frame], truth: Frame) -> Frame:
    """In every 16x16 pixels the guess with the least squared error (of equals the first)."""
    stack = np.stack(list(guesses))
    errors = np.square(stack.astype(np.int32) - truth).sum(-1)
    height, width = truth.shape[:2]
    made = np.empty_like(truth)
    for y in range(0, height, BLOCK):
        for x in range(0, width, BLOCK):
            rows, columns = slice(y, y + BLOCK), slice(x, x + BLOCK)
            best = int(errors[:, rows, columns].sum((1, 2)).argmin())
            made[rows, columns] = stack[best, rows, columns]
    return made


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="films, GIFs, folders of frames")
    parser.add_argument("--most", type=int, default=MOST, help="triplets per source at the most")
    parser.add_argument("--each", action="store_true", help="a table per source too")
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    triplets: list[Case] = []
    for path in args.paths:
        triplets += read_triplets(open_footage(path), most=args.most)
        print(f"{path}: {len(triplets)} triplets so far", file=sys.stderr)
    measured = measure_triplets(triplets)
    tables = {name: measured.rows(name) for name in dict.fromkeys(measured.sources)}
    tables = {"all": measured.rows(), **(tables if args.each or args.json else {})}
    if args.json:
        print(json.dumps({name: [asdict(row) for row in rows] for name, rows in tables.items()}))
        return
    for name, rows in tables.items():
        print(f"\n{name}\n{table_of(rows)}")


if __name__ == "__main__":
    main()
