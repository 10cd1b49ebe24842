"""What is installed, which devices and encoders there are, and the remedy for what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from cluster.errors import DougaError
from cluster.settings import foreign, settings
from cluster.store.open import open_store
from flows.progress import Plain
from flows.words import size_words
from tasks.models.engine import fastest_here

PACKAGES = ("ray", "torch", "prefect", "boto3", "pyarrow", "av", "numpy", "opentimelineio")
ENCODERS = ("libx264", "libx265", "libsvtav1", "prores_ks", "ffv1", "aac", "flac", "libopus")
FREE_BYTES = 10 << 30
"""An episode of 24 minutes at 1080p rests in about this much."""

State = Literal["good", "optional", "bad"]


def examine(store: str = "", *, self_test: bool = False) -> dict[str, Any]:
    """Every check: what, found, state (good, optional, bad) and the remedy; `healthy` in all.

    With `self_test` the proofs are run too, a line on stderr for each.
    """
    checks: list[dict[str, Any]] = [
        *(_package(name) for name in PACKAGES),
        _extra("imagecodecs", "JPEG XL frames: pip install 'douga[jxl]'"),
        _extra("onnxruntime", "your own ONNX networks: pip install 'douga[onnx]'"),
        _extra("openvino", "the fast engine: pip install 'douga[fast]'"),
        _extra("spandrel", "your own PyTorch upscalers: pip install 'douga[zoo]'"),
        *_encoders(),
        _gpu(),
        _cores(),
        *_store(store or settings().store_url),
        _disk(settings().home),
        _prefect(),
    ]
    if self_test:
        from flows.commands.self_test.run import run_proofs

        with Plain() as reporter:
            checks += run_proofs(reporter)
    return {"healthy": all(check["state"] != "bad" for check in checks), "checks": checks}


def _check(what: str, found: str, state: State, remedy: str = "") -> dict[str, str]:
    return {"what": what, "found": found, "state": state, "remedy": remedy}


def _package(name: str) -> dict[str, str]:
    try:
        return _check(name, version(name), "good")
    except PackageNotFoundError:
        return _check(name, "missing", "bad", "make install")


def _extra(name: str, remedy: str) -> dict[str, str]:
    try:
        return _check(name, version(name), "good")
    except PackageNotFoundError:
        return _check(name, "missing", "optional", remedy)


def _encoders() -> list[dict[str, str]]:
    from tasks.encode.ffmpeg import encoders_available, ffmpeg_path

    try:
        has = encoders_available()
    except DougaError as error:
        return [_check("ffmpeg", str(error), "bad", "make install, or set DOUGA_FFMPEG")]
    missing = [name for name in ENCODERS if name not in has]
    ffmpeg = _check("ffmpeg", str(ffmpeg_path()), "good")
    if missing:
        lacks = f"lacks {', '.join(missing)}"
        return [ffmpeg, _check("encoders", lacks, "optional", "unset DOUGA_FFMPEG")]
    return [ffmpeg, _check("encoders", ", ".join(ENCODERS), "good")]


def _gpu() -> dict[str, str]:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return _check("GPU", "none", "optional", "networks run on the CPU; more cores, more speed")
    listing = subprocess.run(
        [smi, "--query-gpu=name,memory.total", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stdout.strip()
    import torch

    if not torch.cuda.is_available():
        remedy = "install the CUDA build of torch into this environment"
        return _check("GPU", f"{listing}, but torch has no CUDA", "bad", remedy)
    return _check("GPU", listing.replace("\n", "; "), "good")


def _cores() -> dict[str, str]:
    runs = f"networks by {fastest_here() or 'torch'}"
    return _check("CPU", f"{os.cpu_count()} cores, {runs}", "good")


def _store(url: str) -> list[dict[str, str]]:
    try:
        open_store(url).probe()
    except DougaError as error:
        return [_check("store", f"{url}: {error.what}", "bad", error.remedy)]
    return [_check("store", f"{url}: writes, reads, deletes", "good")]


def _disk(home: Path) -> dict[str, str]:
    at = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(at).free
    found = f"{size_words(free)} free at {at}"
    if free < FREE_BYTES:
        return _check("disk", found, "optional", "set DOUGA_HOME or --store to a larger disk")
    return _check("disk", found, "good")


def _prefect() -> dict[str, str]:
    url = foreign("PREFECT_API_URL")
    if not url:
        return _check("Prefect", "a server of our own for each run", "good")
    from flows.prefect.api import is_up

    if is_up(url):
        return _check("Prefect", url, "good")
    return _check("Prefect", f"{url} does not answer", "bad", "start it, or unset PREFECT_API_URL")
