"""`douga gc`: what can be reached stays, what is in use stays, and what was said to go goes."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cluster.errors import StoreError
from cluster.settings import settings
from cluster.store.base import Store, StoredObject
from cluster.store.lease import Lease, hold_lease
from cluster.store.open import open_store
from flows.gc.mark import (
    FilmRecord,
    GcPlan,
    PartialRecord,
    Pin,
    Snapshot,
    Version,
    notes_of,
    plan_gc,
)
from flows.gc.read import StoreReader
from flows.gc.sweep import collect
from flows.progress import Silent
from tests.servers.swift import S3Server

NOW = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SEGMENT = "segments/aa/{}.mkv"
CHUNK = "frames/aa/{}.arrow"


def there(name: str, *, days: float = 100) -> StoredObject:
    return StoredObject(name=name, size_bytes=10, modified=NOW - days * DAY)


def version(
    run: str, *letters: str, shot: str = "ep/sh010", days: float = 100, reads: Any = frozenset()
) -> Version:
    """A manifest whose segment and chunks are named by letters, the first one's being both."""
    return Version(
        stored=there(f"shots/{shot}/{run}.json", days=days),
        run=run,
        segment=SEGMENT.format(letters[0]),
        chunks=frozenset(CHUNK.format(letter) for letter in letters),
        reads=reads,
    )


def film(name: str, *letters: str, path: str = "ep.mkv", days: float = 100) -> FilmRecord:
    return FilmRecord(
        stored=there(f"films/ep/{name}.json", days=days),
        film=path,
        segments=frozenset(SEGMENT.format(letter) for letter in letters),
    )


def snapshot(*names: str | StoredObject, **more: Any) -> Snapshot:
    """Old objects of these names, and the records given with them."""
    records = [each.stored for kind in ("versions", "films") for each in more.get(kind, ())]
    found = [there(name) if isinstance(name, str) else name for name in names]
    empty: dict[str, Any] = {
        **dict.fromkeys(("leftovers", "versions", "films", "pins"), ()),
        "decided": frozenset(),
    }
    return Snapshot(now=NOW, objects=(*found, *records), **{**empty, **more})


def data(*letters: str) -> list[str]:
    """Segment, chunk and notes for each letter."""
    chunks = [CHUNK.format(letter) for letter in letters]
    return [SEGMENT.format(x) for x in letters] + chunks + [notes_of(name) for name in chunks]


def gone(plan: GcPlan) -> list[str]:
    return [removal.stored.name for removal in plan.removed]


def decided(seen: Snapshot, *, grace: timedelta = DAY, **more: Any) -> list[str]:
    return gone(plan_gc(seen, grace=grace, **more))


def test_what_no_record_names_goes_and_the_rest_stays() -> None:
    seen = snapshot(*data("a", "b"), versions=[version("1", "a")])
    assert decided(seen) == sorted(data("b"))


def test_everything_younger_than_the_grace_time_stays() -> None:
    names = [*data("a"), "assets/aa/x", "sources/aa/x", "probes/x.json", "probe/x", "sweeps/x"]
    young = snapshot(*(there(name, days=0.9) for name in names))
    assert decided(young) == []
    assert decided(young, keep=timedelta(0)) == []
    assert set(decided(young, grace=timedelta(hours=1))) == set(names)


def test_what_people_and_runs_have_written_is_never_touched() -> None:
    names = ["ledger/run/x.parquet", "reviews/ep/sheet-x.png", "reviews/ep/decisions/sh010/x.json"]
    names += ["runs/ep/1.json", "failures/x.json", "somebody/elses.txt", "notes.txt"]
    assert decided(snapshot(*names), grace=timedelta(0), keep=timedelta(0)) == []


def test_what_was_set_aside_stays_for_a_month() -> None:
    names = [there("damaged/runs/ep/1.json", days=29), there("damaged/runs/ep/2.json", days=31)]
    assert decided(snapshot(*names)) == ["damaged/runs/ep/2.json"]


