"""The line works without its laboratories: training, benchmarks and the cartoon maker."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

LABORATORIES = ("training", "benchmarks", "synthetic")
WITHOUT_THE_CHECKOUT = """
import importlib.util, sys
sys.meta_path[:] = [each for each in sys.meta_path if "editable" not in repr(each).lower()]
assert importlib.util.find_spec("tasks.synthetic") is None
"""
"""An installation of the checkout would lend the copy what it lacks."""
COMMANDS_OF_LABORATORIES = ("samples", "bench_speed", "bench_page", "bench_pictures", "pictures")
"""Modules of flows.commands and its tables that stand for a laboratory."""


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages without the laboratories."""
    tree = tmp_path_factory.mktemp("line")
    ignore = shutil.ignore_patterns("__pycache__", *LABORATORIES)
    for package in ("flows", "tasks", "cluster"):
        shutil.copytree(ROOT / package, tree / package, ignore=ignore)
    (tree / "sitecustomize.py").write_text(WITHOUT_THE_CHECKOUT)
    return tree


def test_every_module_of_the_line_is_imported_without_them(line: Path) -> None:
    modules = [
        ".".join(path.relative_to(line).with_suffix("").parts)
        for path in sorted(line.glob("*/**/*.py"))
        if path.stem not in (*COMMANDS_OF_LABORATORIES, "__init__")
    ]
    program = (
        "import importlib, sys\n"
        "import tasks\n"
        f"assert tasks.__file__.startswith({str(line)!r}), tasks.__file__\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program, *modules],
        env={"PYTHONPATH": str(line), "PATH": "/usr/bin:/bin", "HOME": str(line)},
        cwd=line,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_film_is_rendered_without_them(
    line: Path, douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    ended = douga(
        *("render", tiny_film, "-o", tmp_path / "film.mkv", "--store", tmp_path / "store"),
        *("--stage", "hold", "--stage", "interpolate:factor=2", "--json"),
        cwd=tmp_path,
        PYTHONPATH=str(line),
    )
    assert ended.code == 0, ended.err


def test_what_needs_one_says_so_in_a_line(line: Path, douga: Any, tmp_path: Path) -> None:
    ended = douga("sample", tmp_path / "short", cwd=tmp_path, PYTHONPATH=str(line))
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "douga: this installation has no laboratories (tasks.synthetic); install douga whole"
    )
