"""`make bench-farm`: a farm that many renders share, measured beside its limits.

`python -m tests.bench_farm FOLDER` writes farm.json and farm.md there.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.words import duration_words
from tests.bench_farm.farm import load
from tests.bench_farm.scenes import FULL, SCENES, STEADY, Measured

POLL_S = 1.0


def measure() -> dict[str, Any]:
    """Every scene's figures, and on what they were measured. The shorter scenes are played while
    the first one measures its shares."""
    began, before = time.monotonic(), load()
    with tempfile.TemporaryDirectory(prefix="douga-bench-", dir="/tmp") as folder:
        first, *others = SCENES
        playing = {first: _start(first, Path(folder, "0"))}
        while not Path(folder, "0", STEADY).exists() and playing[first].poll() is None:
            time.sleep(POLL_S)
        for number, name in enumerate(others, 1):
            playing[name] = _start(name, Path(folder, str(number)))
        scenes = {name: _figures(process) for name, process in playing.items()}
    return {
        "scenes": {
            name: [asdict(one) | {"met": one.is_met} for one in figures]
            for name, figures in scenes.items()
        },
        "size": asdict(FULL),
        "took_s": time.monotonic() - began,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load_before": before,
        "load_after": load(),
    }


def _start(name: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench_farm.scenes", name, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )


def _figures(process: subprocess.Popen[str]) -> list[Measured]:
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a scene failed with exit {process.returncode}")
    return [Measured(**each) for each in json.loads(said.splitlines()[-1])]


def page(figures: dict[str, Any]) -> str:
    """The figures as a page."""
    size = figures["size"]
    lines = [
        "# A farm that many share, measured",
        f"`make bench-farm`: a real Ray of {size['workers']} workers that sleep "
        f"{size['chunk_s']:g} s for a chunk on average ({size['queued_chunk_s']:g} s in the second "
        "and third table), real drivers as processes of their own that share one `DOUGA_FARM`, "
        "real stores, segments and films. "
        f"On {figures['cores']} cores ({figures['machine']}), whose load was "
        f"{figures['load_before']:.1f} a core before and {figures['load_after']:.1f} after; "
        f"it took {duration_words(figures['took_s'])}. Sleep dominates: lost is what drivers "
        "and shares lose, and what the start of a worker takes on so few cores. The second and "
        "third scene are played while the first one measures its shares.",
    ]
    for name, measured in figures["scenes"].items():
        lines += ["", f"## {name[0].upper()}{name[1:]}", "| | measured | at the most | |"]
        lines += ["|---|---|---|---|"]
        lines += [
            f"| {one['name']} | {_number(one['value'])} | {_number(one['limit'])} | "
            f"{'met' if one['met'] else '**not met**'} |"
            for one in measured
        ]
    lines += ["", figures["note"]] if "note" in figures else []
    lines += [
        "",
        "Nodes come and go by the tests' own provider, which asks Ray what its own autoscaler asks "
        "(`GcsClient.get_cluster_resource_state`): the autoscaler's test cluster misses a file in "
        "Ray 2.60.",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.3f}" if 0 < value < 1 else f"{value:.1f}".removesuffix(".0")


if __name__ == "__main__":
    into = Path(sys.argv[1])
    document = measure()
    into.mkdir(parents=True, exist_ok=True)
    (into / "farm.json").write_text(json.dumps(document, indent=1) + "\n")
    (into / "farm.md").write_text(page(document))
