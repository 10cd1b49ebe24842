"""A source that is exported again while a render runs: one line, and nothing wrong is kept.

Each kind is replaced at a moment that a reporter hears of; then the old file comes back, and the
same store gives the film that an undisturbed render gives.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from cluster.chunks.write import encode_chunk
from cluster.errors import InputError
from cluster.keys import digest_bytes
from cluster.settings import home_folder
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.render import render
from flows.spec.request import RenderRequest
from flows.verify.check import check_document, remove_objects
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.frames.codes import Frames
from tasks.worker.item import chunk_name, segment_name
from tests.farm_here import FarmHere
from tests.seeded.store_faults import put_frames
from tests.stored_codes import stored_codes

CHANGED = "changed since it was indexed"


class Studio:
    """An episode whose source is put aside for another one at some moment, and comes back."""

    def __init__(
        self,
        lab: Any,
        folder: Path,
        document: dict[str, Any],
        *,
        source: Path,
        good: Path,
        bad: Path,
    ) -> None:
        self.lab, self.folder, self.document = lab, folder, document
        self.source, self.good, self.bad = source, good, bad
        self.film = folder / "film.mkv"

    def put(self, what: Path) -> None:
        """Have the source be a copy of this, as an editor's export does it."""
        if what.is_dir():
            for file in what.iterdir():
                fresh = self.source / f".{file.name}"
                shutil.copy(file, fresh)
                os.replace(fresh, self.source / file.name)
        else:
            fresh = self.source.with_name("fresh.mkv")
            shutil.copy(what, fresh)
            os.replace(fresh, self.source)

    def request(self, *, store: str) -> RenderRequest:
        """To render the episode into this store."""
        document = {**self.document, "store": str(self.folder / store)}
        request = self.lab.request(self.folder, document, output=str(self.film), chunk=4)
        assert isinstance(request, RenderRequest)
        return request

    def render(self, *, store: str, when: Moment | None = None) -> list[str]:
        """The hashes of the film's frames. InputError as the render gives it, or its shots do."""
        farm = FarmHere(lose=when.chunk if when else lambda: None)
        result = render(self.request(store=store), when or Silent(), farm=farm.opened)
        if result.film is None:
            raise InputError("; ".join(shot.error or "" for shot in result.shots))
        with av.open(result.film) as film:
            return [
                digest_bytes(frame.to_ndarray(format="rgb24").tobytes())
                for frame in film.decode(video=0)
            ]


class Moment(Silent):
    """Does something once: when a phase begins, or before the n-th chunk is made."""

    def __init__(self, at: str | int, do: Callable[[], None]) -> None:
        self.at, self.do, self.chunks, self.came = at, do, 0, False

    def phase(self, text: str) -> None:
        """A part of the work begins."""
        if isinstance(self.at, str) and text.startswith(self.at) and not self.came:
            self.came = True
            self.do()

    def chunk(self) -> None:
        """A chunk is about to be made."""
        self.chunks += 1
        if self.chunks == self.at:
            self.came = True
            self.do()


