"""A store that version 0.3.0 made: what it holds is used, what people decided on it stands.

`kept-0.3.0.tar.gz` is an episode of three shots (hold, interpolate 5/2, upscale), its store and no
film, as 0.3.0 left them: two shots approved, one sent back. Its frames were decoded by `BUILD`.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tasks.decode import decoder_build
from tests.conftest import Douga

KEPT = Path(__file__).with_name("kept-0.3.0.tar.gz")
BUILD = "pyav 18.1.0 libavcodec 62.28.102 libavformat 62.12.102"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of the episode."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "ep"


def test_what_it_holds_is_cached_or_the_plan_says_why(douga: Douga, kept: Path) -> None:
    plan = douga("plan", "episode.yaml", "--json", cwd=kept).document
    assert plan["chunks"] == 6
    if decoder_build() == BUILD:
        assert plan["to_compute"] == 0
        assert [shot["why"] for shot in plan["shots"]] == [["stored"]] * 3
    else:
        assert all("decoder" in " ".join(shot["why"]) for shot in plan["shots"])


def test_what_people_decided_stands(douga: Douga, kept: Path) -> None:
    if decoder_build() == BUILD:
        shots = douga("review", "episode.yaml", "--json", cwd=kept).document["shots"]
        verdicts = {shot["id"]: (shot["verdict"], shot["note"]) for shot in shots}
        assert verdicts == {
            "sh010": ("approved", "good"),
            "sh020": ("retake", "hand"),
            "sh030": ("approved", "good"),
        }
        waiting = douga("render", "episode.yaml", cwd=kept)
        assert (waiting.code, "sh020" in waiting.err, "sh010:" in waiting.err) == (3, True, False)
        assert douga("approve", "episode.yaml", "sh020", cwd=kept).code == 0
    film = douga("render", "episode.yaml", "--json", cwd=kept)
    assert film.code == (0 if decoder_build() == BUILD else 3), film.err
    if film.code == 0:
        checked = douga("verify", "episode.yaml", "--deep", "--json", cwd=kept)
        assert checked.code == 0, checked.err
        assert checked.document["chunks_remade"] == 6


def test_its_ledger_and_runs_are_read(douga: Douga, kept: Path) -> None:
    report = douga("report", "--store", "store", "--json", "--since", "all", cwd=kept)
    totals = report.document["totals"]
    assert [totals[name] for name in ("runs", "chunks_computed", "retakes")] == [1, 6, 1]
