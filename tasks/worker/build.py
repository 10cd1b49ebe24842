"""What makes the pixels on this machine: code, weights and libraries.

Two machines that differ in any of it may make other pixels under the same key. So a render's driver
says what it is, workers say what they are, and one that is something else gets no work.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cluster.errors import ClusterError
from cluster.keys import make_key
from tasks.decode.content import decoder_build
from tasks.models.engine import engines_here, library_here
from tasks.stages.registry import STAGES, stage_class

PACKAGES = ("torch", "numpy", "opencv-python-headless", "onnxruntime", "imagecodecs")
"""Whose versions may change a pixel. Local parts (`+cpu`, `+cu130`) are left out: a laptop without
a GPU drives a farm with some, and keys name the device type."""
ROOT = Path(__file__).parents[2]
LABORATORIES = ("tasks/training/", "tasks/benchmarks/", "tasks/synthetic/")
"""No worker imports them, and an installation may do without."""
SHORT = 12


@lru_cache(maxsize=1)
def this_build() -> dict[str, str]:
    """Everything by name, as short texts: `{"code": "9f3c…", "stage upscale": "3", …}`."""
    return {
        "code": _digest("cluster", "tasks", suffixes=(".py",)),
        "models": _digest("tasks", suffixes=(".json", ".safetensors")),
        **{f"stage {name}": str(stage_class(name).version) for name in STAGES},
        "decoder": decoder_build(),
        **{name: _version(name) for name in PACKAGES},
    }


def worker_build() -> dict[str, str]:
    """What a worker is made of: this machine's build, and its engines."""
    return {**this_build(), **{f"engine {name}": by for name, by in engines_here().items()}}


def build_for(engine: str) -> dict[str, str]:
    """What a worker must be made of for a plan of this machine whose networks run by `engine`."""
    return {**this_build(), **({f"engine {engine}": library_here()} if engine else {})}


def build_id() -> str:
    """The build in a few hex digits: what a work item carries."""
    return make_key(this_build())[:SHORT]


def check_build(expected: str, *, where: str) -> None:
    """ClusterError unless the work is for this build ("" is for any)."""
    if expected and expected != build_id():
        raise ClusterError(
            "the work is for another douga than this worker's",
            where=where,
            remedy="install the same douga on every node",
        )


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "none"


def _digest(*rooms: str, suffixes: tuple[str, ...]) -> str:
    """Of all such files in these packages, by path and bytes."""
    sha = hashlib.sha256()
    for room in rooms:
        for file in sorted((ROOT / room).rglob("*")):
            name = file.relative_to(ROOT).as_posix()
            if file.suffix in suffixes and not name.startswith(LABORATORIES):
                sha.update(f"{name}\0".encode())
                sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()[:SHORT]
