"""What a worker says that it is made of, and work for another build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from tasks.stages.registry import STAGES
from tasks.worker.build import build_id, check_build, this_build
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """What another test added to the stages is in no build here, nor the other way round."""
    this_build.cache_clear()
    yield
    this_build.cache_clear()


def build_of(tree: Path) -> str:
    """The id of another installation, told by a process that runs it."""
    program = "from tasks.worker.build import build_id; print(build_id())"
    words = [sys.executable, "-P", "-c", program]
    done = subprocess.run(
        words, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages that workers need."""
    for name in ("tasks", "cluster"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    return tmp_path


def test_it_names_code_models_stages_and_libraries() -> None:
    build = this_build()
    assert {f"stage {name}" for name in STAGES} < set(build)
    assert {"code", "models", "decoder", "torch"} < set(build)
    assert "+" not in build["torch"], "a laptop without a GPU may drive a farm with some"


def test_the_same_code_elsewhere_is_the_same_build(tree: Path) -> None:
    shutil.rmtree(tree / "tasks/training")
    assert build_of(tree) == build_id(), "an installation without the laboratories makes the same"


def test_other_code_and_other_weights_are_another_build(tree: Path) -> None:
    stage = tree / "tasks/stages/hold.py"
    text = stage.read_text()
    stage.write_text(text.replace("version = 1", "version = 2"))
    assert build_of(tree) != build_id()
    stage.write_text(text)
    with (tree / "tasks/models/upscale2x/weights.safetensors").open("ab") as weights:
        weights.write(b"x")
    assert build_of(tree) != build_id()


def test_work_for_another_build_is_refused() -> None:
    check_build("", where="ep01/sh010")
    check_build(build_id(), where="ep01/sh010")
    with pytest.raises(ClusterError, match="another douga"):
        check_build("000000000000", where="ep01/sh010")
