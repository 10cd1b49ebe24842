"""In-betweens against the truth: `python -m tasks.measure.triplets PATH... [--json]`.

Every PATH (film, GIF, folder of frames) gives triplets of consecutive drawings; from the outer two
each method draws the middle one. All methods see the same triplets in the same call.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from tasks.measure.footage import Triplet, open_footage, read_triplets
from tasks.measure.inbetweens import Method, engine, engine_names, references
from tasks.measure.scores import Frame, mean_db, psnr, ssim

ORACLE_OF = ("average", "dis warp", "hold nearest")
BLOCK = 16
MOST = 30
"""Triplets of one source at the most, so that long films do not drown the others."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One method on one triplet: dB, SSIM, seconds (NaN for the oracles)."""

    psnr: float
    ssim: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """A method's means over the triplets; `ms` is milliseconds per in-between."""

    method: str
    psnr: float
    ssim: float
    ms: float
    triplets: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Triplet by triplet (by name, in order), what each method reached."""

    names: tuple[str, ...]
    shown: Mapping[str, tuple[Shown, ...]]

    def rows(self, source: str = "") -> list[Row]:
        """Means per method over all triplets, or over those of one source."""
        taken = [k for k, name in enumerate(self.names) if not source or _source(name) == source]
        out = []
        for method, every in self.shown.items():
            some = [every[k] for k in taken]
            out.append(
                Row(
                    method=method,
                    psnr=mean_db(one.psnr for one in some),
                    ssim=float(np.mean([one.ssim for one in some])),
                    ms=1000 * float(np.mean([one.seconds for one in some])),
                    triplets=len(some),
                )
            )
        return out

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources' names, in order."""
        return tuple(dict.fromkeys(_source(name) for name in self.names))


def measure_triplets(triplets: Iterable[Triplet], methods: Mapping[str, Method]) -> Measured:
    """Let every method draw the middle of every triplet at t = .5 and hold it against the truth.

    Where all of `ORACLE_OF` are among the methods two bounds are added: the best of them chosen
    per triplet, and per block of 16x16 pixels, by the truth.
    """
    names: list[str] = []
    shown: dict[str, list[Shown]] = {}
    for triplet in triplets:
        names.append(triplet.name)
        made: dict[str, Frame] = {}
        for name, method in methods.items():
            began = time.perf_counter()
            made[name] = method(triplet.a, triplet.b, 0.5)
            took = time.perf_counter() - began
            shown.setdefault(name, []).append(_score(made[name], triplet.middle, took))
        if all(name in made for name in ORACLE_OF):
            guesses = [made[name] for name in ORACLE_OF]
            best = max(guesses, key=lambda guess: psnr(guess, triplet.middle))
            oracles = {
                "oracle per triplet": best,
                f"oracle per {BLOCK}x{BLOCK}": oracle(guesses, triplet.middle),
            }
            for name, picture in oracles.items():
                shown.setdefault(name, []).append(_score(picture, triplet.middle, float("nan")))
    return Measured(tuple(names), {name: tuple(every) for name, every in shown.items()})


def oracle(guesses: Iterable[Frame], truth: Frame) -> Frame:
    """In every 16x16 pixels the guess with the least squared error (of equals the first)."""
    stack = np.stack(list(guesses))
    errors = np.square(stack.astype(np.int32) - truth).sum(-1)
    height, width = truth.shape[:2]
    made = np.empty_like(truth)
    for y in range(0, height, BLOCK):
        for x in range(0, width, BLOCK):
            block = slice(y, y + BLOCK), slice(x, x + BLOCK)
            best = int(errors[:, *block].sum((1, 2)).argmin())
            made[block] = stack[best][block]
    return made


def all_methods(*, threads: int = 1) -> dict[str, Method]:
    """The references and every engine of the stage, ours last, as `ours NAME`."""
    ours = {f"ours {name}": engine(name, threads=threads) for name in engine_names()}
    return {**references(), **ours}


def table(rows: Iterable[Row]) -> str:
    """Rows as text of 60 columns."""
    lines = [f"{'method':22}{'PSNR dB':>9}{'SSIM':>9}{'ms':>9}{'n':>6}"]
    for row in rows:
        ms = "" if np.isnan(row.ms) else f"{row.ms:.0f}"
        lines.append(f"{row.method:22}{row.psnr:9.2f}{row.ssim:9.4f}{ms:>9}{row.triplets:6}")
    return "\n".join(lines)


def _score(made: Frame, truth: Frame, seconds: float) -> Shown:
    return Shown(psnr(made, truth), ssim(made, truth), seconds)


def _source(name: str) -> str:
    return name.rpartition(" ")[0]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="films, GIFs, folders of frames")
    parser.add_argument("--most", type=int, default=MOST, help="triplets per source at the most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="a table per source too")
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    args = parser.parse_args()
    triplets: list[Triplet] = []
    for path in args.paths:
        triplets += read_triplets(open_footage(path), most=args.most)
        print(f"{path}: {len(triplets)} triplets so far", file=sys.stderr)
    measured = measure_triplets(triplets, all_methods(threads=args.threads))
    rows = {"all": measured.rows(), **{name: measured.rows(name) for name in measured.sources}}
    if args.json:
        print(json.dumps({name: [asdict(row) for row in some] for name, some in rows.items()}))
        return
    for name, some in rows.items():
        if name == "all" or args.each:
            print(f"\n{name}\n{table(some)}")


if __name__ == "__main__":
    main()