def test_every_version_stays_unless_days_are_named() -> None:
    versions = [version("1", "a"), version("2", "b"), version("3", "c", days=2)]
    seen = snapshot(*data("a", "b", "c"), versions=versions)
    assert decided(seen) == []
    assert decided(seen, keep=7 * DAY) == [
        *("shots/ep/sh010/1.json", "shots/ep/sh010/2.json"),
        *sorted(data("a", "b")),
    ]
    assert decided(seen, keep=200 * DAY) == []


def test_a_record_goes_before_what_it_names() -> None:
    versions = [version("1", "a"), version("2", "b")]
    order = decided(snapshot(*data("a", "b"), versions=versions), keep=DAY)
    assert order[0] == "shots/ep/sh010/1.json"
    assert set(order[1:]) == set(data("a"))


def test_the_newest_version_of_every_shot_stays_however_old() -> None:
    versions = [version("1", "a"), version("1", "b", shot="ep/sh020")]
    assert decided(snapshot(*data("a", "b"), versions=versions), keep=timedelta(0)) == []


def test_an_earlier_version_stays_that_the_film_went_back_to() -> None:
    """Recipe A, then B, then A again: nothing was rendered then, so that no manifest says so."""
    versions = [version("1", "a"), version("2", "b")]
    seen = snapshot(*data("a", "b"), versions=versions, films=[film("x", "a", days=1)])
    assert decided(seen, keep=timedelta(0)) == []


def test_the_record_of_a_film_goes_when_another_film_lies_there() -> None:
    films = [film("x", "a"), film("y", "b", days=50), film("z", "a", path="other.mkv")]
    seen = snapshot(*data("a", "b"), versions=[version("1", "a"), version("2", "b")], films=films)
    assert decided(seen) == []
    assert decided(seen, keep=timedelta(0)) == ["films/ep/x.json"]
    without = replace(seen, films=tuple(films[:2]))
    assert set(decided(without, keep=timedelta(0))) >= {"films/ep/x.json", *data("a")}


def test_a_segment_that_somebody_decided_on_stays() -> None:
    versions = [version("1", "a"), version("2", "b")]
    seen = snapshot(*data("a", "b"), versions=versions, decided=frozenset([SEGMENT.format("a")]))
    assert SEGMENT.format("a") not in decided(seen, keep=timedelta(0))


def test_what_was_found_of_a_segment_goes_with_it() -> None:
    evidence = [f"evidence/aa/{letter}.json" for letter in "ab"]
    seen = snapshot(*data("a", "b"), *evidence, versions=[version("1", "a")])
    assert set(decided(seen)) == {*data("b"), evidence[1]}


def test_inputs_stay_that_a_kept_version_reads() -> None:
    inputs = ["assets/aa/x", "probes/x.json", "sources/aa/x"]
    others = ["assets/aa/y", "probes/y.json", "sources/aa/y"]
    seen = snapshot(*inputs, *others, versions=[version("1", "a", reads=frozenset(inputs))])
    assert decided(seen) == others
    vague = snapshot(*inputs, *others, versions=[version("1", "a", reads=None)])
    assert decided(vague) == []


def test_partial_chunks_stay_until_each_of_their_shots_is_rendered_whole() -> None:
    def partials(**letters: str) -> PartialRecord:
        shots = {f"ep/{shot}": frozenset({CHUNK.format(x)}) for shot, x in letters.items()}
        return PartialRecord(stored=there("pieces/ep/1.json", days=50), run="1", shots=shots)

    record = partials(sh010="a", sh020="b")
    names = [CHUNK.format("a"), CHUNK.format("b"), "notes/aa/b.zip"]
    older = version("0", "c", days=60)
    whole = [version("2", "d", days=40), version("3", "e", shot="ep/sh020", days=40)]

    def left(*versions: Version) -> list[str]:
        seen = snapshot(record.stored, *names, versions=versions, partials=(record,))
        return sorted({*names, record.stored.name} - set(decided(seen)))

    assert left() == left(older) == sorted([*names, record.stored.name])
    assert left(older, whole[0]) == [CHUNK.format("b"), "notes/aa/b.zip", record.stored.name]
    assert left(*whole) == []
    held = Pin(run="1", alive_at=NOW, names=frozenset())
    seen = snapshot(record.stored, versions=whole, partials=(record,), pins=(held,))
    assert decided(seen) == [], "its own run has not ended"


