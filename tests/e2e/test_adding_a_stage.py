"""docs/adding-a-stage.md is a true recipe: its blocks, put where it says, make a working stage."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks() -> tuple[dict[str, str], str]:
    """The files that the page spells out, by path, and its registry line."""
    page = (ROOT / "docs/adding-a-stage.md").read_text()
    files = dict(re.findall(r"^`([\w/]+\.py)`\n```python\n(.*?)^```", page, re.M | re.S))
    (line,) = re.findall(r"`STAGES`:\n\n```python\n(.*?)```", page, re.S)
    return files, line


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages and their tests with the page followed to the letter."""
    for name in ("flows", "tasks", "cluster", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    files, line = blocks()
    assert set(files) == {"tasks/stages/sharpen.py", "tests/tasks/stages/test_sharpen.py"}
    for path, text in files.items():
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(text)
    registry = tmp_path / "tasks/stages/registry.py"
    text = registry.read_text()
    registry.write_text(
        text.replace("STAGES: dict[str, str] = {\n", f"{'STAGES: dict[str, str] = {'}\n{line}")
    )
    return tmp_path


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of this Python with the copied tree in front of the installed one."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True
    )


def test_the_page_makes_a_stage_that_passes_its_tests_and_the_contract(tree: Path) -> None:
    done = run(
        tree, "-m", "pytest", "-q", "-k", "sharpen", "tests/tasks", "tests/contract/test_stages.py"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    linted = run(tree, "-m", "ruff", "check", *blocks()[0])
    assert linted.returncode == 0, linted.stdout
    listed = run(
        tree, "-m", "pytest", "-q", "--co", "-k", "sharpen", "tests/contract/test_stages.py"
    )
    assert "test_stages.py::test_frames_are_what_the_track_says[sharpen" in listed.stdout


def test_the_new_stage_renders_a_film(tree: Path, tiny_film: Path) -> None:
    out = tree / "look.mkv"
    done = run(
        tree, "-m", "flows.cli", "render", str(tiny_film), "--stage", "sharpen:amount=0.8",
        "-o", str(out), "--store", str(tree / "store"), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert out.exists()
    unknown = run(tree, "-m", "flows.cli", "plan", str(tiny_film), "--stage", "sharpen:amout=1")
    assert unknown.returncode == 64
    assert "did you mean 'amount'" in unknown.stderr
