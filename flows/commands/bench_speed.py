"""`douga bench speed`: frames a second, CPU and memory of a render, beside a limit and peers."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from cluster.errors import DougaError
from cluster.scratch import scratch_folder
from cluster.settings import child_environment
from cluster.store.open import open_store
from flows.commands.samples import make_sample
from flows.plan.engine import choose_engine
from flows.progress import Reporter
from flows.spec.documents import StageSpec

PEERS = "tasks.benchmarks.speed"
MEASURED = "tasks.benchmarks.process_tree"
PRECISIONS = ("exact", "fast")
WAYS = {
    "tight": "tight loop: decode, network, encode; nothing stored (the limit)",
    "loop": "bare loop of the network",
    "render": "douga, rendering and encoding",
    "whole": "douga, the whole command",
    "script": "PNG files in and out, one process",
    "lanczos": "ffmpeg's own scaler, no network",
    "default": "douga without a recipe: repeated drawings once",
}
Way = tuple[str, str]
"""A name of WAYS and a precision, "" where that plays no part."""
ALL_WAYS: tuple[Way, ...] = (
    ("tight", "exact"),
    ("loop", "exact"),
    ("whole", "exact"),
    ("script", "exact"),
    ("tight", "fast"),
    ("loop", "fast"),
    ("whole", "fast"),
    ("default", ""),
    ("lanczos", ""),
)
"""In the order in which a round measures them; `render` is a part of `whole`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One way, measured once: frames, seconds, and what the process and its children took (None
    where that is part of another way's)."""

    frames: int
    seconds: float
    cpu_s: float | None = None
    peak_bytes: int | None = None
    moved_bytes: int | None = None
    stored_bytes: int | None = None


@dataclass(slots=True, kw_only=True)
class Bench:
    """Measures ways on one film in a folder of its own, by the engine that a plan would choose."""

    film: Path
    folder: Path
    engine: str = field(init=False)

    def __post_init__(self) -> None:
        store = open_store((self.folder / "store").as_uri())
        steps = [StageSpec(stage="upscale", params={"precision": "fast"})]
        self.engine = choose_engine(store, self.film.stem, steps, ray="", device="cpu").engine

    def measure(self, way: Way) -> Iterator[tuple[Way, Round]]:
        """A way's round; that of `render` beside that of the whole command."""
        name, precision = way
        if name == "whole":
            recipe = ("--stage", f"upscale:precision={precision}")
            whole, render_s = self._douga(recipe)
            yield way, whole
            yield ("render", precision), Round(frames=whole.frames, seconds=render_s)
        elif name == "default":
            yield way, self._douga(())[0]
        else:
            yield way, self._peer(name, self.engine if precision == "fast" else "")

    def engines(self) -> dict[str, float]:
        """CPU time of the network by each engine, as a share of exact's."""
        took = _run([sys.executable, "-m", PEERS, "engines", str(self.film)], {})
        return {name: seconds / took["exact"] for name, seconds in took.items()}

    def _peer(self, name: str, engine: str) -> Round:
        took = _measured("-m", PEERS, name, str(self.film), engine)
        made = json.loads(took["stdout"])
        return Round(frames=made["frames"], seconds=made["seconds"], **_account(took))

    def _douga(self, recipe: Sequence[str]) -> tuple[Round, float]:
        """A whole `douga render` on an empty store and home, and the seconds of its rendering."""
        store, home = self.folder / "store", self.folder / "home"
        for folder in (store, home):
            shutil.rmtree(folder, ignore_errors=True)
        out = self.folder / "film.mkv"
        out.unlink(missing_ok=True)
        took = _measured(
            *("-m", "flows.cli", "render", str(self.film), *recipe),
            *("-o", str(out), "--store", store.as_uri(), "--json"),
            extra={"DOUGA_HOME": str(home), "DOUGA_DEVICE": "cpu"},
        )
        made = json.loads(took["stdout"])
        stored = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        whole = Round(
            frames=made["frames_in"],
            seconds=took["wall_s"],
            stored_bytes=stored,
            **_account(took),
        )
        return whole, made["render_s"]


def run_bench(reporter: Reporter, *, size: str, seconds: float, repeats: int) -> dict[str, Any]:
    """The document of `bench speed --json`: every way on a film drawn for it."""
    with scratch_folder("bench") as name:
        film = draw_film(Path(name, "sample"), reporter, seconds=seconds, size=size)
        return measure_film(film, Path(name), reporter, size=size, rounds=repeats)


def draw_film(folder: Path, reporter: Reporter, *, seconds: float, size: str) -> Path:
    """A film of the sample's cartoon."""
    made = make_sample(folder, reporter, seconds=seconds, size=size, truth=False)
    return Path(made["film"])


def measure_film(
    film: Path,
    folder: Path,
    reporter: Reporter,
    *,
    size: str,
    rounds: int,
    ways: Sequence[Way] = ALL_WAYS,
) -> dict[str, Any]:
    """Interleaved rounds of ways on one film, each on an empty store and home: medians, and shares
    of the tight loop and of the bare loop with the same engine.

    `whole` counts the command from its start to a verified film, with Ray and Prefect started and
    stopped; `render` only from the first chunk handed out to the last segment stored; peers neither
    imports nor model load. CPU seconds, memory and bytes moved are of all processes from start to
    end. `engines` are shares of exact's CPU time for the same frame, on one thread.
    """
    bench = Bench(film=film, folder=folder)
    seen: dict[Way, list[Round]] = {}
    for number in range(rounds):
        for way in ways:
            reporter.phase(f"round {number + 1} of {rounds}: {' '.join(way).strip()}")
            for measured, took in bench.measure(way):
                seen.setdefault(measured, []).append(took)
    made = describe_ways(seen)
    frames = made[0]["frames"]
    return {
        "ways": made,
        "frames": frames,
        "engines": bench.engines(),
        "engine": bench.engine or "torch",
        "rounds": rounds,
        "size": size,
        "on": f"{frames} frames of {size} upscaled 2x, {rounds} interleaved round(s), "
        f"{os.cpu_count()} cores ({platform.machine()})",
    }


def describe_ways(seen: dict[Way, list[Round]]) -> list[dict[str, Any]]:
    """Medians of each way's rounds, and its frames a second as shares of the limits' with the same
    engine (exact where a way has none; None where a limit was not measured); pure."""
    fps = {
        way: median(took.frames / took.seconds for took in rounds) for way, rounds in seen.items()
    }

    def share(way: Way, limit: str) -> float | None:
        base = fps.get((limit, way[1] or "exact"))
        return fps[way] / base if base else None

    return [
        {
            "way": way[0],
            "precision": way[1],
            "name": WAYS[way[0]],
            "fps": fps[way],
            "share": share(way, "loop"),
            "of_tight": share(way, "tight"),
            "frames": rounds[0].frames,
            "seconds": median(took.seconds for took in rounds),
            **{
                name: _median(rounds, name)
                for name in ("cpu_s", "peak_bytes", "moved_bytes", "stored_bytes")
            },
            "rounds": [took.frames / took.seconds for took in rounds],
        }
        for way, rounds in sorted(seen.items(), key=lambda item: _place(item[0]))
    ]


def _place(way: Way) -> tuple[int, int]:
    return list(WAYS).index(way[0]), ("exact", "fast", "").index(way[1])


def _median(rounds: Sequence[Round], name: str) -> float | None:
    values = [value for took in rounds if (value := getattr(took, name)) is not None]
    return median(values) if values else None


def _account(took: dict[str, Any]) -> dict[str, Any]:
    return {name: took[name] for name in ("cpu_s", "peak_bytes", "moved_bytes")}


def _measured(*arguments: str, extra: dict[str, str] | None = None) -> dict[str, Any]:
    """What this Python took with these arguments. DougaError where it failed."""
    took = _run([sys.executable, "-m", MEASURED, sys.executable, *arguments], extra or {})
    if took["code"]:
        raise DougaError(f"{' '.join(arguments[1:3])} failed: {took['stderr'].strip()[-300:]}")
    return took


def _run(command: list[str], extra: dict[str, str]) -> dict[str, Any]:
    environment = child_environment(extra, secrets=("",))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DougaError(f"{' '.join(command[1:4])} failed: {done.stderr.strip()[-300:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document
