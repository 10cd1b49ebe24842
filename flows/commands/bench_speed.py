"""`douga bench speed`: end-to-end frames a second beside the limit and the usual script."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from cluster.errors import DougaError
from cluster.scratch import scratch_folder
from cluster.settings import child_environment
from flows.commands.samples import make_sample
from flows.progress import Reporter

PEERS = (sys.executable, "-m", "tasks.benchmarks.speed")


def run_bench(reporter: Reporter, *, size: str, seconds: float, repeats: int) -> dict[str, Any]:
    """Interleaved rounds of every way on one sample; medians, and shares of the bare loop.

    `whole` counts the command from its start to a verified film, with Ray and Prefect started and
    stopped; `render` only from the first chunk handed out to the last segment stored. `engines` are
    shares of exact's CPU time for the same frame, on one thread.
    """
    with scratch_folder("bench") as name:
        folder = Path(name)
        made = make_sample(folder / "sample", reporter, seconds=seconds, size=size, truth=False)
        film = Path(made["film"])
        seen: dict[str, list[float]] = {"loop": [], "render": [], "whole": [], "script": []}
        for number in range(repeats):
            reporter.phase(f"round {number + 1} of {repeats}")
            frames, took = _peer("loop", film)
            seen["loop"].append(frames / took)
            whole, render = _douga(film, folder)
            seen["whole"].append(frames / whole)
            seen["render"].append(frames / render)
            frames, took = _peer("script", film)
            seen["script"].append(frames / took)
        engines = _run([*PEERS, "engines", str(film)], {})
    limit = median(seen["loop"])
    names = {
        "loop": "bare loop of the network (the limit)",
        "render": "douga, rendering and encoding",
        "whole": "douga, the whole command",
        "script": "PNG files in and out, one process",
    }
    return {
        "ways": [
            {
                "way": way,
                "name": names[way],
                "fps": median(rates),
                "share": median(rates) / limit,
                "rounds": rates,
            }
            for way, rates in seen.items()
        ],
        "frames": frames,
        "engines": {name: took / engines["exact"] for name, took in engines.items()},
        "on": f"{frames} frames of {size} upscaled 2x, {repeats} interleaved round(s), "
        f"{os.cpu_count()} cores ({platform.machine()})",
    }


def _peer(way: str, film: Path) -> tuple[int, float]:
    document = _run([*PEERS, way, str(film)], {})
    return document["frames"], document["seconds"]


def _douga(film: Path, folder: Path) -> tuple[float, float]:
    """Seconds of a whole `douga render` on an empty store, and of its rendering part."""
    store = folder / "store"
    shutil.rmtree(store, ignore_errors=True)
    out = folder / "film.mkv"
    out.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "flows.cli", "render", str(film)),
        *("-o", str(out), "--store", store.as_uri(), "--json"),
    ]
    began = time.perf_counter()
    document = _run(command, {"DOUGA_HOME": str(folder / "home")})
    return time.perf_counter() - began, document["render_s"]


def _run(command: list[str], extra: dict[str, str]) -> dict[str, Any]:
    environment = child_environment(extra, secrets=("",))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DougaError(f"{' '.join(command[1:4])} failed: {done.stderr.strip()[-300:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document
