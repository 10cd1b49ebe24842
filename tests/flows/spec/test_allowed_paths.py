"""With DOUGA_ROOTS set, no path of an episode leads out of them; without, a person's own rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import Exit, UsageError
from cluster.settings import settings
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.spec.documents import EpisodeSpec
from flows.spec.request import make_request


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two folders that episodes may use, `show` and `cast`, and one that they may not."""
    for name in ("show", "cast", "private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"-")
    (tmp_path / "show" / "link.png").symlink_to(tmp_path / "private" / "a.png")
    (tmp_path / "show" / "fine.png").symlink_to(tmp_path / "cast" / "a.png")
    monkeypatch.setenv("DOUGA_ROOTS", os.pathsep.join(str(tmp_path / n) for n in ("show", "cast")))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def episode(studio: Path) -> EpisodeSpec:
    return EpisodeSpec.model_validate(
        {"name": "ep", "source": "film.mkv", "folder": str(studio / "show")}
    )


@pytest.mark.parametrize("path", ["a.png", "../cast/a.png", "fine.png", "new/not/there.png", "."])
def test_paths_within_allowed_folders_are_used(path: str, studio: Path) -> None:
    assert episode(studio).resolve(path) == str((studio / "show" / path).absolute())


@pytest.mark.parametrize(
    "path",
    ["../private/a.png", "/etc/passwd", "link.png", "../show-2/a.png", "..", "~/a.png",
     "file:///etc/passwd", "new/../../private/a.png"],
)  # fmt: skip
def test_paths_out_of_them_are_refused_in_a_line(path: str, studio: Path) -> None:
    with pytest.raises(UsageError, match=r"leads out of .*DOUGA_ROOTS") as refused:
        episode(studio).resolve(path)
    assert refused.value.exit_code == Exit.USAGE
    assert "\n" not in str(refused.value)


def test_objects_are_bounded_by_the_key(studio: Path) -> None:
    assert episode(studio).resolve("s3://films/ep.mkv") == "s3://films/ep.mkv"


def test_without_allowed_folders_a_path_may_lead_anywhere(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOUGA_ROOTS")
    settings.cache_clear()
    assert episode(studio).resolve("/etc/hosts") == "/etc/hosts"


@pytest.mark.parametrize(
    "line",
    [
        "source: /private/film.mkv",
        "source: film.mkv\ncut: ../private/cut.otio",
        "source: film.mkv\ncast: {mika: {references: [../private/a.png]}}",
        "source: film.mkv\nrecipe: [{colorize: {reference: ../private/a.png}}]\ncut: [24]",
        "source: film.mkv\nrecipe: [{colorize: {references: [{path: a.png}], "
        "corrections: ../private/a.png}}]\ncut: [24]",
        "source: film.mkv\ndelivery: {output: ../private/film.mkv}",
        "source: film.mkv\nstore: ../private/store",
    ],
    ids=["source", "cut", "cast", "references", "corrections", "output", "store"],
)
def test_every_path_of_an_episode_is_held_to_them(line: str, studio: Path, tiny_film: Path) -> None:
    (studio / "show" / "film.mkv").write_bytes(tiny_film.read_bytes())
    spec = studio / "show" / "ep.yaml"
    spec.write_text(f"{line}\n")
    with pytest.raises(UsageError, match="leads out of the folders that episodes may use"):
        prepare(make_request(str(spec)), Silent())