def test_what_a_living_run_holds_stays_and_a_dead_one_holds_nothing() -> None:
    def seen(hours: float) -> Snapshot:
        pin = Pin(run="r", alive_at=NOW - timedelta(hours=hours), names=frozenset(data("a")))
        return snapshot(*data("a"), "pins/r/names.json", pins=[pin])

    assert decided(seen(0.1), grace=timedelta(0)) == []
    assert decided(seen(23)) == [], "as long as the grace time, whatever it was stopped for"
    assert decided(seen(25)) == sorted([*data("a"), "pins/r/names.json"])
    assert decided(seen(0.5), grace=timedelta(0)) == sorted([*data("a"), "pins/r/names.json"])


def test_the_version_that_a_living_run_just_wrote_stays() -> None:
    versions = [version("1", "a"), version("2", "b")]
    pin = Pin(run="1", alive_at=NOW, names=frozenset(data("a")))
    seen = snapshot(*data("a", "b"), versions=versions, pins=[pin])
    assert decided(seen, grace=timedelta(0), keep=timedelta(0)) == []


def test_leftovers_go_when_nobody_can_be_writing_them_any_more() -> None:
    def seen(hours: float) -> Snapshot:
        return snapshot(leftovers=[there("frames/aa/.x.partial", days=hours / 24)])

    assert decided(seen(0.9), grace=timedelta(0)) == []
    assert decided(seen(1.1), grace=timedelta(0)) == ["frames/aa/.x.partial"]
    assert decided(seen(23)) == []


LETTERS = st.sets(st.sampled_from("abcdef"), min_size=1)
DAYS = st.floats(0, 20)


@given(
    versions=st.lists(
        st.tuples(st.sampled_from("123"), st.sampled_from(["ep/a", "ep/b"]), LETTERS, DAYS),
        unique_by=lambda made: made[:2],
    ),
    films=st.lists(st.tuples(LETTERS, DAYS), max_size=3),
    pins=st.lists(st.tuples(LETTERS, DAYS), max_size=2),
    grace=st.floats(0, 10),
    keep=st.none() | st.floats(0, 15),
)
@hypothesis_settings(max_examples=200)
def test_no_record_that_stays_names_what_goes(
    versions: Any, films: Any, pins: Any, grace: float, keep: float | None
) -> None:
    seen = snapshot(
        *data(*"abcdef"),
        versions=[version(run, *sorted(x), shot=shot, days=d) for run, shot, x, d in versions],
        films=[film(str(n), *x, path="p", days=d) for n, (x, d) in enumerate(films)],
        pins=[
            Pin(run=f"r{n}", alive_at=NOW - d * DAY, names=frozenset(data(*x)))
            for n, (x, d) in enumerate(pins)
        ],
    )
    plan = plan_gc(seen, grace=grace * DAY, keep=None if keep is None else keep * DAY)
    removed = set(gone(plan))
    assert {stored.name for stored in plan.kept} | removed == {s.name for s in seen.objects}
    assert len(plan.kept) + len(plan.removed) == len(seen.objects)
    for made in seen.versions:
        if made.stored.name not in removed:
            assert not removed & {made.segment, *made.chunks}
    for each in seen.films:
        if each.stored.name not in removed:
            assert not removed & (each.segments or set())
    for pin in seen.pins:
        if NOW - pin.alive_at < grace * DAY:
            assert not removed & pin.names
    newest: dict[str, Version] = {}
    for made in sorted(seen.versions, key=lambda made: made.run):
        newest[made.shot] = made
    assert not removed & {made.stored.name for made in newest.values()}


