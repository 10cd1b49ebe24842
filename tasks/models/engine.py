"""The engines that run networks: PyTorch, which is exact, and OpenVINO, which is fast.

An engine's name goes into the keys of what it makes. Bits are promised for one name: it says the
library, the arithmetic and the processor's units that do it (`openvino-bf16-amx`). What is called
exact has no name here: a network then runs as its card says, in float32 by PyTorch.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import open_plain

LIBRARY = "openvino"
EXACT = ""
"""In place of an engine's name: every network as its card says."""
PLAIN = f"{LIBRARY}-fp32"
"""Runs on any processor."""
_UNITS = (("amx_bf16", f"{LIBRARY}-bf16-amx"), ("avx512_bf16", f"{LIBRARY}-bf16-avx512"))
"""Processor flags of Linux, the faster first, and the engine of each. Without such units bf16 is
emulated, and slower than float32."""


@cache
def engines_here() -> dict[str, str]:
    """The fast engines that this machine has, the fastest first, each with the version of its
    library; none without OpenVINO. Imports nothing."""
    library = library_here()
    if not library:
        return {}
    flags = processor_flags()
    fitting = [name for flag, name in _UNITS if flag in flags]
    return dict.fromkeys((*fitting[:1], PLAIN), library)


def library_here() -> str:
    """The library of the fast engines with its version; empty where it is not installed."""
    try:
        return f"{LIBRARY} {version(LIBRARY)}"
    except PackageNotFoundError:
        return ""


def fastest_here() -> str:
    """The fastest engine that this machine has, EXACT where it has none but PyTorch."""
    return next(iter(engines_here()), EXACT)


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, as Linux names it; nothing elsewhere."""
    try:
        with open_plain(cpuinfo) as file:
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def check_here(engine: str, *, where: str) -> None:
    """ClusterError where this machine has not the engine that frames are planned for."""
    if engine == EXACT or engine in engines_here():
        return
    missing = "pip install 'douga[fast]'" if not engines_here() else "render on a machine with it"
    raise ClusterError(
        f"the frames are made by {engine}, this machine has {', '.join(engines_here()) or 'none'}",
        where=where,
        remedy=f"{missing}, or say precision: exact in the recipe, which makes them again",
    )


def is_bf16(engine: str) -> bool:
    """Whether an engine computes in bfloat16, which is not what float32 gives."""
    return "-bf16" in engine
