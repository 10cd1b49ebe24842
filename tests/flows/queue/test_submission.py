"""What is handed to the farm: once for a job, with its files, whoever renders it where."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import DougaError, Exit, InputError, UsageError
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.progress import Silent
from flows.queue.files import receive, send_files
from flows.queue.submission import (
    Submission,
    SubmissionEnd,
    end_submission,
    hand_in,
    new_submission,
    waiting_submissions,
)
from flows.queue.wait import wait_for_end
from flows.spec.request import RenderRequest, make_request

EPISODE = """source: reels/a.mkv
cut: [24]
cast: {mika: {references: [art/mika.png]}}
recipe: [upscale]
delivery: {output: out/ep.mp4}
store: %s
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of this test's own."""
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


@pytest.fixture
def laptop(tmp_path: Path, home: Path) -> RenderRequest:
    """An episode on a laptop: a film and a drawing below its folder."""
    folder = tmp_path / "laptop/show"
    (folder / "reels").mkdir(parents=True)
    (folder / "art").mkdir()
    (folder / "reels/a.mkv").write_bytes(b"film")
    (folder / "art/mika.png").write_bytes(b"mika")
    (folder / "ep.yaml").write_text(EPISODE % (tmp_path / "store").as_uri())
    return make_request(str(folder / "ep.yaml"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "store").as_uri())


def handed_in(request: RenderRequest, store: Store, **more: Any) -> Submission:
    settled, files = send_files(request, store, Silent())
    return hand_in(store, new_submission(settled, files, **more))[0]


def test_files_are_laid_out_elsewhere_as_their_sender_had_them(
    laptop: RenderRequest, store: Store, home: Path, tmp_path: Path
) -> None:
    put = handed_in(laptop, store)
    shutil.rmtree(tmp_path / "laptop")
    got = receive(put, store, Silent(), film=tmp_path / "films/ep.mp4")
    source = Path(got.episode.resolve(got.episode.sources[0].path))
    art = Path(got.episode.resolve(got.episode.cast["mika"].references[0]))
    assert (source.read_bytes(), art.read_bytes()) == (b"film", b"mika")
    assert source.parts[-4:] == ("laptop", "show", "reels", "a.mkv")
    assert source.is_relative_to(home)
    assert got.output == str(tmp_path / "films/ep.mp4")
    assert got.episode.recipe == laptop.episode.recipe


def test_a_folder_of_frames_goes_with_its_pictures_and_nothing_hidden(
    store: Store, home: Path, tmp_path: Path
) -> None:
    frames = tmp_path / "laptop/frames"
    frames.mkdir(parents=True)
    for name in ("0001.png", "0002.png", "._0001.png"):
        (frames / name).write_bytes(name.encode())
    url = (tmp_path / "store").as_uri()
    put = handed_in(make_request(str(frames), fps="24", store=url), store)
    got = receive(put, store, Silent(), film=tmp_path / "ep.mkv")
    folder = Path(got.episode.resolve(got.episode.sources[0].path))
    assert sorted(each.name for each in folder.iterdir()) == ["0001.png", "0002.png"]


def test_what_the_farm_shares_is_not_sent(
    laptop: RenderRequest, store: Store, tmp_path: Path
) -> None:
    settled, files = send_files(laptop, store, Silent(), shared=[str(tmp_path / "laptop")])
    assert files == ()
    assert Path(settled.episode.sources[0].path).read_bytes() == b"film"


def test_a_dry_run_puts_nothing(laptop: RenderRequest, store: Store) -> None:
    _, files = send_files(laptop, store, Silent(), dry_run=True)
    assert len(files) == 2
    assert not list(store.list())


def test_a_file_that_the_store_has_no_more_is_one_line(
    laptop: RenderRequest, store: Store, tmp_path: Path
) -> None:
    put = handed_in(laptop, store)
    for stored in list(store.list("sources/")):
        store.delete(stored.name)
    with pytest.raises(InputError, match=r"mika\.png.*submit"):
        receive(put, store, Silent(), film=tmp_path / "ep.mp4")


def test_a_path_that_was_not_sent_leads_nowhere(
    laptop: RenderRequest, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes a submission by hand may not have this machine read its own files."""
    monkeypatch.setenv("DOUGA_ROOTS", str(home))
    settings.cache_clear()
    forged = replace(new_submission(laptop, ()), files=())
    with pytest.raises(UsageError, match="leads out"):
        receive(forged, store, Silent(), film=home / "ep.mp4")


@pytest.mark.parametrize("path", ["/../../etc/passwd", "etc/passwd", ""])
def test_a_file_that_is_to_lie_elsewhere_is_refused(
    laptop: RenderRequest, store: Store, home: Path, path: str
) -> None:
    put = handed_in(laptop, store)
    forged = replace(put, files=(replace(put.files[0], path=path),))
    with pytest.raises(DougaError, match="absolute"):
        receive(forged, store, Silent(), film=home / "ep.mp4")


def end(code: Exit) -> SubmissionEnd:
    return SubmissionEnd(state="done", exit_code=code, at="2026-12-01T00:00:00+00:00")


def test_a_job_is_taken_once(laptop: RenderRequest, store: Store) -> None:
    first = handed_in(laptop, store, job="nightly-12")
    again = handed_in(laptop, store, job="nightly-12")
    assert again == first
    assert [each.job for each in waiting_submissions(store)] == ["nightly-12"]


def test_another_request_may_not_take_its_key(laptop: RenderRequest, store: Store) -> None:
    handed_in(laptop, store, job="k")
    other = laptop.model_copy(update={"chunk": 12})
    with pytest.raises(UsageError, match="another request"):
        handed_in(other, store, job="k")


def test_a_job_that_failed_may_be_handed_in_again_mended(
    laptop: RenderRequest, store: Store
) -> None:
    first = handed_in(laptop, store, job="k")
    end_submission(store, first.name, end(Exit.FAILED))
    assert not list(waiting_submissions(store))
    mended = handed_in(laptop.model_copy(update={"chunk": 12}), store, job="k")
    assert mended.attempt == 2
    assert [each.name for each in waiting_submissions(store)] == [mended.name]


def test_a_job_that_was_done_well_is_done(laptop: RenderRequest, store: Store) -> None:
    first = handed_in(laptop, store, job="k")
    end_submission(store, first.name, end(Exit.GOOD))
    settled, files = send_files(laptop, store, Silent())
    put, ended = hand_in(store, new_submission(settled, files, job="k"))
    assert put == first
    assert ended is not None


def test_the_first_end_stands(laptop: RenderRequest, store: Store) -> None:
    first = handed_in(laptop, store, job="k")
    end_submission(store, first.name, end(Exit.INTERRUPTED))
    end_submission(store, first.name, end(Exit.GOOD))
    settled, files = send_files(laptop, store, Silent())
    put, _ = hand_in(store, new_submission(settled, files, job="k"))
    assert put.attempt == 2, "it was cancelled first"


@pytest.mark.parametrize("name", ["第七話「海辺の灯台と、帰らなかった夏の日」", "e" * 180])
def test_an_episode_of_any_name_is_handed_in_and_may_be_waited_for(
    name: str, store: Store, home: Path, tmp_path: Path
) -> None:
    film = tmp_path / "laptop.mkv"
    film.write_bytes(b"film")
    request = make_request(str(film), store=store.url)
    episode = request.episode.model_copy(update={"name": name})
    put = handed_in(request.model_copy(update={"episode": episode}), store)
    assert [each.job for each in waiting_submissions(store)] == [put.job]
    assert wait_for_end(store, name, Silent()) is None, "it is no job's name"
