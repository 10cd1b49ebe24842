"""`douga doctor --self-test`: what it proves, and what it says of a proof that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from flows.commands.self_test.run import run_proofs
from flows.progress import Silent
from tests.conftest import ROOT

PROOFS = '''
"""A file of proofs."""
import pytest
from cluster.errors import InputError


def test_good() -> None:
    """All is well."""


@pytest.mark.remedy("buy another one")
def test_bad() -> None:
    """The disk holds."""
    assert 1 + 1 == 3, "it gave way"


@pytest.mark.remedy("mend it")
@pytest.mark.parametrize("name", ["a"])
def test_error(name: str) -> None:
    """The file is read."""
    raise InputError("no such file", where="x.mkv", remedy="check the path")


def test_absent() -> None:
    """The GPU computes."""
    pytest.skip("there is none")
'''


class Lines(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def phase(self, text: str) -> None:
        self.lines.append(text)


def test_a_failed_proof_is_a_line_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proofs, said = tmp_path / "proofs.py", Lines()
    proofs.write_text(PROOFS)
    (tmp_path / "conftest.py").write_text("raise RuntimeError('not ours')")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    good, bad, error, absent = run_proofs(said, proofs=proofs)
    assert (good["what"], good["state"], good["remedy"]) == ("All is well", "good", "")
    assert (bad["what"], bad["state"], bad["remedy"]) == (
        "The disk holds",
        "bad",
        "buy another one",
    )
    assert bad["found"].startswith("it gave way")
    assert (error["what"], error["state"]) == ("The file is read (a)", "bad")
    assert error["found"] == "x.mkv: no such file; check the path"
    assert (absent["state"], absent["found"]) == ("optional", "there is none")
    assert len(said.lines) == 4
    assert said.lines[1].startswith("self-test: The disk holds: it gave way")


def test_a_machine_is_proven_without_the_repository(douga: Any, tmp_path: Path) -> None:
    """From a folder that holds the packages alone, as a wheel installs them."""
    for package in ("flows", "tasks", "cluster"):
        (tmp_path / package).symlink_to(ROOT / package)
    ended = douga(
        *("doctor", "--self-test", "--json", "--store", tmp_path / "store"),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
    )
    assert ended.code == 0, ended.err
    states = {check["what"]: check["state"] for check in ended.document["checks"]}
    assert (
        states["A render that changes nothing gives the sources' own samples, verified"] == "good"
    )
    assert states["Stage gives the same frames in any chunks (colorize-0)"] == "good"
    assert states["Encoder makes the same bytes twice (libx264)"] == "good"
    assert ended.document["healthy"] is True
    assert sum("self-test:" in line for line in ended.err.splitlines()) >= 25


def test_a_broken_ffmpeg_fails_the_proofs_that_need_it(douga: Any, tmp_path: Path) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 1\n")
    os.chmod(broken, 0o755)
    ended = douga(
        *("doctor", "--self-test", "--json", "--store", tmp_path / "store"),
        DOUGA_FFMPEG=str(broken),
    )
    assert ended.code == 1
    failed = {c["what"]: c["remedy"] for c in ended.document["checks"] if c["state"] == "bad"}
    assert "DOUGA_FFMPEG" in failed["Decoding and encoding keep every sample"]
    assert not any(name.startswith("Stage") for name in failed)
