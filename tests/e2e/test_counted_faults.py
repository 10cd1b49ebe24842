"""Every single thing that a render, a night, verification, gc and compaction ask of the system, or
of S3, may be refused: it ends in one line or goes on, and the next run is right (as SQLite and
FoundationDB are tested)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from cluster.errors import explained
from cluster.keys import digest_bytes
from cluster.ledger.compaction import compact
from cluster.store.open import open_store
from flows.forecast.forecast import Forecast
from flows.gc.sweep import collect
from flows.nightly.run import run_night
from flows.nightly.spec import read_nightly
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.render import render
from flows.verify.check import check_document
from tasks.encode.ffmpeg import run_ffmpeg
from tests.e2e.counted_faults import KINDS, REQUESTS, Fault
from tests.farm_here import FarmHere

DAILY, NIGHTLY = 37, 3
"""Every so manieth fault strikes."""
HALF = 0
"""The first, the one in the middle and the last."""


class Studio:
    """An episode of twelve frames, rendered in this process with a home and a store of its own:
    a folder unless `store` is another."""

    def __init__(self, lab: Any, folder: Path, *, store: str = "") -> None:
        self.folder = folder
        self.film = folder / "film.mkv"
        pictures = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=0.5"]
        sound = ["-f", "lavfi", "-i", "sine=duration=0.5", "-c:a", "flac"]
        run_ffmpeg([*pictures, *sound, str(folder / "source.mkv")])
        document = {"cut": [6], "recipe": ["hold"], "delivery": {"encoder": "ffv1"}}
        document["source"] = str(folder / "source.mkv")
        self.request = lab.request(folder, document, output=str(self.film), chunk=4, store=store)
        self.store = open_store(self.request.store)
        night = f"store: {self.store.url}\nepisodes: [{{path: episode.yaml, output: film.mkv}}]\n"
        (folder / "nightly.yaml").write_text(night)

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

    def empty(self) -> None:
        """Render where nothing is stored, of a source that is known."""
        for stored in list(self.store.list()):
            self.store.delete(stored.name)
        self.assemble()

    def night(self) -> None:
        """A night of the episode, all of it stored. AssertionError with what it ends with."""
        result = run_night(
            read_nightly(self.folder / "nightly.yaml"),
            self.store,
            Silent(),
            forecast=expected,
            renderer=lambda request, reporter: render(request, reporter, farm=FarmHere().opened),
        )
        if result.words:
            raise AssertionError(result.words)

    def check(self) -> None:
        """Hold film and store against the source; what cannot be looked at is not damaged."""
        document = check_document(prepare(self.request, Silent()), self.film, Silent())
        if document["objects"]:
            pytest.fail(f"called damaged: {document}")

    def collect(self) -> None:
        """Remove what nobody needs: a shot's old segments."""
        for name in list(self.store.list("segments/"))[:1]:
            self.store.put("segments/00/0000.mkv", self.store.get(name.name))
        collect(self.store.url, Silent())

    def compact(self) -> None:
        """Make one object of the ledger's."""
        compact(self.store)


OFTEN = ["anew", "assemble", "collect", "compact"]
RARELY = ["night", "check"]
"""What is tried by day with a few kinds of faults: renders, of which it consists, are with all."""
BY_DAY = [
    *((work, kind, DAILY) for work in OFTEN for kind in KINDS),
    *(("night", "write", DAILY), ("night", "rename", DAILY), ("check", "write", NIGHTLY)),
]
BY_NIGHT = [(work, kind, NIGHTLY) for work in (*OFTEN, *RARELY) for kind in KINDS]


@pytest.mark.parametrize(
    ("work", "kind", "every"),
    [*BY_DAY, *(pytest.param(*each, marks=pytest.mark.nightly) for each in BY_NIGHT)],
)
def test_whatever_is_refused_is_one_line_or_nothing_and_the_next_run_is_right(
    work: str, kind: str, every: int, studio: Studio
) -> None:
    strike_each(studio, work, kind, every)


S3_BY_DAY = [("empty", "answer", HALF), ("night", "request", HALF)]
S3_BY_NIGHT = [
    (work, kind, NIGHTLY)
    for work in ("empty", "night", "check", "collect", "compact")
    for kind in REQUESTS
]


@pytest.mark.parametrize(
    ("work", "kind", "every"),
    [*S3_BY_DAY, *(pytest.param(*each, marks=pytest.mark.nightly) for each in S3_BY_NIGHT)],
)
def test_so_is_what_a_service_refuses_or_loses(
    work: str, kind: str, every: int, studio_on_s3: Studio
) -> None:
    strike_each(studio_on_s3, work, kind, every)


def strike_each(studio: Studio, work: str, kind: str, every: int) -> None:
    """Let every so manieth fault of a kind strike one kind of work."""
    act = getattr(studio, work)
    with Fault(kind).planted() as undisturbed:
        act()
    expected = pictures(studio.film)
    for at in range(1, undisturbed.asked + 1, every or max(1, (undisturbed.asked - 1) // 2)):
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


def expected(prepared: Prepared) -> Forecast:
    """Of any episode, that it takes a second."""
    return Forecast(
        chunks=prepared.plan.counts()[1],
        gpu_hours=0.0,
        cpu_hours=1 / 3600,
        bytes_put=0,
        money=0.0,
        finish_p50_s=1.0,
        finish_p90_s=1.0,
        basis="history",
        based_on="",
    )


def pictures(film: Path) -> list[str]:
    """A digest of every frame."""
    with av.open(str(film)) as file:
        return [digest_bytes(frame.to_ndarray().tobytes()) for frame in file.decode(video=0)]


@pytest.fixture
def studio_on_s3(
    lab: Any, moto: Any, tmp_path: Path, own: None, set_variables: Callable[..., None]
) -> Studio:
    """The same with its store on S3."""
    set_variables(**moto.environment())
    moto.bucket("studio")
    made = Studio(lab, tmp_path, store=f"s3://studio/{tmp_path.name}")
    made.render()
    made.assemble()
    return made


@pytest.fixture
def studio(lab: Any, tmp_path: Path, own: None) -> Studio:
    made = Studio(lab, tmp_path)
    made.render()
    made.assemble()
    return made


@pytest.fixture
def own(tmp_path: Path, no_grace: None, set_variables: Callable[..., None]) -> None:
    """A home of a studio's own, from which what may go goes at once."""
    set_variables(DOUGA_HOME=str(tmp_path / "home"))
