"""What the whole suite shares: a home of its own, one small sample, one local Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="session")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Settings of the suite: a home that it made, Prefect only where a test asks for it."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if name.startswith("DOUGA_")}
    for name in kept:
        del os.environ[name]
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update({"DOUGA_HOME": str(home), "DOUGA_PREFECT": "off", "NO_COLOR": "1"})
    from cluster.settings import settings

    settings.cache_clear()
    yield home
    settings.cache_clear()
    os.environ.update(kept)


@dataclass(frozen=True)
class Ended:
    """A finished command: exit code, both outputs."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        document: dict[str, Any] = json.loads(self.out)
        return document


Douga = Callable[..., Ended]


@pytest.fixture(scope="session")
def douga(own_home: Path) -> Douga:
    """Runs the real command in a process of its own."""

    def run(*words: str | Path, cwd: Path | None = None, timeout_s: float = 240, **more: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", *map(str, words)],
            cwd=cwd or own_home,
            env={**os.environ, "PYTHONPATH": str(ROOT), **more},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A sample short of 14 shots, 160x90, with all its truth; shared, never written to."""
    from tasks.sample import write_sample

    folder = tmp_path_factory.mktemp("sample")
    return write_sample(folder, seed=3, shots=14, seconds=6.0, size=(160, 90))


@pytest.fixture(scope="session")
def tiny_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of two plain shots with sound, 64x48 at 24 frames a second."""
    from tasks.ffmpeg import run_ffmpeg

    film = tmp_path_factory.mktemp("tiny") / "tiny.mkv"
    run_ffmpeg(
        [
            *("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=1"),
            *("-f", "lavfi", "-i", "mandelbrot=size=64x48:rate=24,trim=duration=1"),
            *("-f", "lavfi", "-i", "sine=frequency=440:duration=2"),
            *("-filter_complex", "[0:v][1:v]concat=n=2:v=1:a=0[v]", "-map", "[v]", "-map", "2:a"),
            *("-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "12", "-c:a", "flac", str(film)),
        ]
    )
    return film


@pytest.fixture(scope="session")
def local_ray(own_home: Path) -> Iterator[None]:
    """One local Ray for every test that renders in this process."""
    from cluster.connect import join_cluster

    with join_cluster(workers=3):
        yield


@pytest.fixture
def ntsc() -> Fraction:
    """The film rate of television."""
    return Fraction(24000, 1001)