@pytest.fixture(params=["film", "folder"])
def studio(request: pytest.FixtureRequest, lab: Any, tmp_path: Path) -> Studio:
    """Twelve frames, twice: as they were, and as somebody exports them again."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder, shade in ((good, 60), (bad, 200)):
        folder.mkdir()
        for number in range(12):
            frame = np.full((32, 48, 3), shade, np.uint8)
            frame[8:24, 2 * number : 2 * number + 8] = 255
            cv2.imwrite(str(folder / f"{number:04}.png"), frame)
    document: dict[str, Any] = {"cut": [6], "recipe": ["hold"], "delivery": {"encoder": "ffv1"}}
    if request.param == "folder":
        for name in ("0000.png", "0001.png", "0002.png"):
            shutil.copy(good / name, bad / name)  # not every frame is another one
        source = Path(shutil.copytree(good, tmp_path / "frames"))
        document["source"] = {"path": str(source), "fps": 24}
        return Studio(lab, tmp_path, document, source=source, good=good, bad=bad)
    films = [tmp_path / f"{folder.name}.mkv" for folder in (good, bad)]
    for folder, film in zip((good, bad), films, strict=True):
        sound = [
            "-f",
            "lavfi",
            "-i",
            f"sine=frequency={440 if folder == good else 880}:duration=0.5",
        ]
        frames = ["-framerate", "24", "-i", str(folder / "%04d.png")]
        run_ffmpeg([*frames, *sound, "-c:v", "ffv1", "-c:a", "flac", "-shortest", str(film)])
    film = Path(shutil.copy(films[0], tmp_path / "source.mkv"))
    document["source"] = str(film)
    return Studio(lab, tmp_path, document, source=film, good=films[0], bad=films[1])


@pytest.mark.parametrize("at", ["finding cuts", 1, 3, "assembling", "verifying"])
def test_a_source_exported_again_poisons_nothing(studio: Studio, at: str | int) -> None:
    if studio.good.is_dir() and at in ("assembling", "verifying"):
        return  # nothing of a folder is read by then
    undisturbed = studio.render(store="undisturbed")
    studio.film.unlink()
    shutil.rmtree(home_folder("cache/analysis"))
    moment = Moment(at, lambda: studio.put(studio.bad))
    with pytest.raises(InputError, match=CHANGED):
        studio.render(store="store", when=moment)
    assert moment.came
    assert not studio.film.exists()
    studio.put(studio.good)
    assert studio.render(store="store") == undisturbed


def poison(prepared: Prepared, name: str, change: Callable[[Frames], Frames]) -> None:
    """Have a stored chunk show other pictures under a right digest."""
    store = prepared.store
    put_frames(store, name, change(stored_codes(store, name, prepared.plan.picture)))


def test_a_chunk_of_other_pictures_does_not_vouch_for_itself(studio: Studio) -> None:
    undisturbed = studio.render(store="store")
    prepared = prepare(studio.request(store="store"), Silent())
    shot = prepared.plan.shots[1]
    assert shot.segment is not None
    poison(prepared, chunk_name(shot.runs[-1].items[0].key), lambda frames: frames[:, :, ::-1])
    prepared.store.delete(segment_name(shot.segment.key))
    studio.film.unlink()
    request = studio.request(store="store")
    result = render(request, Silent(), farm=FarmHere().opened)
    assert result.film is None
    found = [text for text in result.findings if "sh020" in text and "source's" in text]
    assert len(found) == len(result.findings) == 1
    failed = studio.film.with_name("film.wanting.mkv")
    document = check_document(prepare(request, Silent()), failed, Silent())
    remove_objects(prepared, document["objects"])
    assert studio.render(store="store") == undisturbed


def test_wrong_codes_that_an_earlier_version_left_go_with_what_was_made_of_them(
    studio: Studio,
) -> None:
    """Frames for the film are planes, made of codes where those are stored."""
    studio.document["recipe"] = [{"interpolate": {"factor": 2, "engine": "dis"}}]
    undisturbed = studio.render(store="store")
    prepared = prepare(studio.request(store="store"), Silent())
    store, shot = prepared.store, prepared.plan.shots[1]
    item, segment = shot.runs[-1].items[0], shot.segment
    assert item.codes is not None
    assert segment is not None
    right = stored_codes(store, chunk_name(item.key), prepared.plan.picture)
    times = [shot.track.times[index] - shot.track.times[0] for index in item.out.indices()]
    wrong = encode_chunk(right + np.uint16(200), first=item.out.start, times=times, meta={})
    store.put(chunk_name(item.codes), wrong)
    for gone in (chunk_name(item.key), segment_name(segment.key)):
        store.delete(gone)
    studio.film.unlink()
    assert studio.render(store="store") != undisturbed
    document = check_document(
        prepare(studio.request(store="store"), Silent()), studio.film, Silent(), deep=True
    )
    assert [found["what"] for found in document["findings"]] == ["stored chunk"]
    remove_objects(prepared, document["objects"])
    studio.film.unlink()
    assert studio.render(store="store") == undisturbed


def test_what_was_poisoned_earlier_is_found_by_making_it_again(studio: Studio) -> None:
    """A chunk a little brighter under a right digest, and all that was made of it since."""
    interpolate = {"factor": 2, "engine": "dis", "keep": True}
    studio.document["recipe"] = [{"interpolate": interpolate}, {"upscale": {"scale": 2}}]
    undisturbed = studio.render(store="store")
    prepared = prepare(studio.request(store="store"), Silent())
    first, *later = prepared.plan.shots[1].runs
    name = chunk_name(first.items[0].key)
    poison(prepared, name, lambda frames: frames + np.uint16(200))
    made_of_it = [item for run in later for item in run.items]
    segment = prepared.plan.shots[1].segment
    assert segment is not None
    for gone in (*(chunk_name(item.key) for item in made_of_it), segment_name(segment.key)):
        prepared.store.delete(gone)
    studio.film.unlink()
    assert studio.render(store="store") != undisturbed

    def verify(*, deep: bool) -> dict[str, Any]:
        prepared = prepare(studio.request(store="store"), Silent())
        return check_document(prepared, studio.film, Silent(), deep=deep)

    assert verify(deep=False)["good"], "its digest is right"
    document = verify(deep=True)
    assert document["chunks_remade"] == document["chunks"]
    assert [found["what"] for found in document["findings"]] == ["stored chunk"]
    assert document["findings"][0]["where"].startswith("sh020 interpolate")
    remove_objects(prepared, document["objects"])
    studio.film.unlink()
    assert studio.render(store="store") == undisturbed
    assert verify(deep=True)["good"]

    prepared.store.put(name, b"no frames")
    document = verify(deep=True)
    assert {found["what"] for found in document["findings"]} == {"chunk"}
    assert document["chunks_remade"] == document["chunks"] - 2, "itself, and the one made of it"
