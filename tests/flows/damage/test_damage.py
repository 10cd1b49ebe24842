"""One damaged object of every kind, against everything that reads a store: each does its work, and
names what is damaged; `store check` finds it, says what it costs, and mends what can be made again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cluster.errors import DigestError, StoreError
from cluster.keys import digest_bytes
from cluster.ledger.compaction import compact
from cluster.store.base import Store
from cluster.store.open import open_store
from cluster.store.records import record_text
from cluster.store.set_aside import DAMAGED
from flows.damage.adopt import adopt_store
from flows.damage.check import check_store
from flows.export.provenance import rendered_by
from flows.farm.pins import PINS
from flows.forecast.history import read_earlier_runs
from flows.gc.sweep import collect
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.render import render
from flows.report.usage.make import make_report
from flows.review.gate import decide, review_document, waiting_shots
from flows.runs.failure import PREFIX as FAILURES
from flows.runs.find import find_place
from flows.runs.night import Night
from flows.runs.nights import Past, accept
from flows.runs.record import BEGUN, Record, new_run_start
from flows.runs.result import EpisodeResult
from flows.runs.status import runs_document, status_document
from flows.runs.wait import wait_for
from flows.spec.request import RenderRequest, make_request
from flows.verify.check import check_document
from tasks.stages.stage import Note
from tasks.worker.item import chunk_name, evidence_name, notes_name, segment_name
from tasks.worker.notes import pack_notes
from tests.farm_here import FarmHere
from tests.flows.report.night.nights import draw, make_episode, make_shot

pytestmark = pytest.mark.usefixtures("no_grace")

EPISODE = """
name: ep
source: {film}
cut: [24]
store: store
recipe: [{{hold: {{keep: true}}}}, {{upscale: {{scale: 2}}}}]
delivery: {{encoder: ffv1}}
"""
NIGHT = "20260301T220000000-abcd"
PIN = f"{PINS}20260301T220000000-dead/names.json"


@dataclass(kw_only=True)
class Place:
    """A folder with an episode, its store and its film."""

    folder: Path
    store: Store = field(init=False)
    damaged: str = ""

    def __post_init__(self) -> None:
        self.store = open_store(str(self.folder / "store"))

    def ask(self, **options: Any) -> RenderRequest:
        output = str(self.folder / "film.mkv")
        return make_request(str(self.folder / "ep.yaml"), **{"output": output, **options})

    def prepared(self) -> Prepared:
        return prepare(self.ask(), Silent())

    def render(self, job: str = "", **options: Any) -> EpisodeResult:
        farm = FarmHere().opened
        return render(self.ask(**options), Silent(), farm=farm, job=job, check=lambda _: None)

    def of(self, prefix: str) -> str:
        """The name of an object under a prefix: of frames those that a segment is made of, of
        evidence that of a segment which `render_again` leaves."""
        if prefix in ("frames/", "evidence/"):
            first, second = self.prepared().plan.shots
            assert second.segment
            chunk = chunk_name(first.runs[-1].items[0].key)
            return chunk if prefix == "frames/" else evidence_name(second.segment.key)
        return self.names(prefix)[0]

    def names(self, prefix: str = "") -> list[str]:
        return [stored.name for stored in self.store.list(prefix)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_film: Path) -> Place:
    """A store that has something of every kind."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "ep.yaml").write_text(EPISODE.format(film=tiny_film))
    place = Place(folder=folder)
    store = place.store
    place.render(frames="sh010:0-2")
    place.render(preview_every=9)
    assert place.render(job="key").film
    decide(place.prepared(), ["sh010", "sh020"], "approved", by="me")
    night = Night(
        nightly="demo",
        night=NIGHT,
        began_at="2026-03-01T22:00:00+00:00",
        ended_at="",
        episodes=(make_episode("ep", (make_shot(1),)),),
    )
    with Record(store, f"nights/demo/{NIGHT}") as record:
        record.begin()
        record.ended(night.to_json(), state="done", exit_code=0)
    accept(store, "demo", by="me", note="")
    png = draw(1)
    store.put(f"nightframes/{digest_bytes(png)[:2]}/{digest_bytes(png)}.png", png)
    store.put(PIN, record_text({"names": []}).encode())
    begun = asdict(new_run_start(f"runs/other/{NIGHT}"))
    store.put(f"{BEGUN}runs/other/{NIGHT}.json", record_text(begun).encode())
    chunk = place.prepared().plan.shots[0].runs[-1].items[0]
    store.put(notes_name(chunk.key), pack_notes([Note(name="a.txt", data=b"look")]))
    failure = {"episode": "ep", "shot": "sh010", "run": NIGHT, "stage": "", "error": "no"}
    failure |= {"at": "2026-03-01T22:00:00+00:00"}
    store.put(f"{FAILURES}ep/sh010/{NIGHT}.json", json.dumps(failure).encode())
    assert check_store(store.url, Silent())["damaged"] == []
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy of it."""
    shutil.copytree(made.folder, tmp_path / "copy")
    return Place(folder=tmp_path / "copy")


# -- damages -----------------------------------------------------------------------------------


def flip(store: Store, path: Path, name: str) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)


def flip_column(store: Store, path: Path, name: str) -> None:
    """The last byte of a column that a report reads: which one the middle of the file is in depends
    on how long the names of the machine are."""
    with pq.ParquetFile(path) as file:
        column = file.metadata.row_group(0).column(file.schema.names.index("finished_at"))
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start + column.total_compressed_size - 1] ^= 16
    path.write_bytes(data)


def cut(store: Store, path: Path, name: str) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(store: Store, path: Path, name: str) -> None:
    path.write_bytes(b"")


def put(data: bytes) -> Callable[[Store, Path, str], None]:
    def act(store: Store, path: Path, name: str) -> None:
        store.put(name, data)

    return act


foreign, other, newer = put(b"\xff not ours"), put(b'{"a": [1]}'), put(b'{"schema": 99, "a": 1}')


# -- what reads a store ------------------------------------------------------------------------


def render_again(place: Place) -> str:
    """With the film gone, and the segment of a shot, so that its chunks are read."""
    (place.folder / "film.mkv").unlink()
    shot = place.prepared().plan.shots[0]
    assert shot.segment
    name = segment_name(shot.segment.key)
    if place.store.has([name]) and not place.damaged.startswith("segments/"):
        place.store.delete(name)
    result = place.render(job="key" if place.damaged.startswith("jobs/") else "")
    assert (result.failed, result.findings) == ((), ())
    assert result.film
    return "render"


COMMANDS: dict[str, Callable[[Place], object]] = {
    "status": lambda at: runs_document(at.store.url)["runs"],
    "status of an episode": lambda at: status_document(at.ask())["shots"],
    "wait": lambda at: wait_for(at.store, find_place(at.store, "ep")[0], Silent()).run,
    "report": lambda at: make_report(at.store.url, since="all").to_json(),
    "plan": lambda at: read_earlier_runs(at.store, stages=[at.prepared().plan.episode]).runs,
    "review": lambda at: review_document(at.prepared())["shots"],
    "nightly": lambda at: str(list(Past(at.store, "demo"))),
    "timeline": lambda at: rendered_by(at.store, "ep", at.prepared().plan.shots),
    "gc": lambda at: collect(at.store.url, Silent(), dry_run=True)["kept"],
    "render": render_again,
    "compact": lambda at: str(compact(at.store)),
}
"""What each command reads of a store, and something of what it gives: never nothing."""

CASES: dict[str, tuple[Callable[[Store, Path, str], None], set[str]]] = {
    "runs/ep/": (flip, {"status", "report", "plan"}),
    "begun/": (empty, {"status"}),
    "nights/": (other, {"nightly", "gc"}),
    "nightaccepts/": (newer, {"nightly"}),
    "nightframes/": (flip, set()),
    "shots/ep/sh020/": (foreign, {"timeline", "gc", "render"}),
    "films/": (other, {"gc"}),
    "pieces/": (newer, {"plan", "review", "gc", "render"}),
    "reviews/ep/decisions/": (cut, {"review", "report", "gc"}),
    "reviews/ep/previews/": (other, {"review"}),
    "reviews/ep/sheet-": (flip, set()),
    "reviews/ep/preview-": (cut, set()),
    "failures/": (foreign, {"report"}),
    "jobs/": (cut, {"render"}),
    "pins/": (other, {"gc"}),
    "ledger/": (flip_column, {"report", "compact"}),
    "probes/": (empty, {"render"}),
    "notes/": (cut, {"render"}),
    "frames/": (flip, set()),
    "segments/": (cut, set()),
    "evidence/": (other, {"render"}),
}
"""A damage of each kind of object, and the commands that name it."""
STAYS = ("reviews/ep/decisions/", "pins/", "nightaccepts/", "pieces/")
"""People decide, a run lives, a newer douga reads it."""


@pytest.mark.parametrize("prefix", CASES)
def test_one_damaged_object_stops_nothing_but_itself(
    place: Place, caplog: pytest.LogCaptureFixture, prefix: str
) -> None:
    damage, named_by = CASES[prefix]
    name = place.damaged = place.of(prefix)
    damage(place.store, place.folder / "store" / name, name)
    (found,) = check_store(place.store.url, Silent())["damaged"]
    assert (found["name"], found["mended"]) == (name, False)
    assert found["costs"]
    told = set()
    for command, act in COMMANDS.items():
        caplog.clear()
        assert act(place), command
        if name in caplog.text:
            told.add(command)
    assert named_by <= told
    again = check_store(place.store.url, Silent(), repair=True)
    left = {each["name"] for each in again["damaged"] if not each["mended"]}
    assert left == ({name} if prefix in STAYS else set())
    assert again["good"] is (prefix not in STAYS)


def test_what_is_asked_for_itself_is_told_to_be_damaged(place: Place) -> None:
    newest = place.names("runs/ep/")[-1]
    place.store.put(newest, b"{}")
    for name in ("ep", newest.rpartition("/")[2].removesuffix(".json")):
        with pytest.raises(StoreError, match=f"{newest}.*douga store check .* --repair"):
            wait_for(place.store, find_place(place.store, name)[0], Silent())


def test_a_damaged_decision_leaves_its_shot_undecided_until_somebody_decides_again(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    decide(place.prepared(), ["sh010"], "retake", by="me", note="the hand")
    names = place.names("reviews/ep/decisions/sh010/")
    decisions = [(place.store.get(name), name) for name in names]
    (retake,) = (name for data, name in decisions if b"retake" in data)
    flip(place.store, place.folder / "store" / retake, retake)
    plan = place.prepared().plan
    assert [shot for shot, _ in waiting_shots(place.store, plan)] == ["sh010"]
    assert retake in caplog.text
    assert "sh010 counts as not decided" in caplog.text
    (found,) = check_store(place.store.url, Silent(), repair=True)["damaged"]
    assert found["name"] == retake
    assert "decide again" in found["done"]
    assert [shot for shot, _ in waiting_shots(place.store, plan)] == ["sh010"]
    decide(place.prepared(), ["sh010"], "approved", by="me")
    assert waiting_shots(place.store, plan) == []
    assert check_store(place.store.url, Silent(), repair=True)["good"]
    assert waiting_shots(place.store, plan) == []
    assert place.store.has([f"{DAMAGED}{retake}"])


def test_a_chunk_is_set_aside_with_its_segment_and_both_are_made_again(place: Place) -> None:
    name = place.of("frames/")
    flip(place.store, place.folder / "store" / name, name)
    done = check_store(place.store.url, Silent(), repair=True)
    aside = {each["name"].partition("/")[0] for each in done["damaged"]}
    assert aside == {"frames", "segments"}
    assert done["good"]
    (place.folder / "film.mkv").unlink()
    assert place.render().chunks_computed == 1
    assert place.store.has([name]) == {name}


def test_a_store_copied_without_digests_is_adopted_but_for_what_is_damaged(place: Place) -> None:
    shutil.rmtree(place.folder / "store/.digests")
    chunk, run = place.of("frames/"), place.of("runs/ep/")
    for name in (chunk, run):
        cut(place.store, place.folder / "store" / name, name)
    url = place.store.url
    missing = check_store(url, Silent())
    whole = {each["name"] for each in missing["damaged"] if each["done"]}
    assert whole == {stored["name"] for stored in missing["damaged"]} - {chunk, run}
    assert all(each["done"].endswith("store adopt") for each in missing["damaged"] if each["done"])
    planned = adopt_store(url, Silent())
    assert (planned["dry_run"], planned["adopted"]) == (True, len(whole))
    assert [each["name"] for each in planned["refused"]] == sorted([chunk, run])
    assert not (place.folder / "store/.digests").exists()
    assert adopt_store(url, Silent(), dry_run=False)["adopted"] == len(whole)
    assert {each["name"] for each in check_store(url, Silent())["damaged"]} == {chunk, run}
    assert check_store(url, Silent(), repair=True)["good"]
    assert adopt_store(url, Silent())["refused"] == []


@pytest.mark.parametrize(
    "error",
    [
        DigestError("the bytes were changed in transit", retryable=True),
        StoreError("the S3 service does not answer", retryable=True),
        StoreError("no space left on device"),
    ],
    ids=["transit", "outage", "no room"],
)
@pytest.mark.parametrize("read", ["get", "get_file"])
def test_what_cannot_be_read_now_is_not_called_damaged(
    read: str, error: StoreError, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a repair would remove, while the network is bad, what is whole."""
    prepared, names = place.prepared(), place.names()

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(type(place.store), read, fails)
    with pytest.raises(StoreError, match=error.what):
        check_document(prepared, Path(place.ask().output), Silent())
    if read == "get":
        with pytest.raises(StoreError, match=error.what):
            check_store(place.store.url, Silent(), repair=True)
    assert place.names() == names
