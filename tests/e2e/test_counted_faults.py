"""Every single thing that a render, gc and compaction ask of the system may be refused: it ends in
one line or goes on, and the next run is right (as SQLite and FoundationDB are tested)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from cluster.errors import explained
from cluster.keys import digest_bytes
from cluster.ledger.compaction import compact
from cluster.settings import settings
from cluster.store.open import open_store
from flows.gc.sweep import collect
from flows.progress import Silent
from flows.render import render
from tasks.encode.ffmpeg import run_ffmpeg
from tests.e2e.counted_faults import KINDS, Fault
from tests.farm_here import FarmHere

DAILY, NIGHTLY = 37, 3
"""Every so manieth fault strikes."""


class Studio:
    """An episode of twelve frames, rendered in this process with a home and a store of its own."""

    def __init__(self, lab: Any, folder: Path) -> None:
        self.folder = folder
        self.film = folder / "film.mkv"
        pictures = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=0.5"]
        sound = ["-f", "lavfi", "-i", "sine=duration=0.5", "-c:a", "flac"]
        run_ffmpeg([*pictures, *sound, str(folder / "source.mkv")])
        document = {"cut": [6], "recipe": ["hold"], "delivery": {"encoder": "ffv1"}}
        document["source"] = str(folder / "source.mkv")
        self.request = lab.request(folder, document, output=str(self.film), chunk=4)
        self.store = open_store(self.request.store)

    def render(self) -> None:
        """Render what is missing. AssertionError with what a person reads of a film that failed."""
        result = render(self.request, Silent(), farm=FarmHere().opened)
        if result.film is None:
            raise AssertionError("; ".join([*result.findings, *(s.error for s in result.shots)]))

    def assemble(self) -> None:
        """Render where all shots are stored."""
        self.film.unlink(missing_ok=True)
        self.render()

    def anew(self) -> None:
        """Render where nothing is stored nor known."""
        for name in ("store", "home", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.assemble()

    def collect(self) -> None:
        """Remove what nobody needs: a shot's old segments."""
        for name in list(self.store.list("segments/"))[:1]:
            self.store.put("segments/00/0000.mkv", self.store.get(name.name))
        collect(self.store.url, Silent())

    def compact(self) -> None:
        """Make one object of the ledger's."""
        compact(self.store)


@pytest.mark.parametrize("every", [DAILY, pytest.param(NIGHTLY, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("work", ["anew", "assemble", "collect", "compact"])
def test_whatever_is_refused_is_one_line_or_nothing_and_the_next_run_is_right(
    work: str, kind: str, every: int, studio: Studio
) -> None:
    act = getattr(studio, work)
    with Fault(kind).planted() as undisturbed:
        act()
    expected = pictures(studio.film)
    for at in range(1, undisturbed.asked + 1, every):
        said = ""
        with Fault(kind, at).planted() as fault:
            try:
                act()
            except AssertionError as error:
                said = str(error)
            except Exception as error:
                said = str(explained(error))
        assert "(a bug" not in said, (at, fault.struck, said)
        assert "\n" not in said, (at, fault.struck, said)
        if studio.film.exists():
            assert pictures(studio.film) == expected, (at, fault.struck)
        act()
        studio.render()
        assert pictures(studio.film) == expected, (at, fault.struck, said)


def pictures(film: Path) -> list[str]:
    """A digest of every frame."""
    with av.open(str(film)) as file:
        return [digest_bytes(frame.to_ndarray().tobytes()) for frame in file.decode(video=0)]


@pytest.fixture
def studio(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOUGA_GC_GRACE_H", "0")
    settings.cache_clear()
    made = Studio(lab, tmp_path)
    made.render()
    made.assemble()
    yield made
    monkeypatch.undo()
    settings.cache_clear()