# -- on stores ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What was just put may go."""
    for name in [name for name in os.environ if name.startswith(("DOUGA_S3", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOUGA_GC_GRACE_H", "0")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(params=["folder", "moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "folder":
        return open_store((tmp_path / "store").as_uri())
    server: S3Server = request.getfixturevalue("moto")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    return open_store(f"s3://{server.bucket()}/{tmp_path.name}")


def fill(store: Store) -> None:
    """Two versions of a shot, the film of the second, and chunks of nobody."""
    for name in data("a", "b", "c"):
        store.put(name, b"x" * 100)
    for run, letter in (("1", "a"), ("2", "b")):
        manifest = {
            "run": run,
            "segment": SEGMENT.format(letter),
            "runs": [{"chunks": [{"name": CHUNK.format(letter)}]}],
            "reads": ["probes/x.json"],
        }
        store.put(f"shots/ep/sh010/{run}.json", json.dumps(manifest).encode())
    record = {"film": "ep.mkv", "segments": [SEGMENT.format("b")]}
    store.put("films/ep/x.json", json.dumps(record).encode())
    decision = {"segment": "nothing"}
    store.put("reviews/ep/decisions/sh010/x.json", json.dumps(decision).encode())
    store.put("reviews/ep/sheet-x.png", b"png")
    store.put("ledger/1/x.parquet", b"receipts")
    store.put("probes/x.json", b"{}")


def names(store: Store) -> set[str]:
    return {stored.name for stored in store.list()}


def removed(document: dict[str, Any]) -> set[str]:
    return {removal["name"] for removal in document["removed"]}


def test_the_dry_run_says_exactly_what_then_goes(store: Store) -> None:
    fill(store)
    before = {stored.name: stored.size_bytes for stored in store.list()}
    said = collect(store.url, Silent(), dry_run=True, keep_days=0)
    assert {stored.name: stored.size_bytes for stored in store.list()} == before
    done = collect(store.url, Silent(), keep_days=0)
    assert removed(said) == removed(done) == set(before) - names(store)
    assert removed(said) == {*data("a", "c"), "shots/ep/sh010/1.json"}
    assert said["removed_bytes"] == sum(before[name] for name in removed(said))
    assert said["kept_objects"] == len(names(store))
    assert {**done, "dry_run": True} == said
    assert all(removal["why"] for removal in said["removed"])
    again = collect(store.url, Silent(), keep_days=0)
    assert again["removed"] == []


def test_what_stays_still_reads_well(store: Store) -> None:
    fill(store)
    collect(store.url, Silent())
    assert names(store) >= {*data("a", "b"), "ledger/1/x.parquet", "reviews/ep/sheet-x.png"}
    assert not names(store) & set(data("c"))
    for name in names(store):
        store.get(name)


def test_an_object_that_vanishes_meanwhile_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    read_again = StoreReader.read_again

    def steal(self: Any, *given: Any) -> Snapshot:
        for name in (SEGMENT.format("c"), "shots/ep/sh010/1.json", "films/ep/x.json"):
            store.delete(name)
        return read_again(self, *given)

    monkeypatch.setattr(StoreReader, "read_again", steal)
    collect(store.url, Silent())
    assert not names(store) & set(data("c"))
    assert names(store) >= set(data("b"))


def test_what_a_run_held_or_recorded_meanwhile_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began after gc had looked, and counts on chunks that nobody named then."""
    fill(store)
    more = data("d")
    for name in more:
        store.put(name, b"y")
    read_again = StoreReader.read_again
    pin = json.dumps({"names": data("c")}).encode()
    manifest: dict[str, Any] = {"run": "3", "segment": SEGMENT.format("d"), "runs": [], "reads": []}
    manifest["runs"] = [{"chunks": [{"name": CHUNK.format("d")}]}]

    def begin(self: Any, *given: Any) -> Snapshot:
        store.put("pins/r/names.json", pin)
        store.put("shots/ep/sh010/3.json", json.dumps(manifest).encode())
        return read_again(self, *given)

    monkeypatch.setattr(StoreReader, "read_again", begin)
    document = collect(store.url, Silent())
    assert names(store) >= {*data("c"), *more}
    assert removed(document) == set()


@pytest.mark.parametrize(
    "name",
    [
        *("shots/ep/sh010/0.json", "films/ep/z.json", "reviews/ep/decisions/sh010/z.json"),
        *("pieces/ep/0.json", "nights/demo/0.json", "pins/0/names.json"),
    ],
)
def test_what_a_damaged_record_may_name_stays_and_the_rest_goes(
    store: Store, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    fill(store)
    store.put(name, b"not ours")
    store.put("probe/x", b"left")
    wait_for_a_later_moment(store)
    for later in data("d"):
        store.put(later, b"x" * 100)
    there = names(store)
    gone = removed(collect(store.url, Silent()))
    assert name in caplog.text
    assert gone == there - names(store)
    assert gone == {"probe/x"} | (set() if name.startswith("pins/") else set(data("d")))


def wait_for_a_later_moment(store: Store) -> None:
    """Until what is put is later than what was put, by the store's clock."""
    before = max(stored.modified for stored in store.list())

    def is_later() -> bool:
        store.put("begun/x", b"")
        return max(stored.modified for stored in store.list("begun/")) > before

    wait_until(is_later)


def test_a_sweep_that_was_stopped_past_its_lease_removes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path.as_uri())
    fill(store)
    before = names(store)
    monkeypatch.setattr(Lease, "expired", lambda *_: True)
    with pytest.raises(StoreError, match=r"was stopped.*run douga gc again"):
        collect(store.url, Silent())
    assert names(store) == before


def test_old_partial_files_and_lone_digests_go(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    fill(store)
    partial = tmp_path / "frames" / "aa" / ".0123456789abcdef.partial"
    fresh = tmp_path / "frames" / "aa" / ".aaaaaaaaaaaaaaaa.partial"
    lone = tmp_path / ".digests" / "frames" / "aa" / f"lost.arrow.{'0' * 64}"
    for path in (partial, fresh, lone):
        path.write_bytes(b"12345")
    for path in (partial, lone):
        os.utime(path, (time.time() - 7200,) * 2)
    document = collect(store.url, Silent())
    assert not partial.exists()
    assert not lone.exists()
    assert fresh.exists()
    assert document["gone"]["unfinished"] == {"objects": 2, "bytes": 10}
    assert store.get(SEGMENT.format("b")) == b"x" * 100


def test_the_command_prints_each_object_and_totals(douga: Any, tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    fill(store)
    here = {"DOUGA_GC_GRACE_H": "0"}
    shown = douga("gc", "--store", tmp_path, "--dry-run", **here)
    assert shown.code == 0, shown.err
    for name in data("c"):
        assert f"100 B  {name}  (no shot, film or run in progress needs it)" in shown.out
    assert "3 objects (300 B) would go" in shown.out
    kept = douga("gc", "--store", tmp_path, "--json", DOUGA_GC_GRACE_H="1")
    assert kept.document["removed"] == [], "all of it is younger"
    done = douga("gc", "--store", tmp_path, "--json", **here)
    assert removed(done.document) == set(data("c"))
    assert not names(store) & set(data("c"))


# -- leases ------------------------------------------------------------------------------------


def test_a_lease_is_renewed_while_it_is_held_and_then_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    with hold_lease(store, "sweeps/x", text="me", heartbeat_s=0.02) as lease:
        first = next(store.list("sweeps/")).modified
        wait_until(lambda: next(store.list("sweeps/")).modified > first)
        assert store.get("sweeps/x") == b"me"
        assert lease.expired(timedelta(0))
        assert not lease.expired(timedelta(hours=1))
    assert list(store.list("sweeps/")) == []
    assert not [t for t in threading.enumerate() if t.name.startswith("lease")]


def wait_until(is_so: Callable[[], bool], *, timeout_s: float = 60) -> None:
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)
