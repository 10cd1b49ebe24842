"""Compaction: at every moment each row of the ledger is read once, whoever else is at work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import StoreError
from cluster.keys import Digest
from cluster.ledger.compaction import Compaction, compact
from cluster.ledger.history import read_history, read_ledger, row_groups
from cluster.ledger.parts import COMPACTED, Origin, Part, pick_parts, replaced_parts
from cluster.ledger.receipts import Receipt, append_receipts
from cluster.store.base import StoredObject
from cluster.store.folder import FolderStore

FIRST = datetime(2026, 3, 30, 22, tzinfo=UTC)
NOW = timedelta(0)


def receipts(night: int, shots: int = 2) -> list[Receipt]:
    at = (FIRST + timedelta(days=night)).isoformat(timespec="milliseconds")
    return [
        Receipt(
            run=f"night-{night:04}",
            episode="ep01",
            shot=f"sh{shot:03}",
            stage="upscale",
            key=f"{night:020x}{shot:020x}",
            start=0,
            end=24,
            finished_at=at,
            frames=24,
        )
        for shot in range(shots)
    ]


def fill(store: FolderStore, nights: Iterable[int], objects: int = 2) -> Counter[str]:
    """Nights of some objects with a row each; how often each key is in the ledger: once."""
    keys: Counter[str] = Counter()
    for night in nights:
        for each in receipts(night, objects):
            append_receipts(store, each.run, [each])
            keys[each.key] += 1
    return keys


def keys_read(store: FolderStore, **asked: Any) -> Counter[str]:
    return Counter(read_history(store, columns=["key"], **asked)["key"].to_pylist())


def names(store: FolderStore) -> list[str]:
    return [stored.name for stored in store.list("ledger/")]


class WatchedStore(FolderStore):
    """A folder that calls `watch(what)` before and after each step of whoever uses it.

    Not while a watcher itself uses it.
    """

    def __init__(self, root: Path, watch: Callable[[str], None]) -> None:
        super().__init__(root)
        self._watch = watch
        self._watched = False

    def _tell(self, what: str) -> None:
        if not self._watched:
            self._watched = True
            try:
                self._watch(what)
            finally:
                self._watched = False

    def put(self, name: str, data: bytes | memoryview, *, if_absent: bool = False) -> Digest:
        self._tell("before put")
        digest = super().put(name, data, if_absent=if_absent)
        self._tell("after put")
        return digest

    def get(self, name: str) -> bytes:
        self._tell("before get")
        return super().get(name)

    def delete(self, name: str) -> None:
        self._tell("before delete")
        super().delete(name)
        self._tell("after delete")

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        self._tell("before list")
        for stored in super().list(prefix):
            self._tell("in list")
            yield stored
        self._tell("after list")


def test_months_become_one_object_each_with_every_row_in_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    keys = fill(store, range(4))
    outcome = compact(store)
    assert [name[:21] for name in names(store)] == [f"{COMPACTED}2026-03", f"{COMPACTED}2026-04"]
    assert keys_read(store) == keys
    assert tuple(names(store)) == outcome.written
    assert (outcome.objects_before, outcome.objects_after, outcome.rows) == (8, 2, 8)
    assert len(outcome.removed) == 8
    assert read_ledger(store, run="night-0002") == receipts(2)


def test_what_came_since_joins_its_month_and_nothing_is_written_for_nothing(
    tmp_path: Path,
) -> None:
    store = FolderStore(tmp_path)
    keys = fill(store, range(4))
    compact(store)
    keys += fill(store, [4])
    assert len(compact(store).written) == 1
    assert len(names(store)) == 2
    assert keys_read(store) == keys
    assert compact(store) == Compaction(
        objects_before=2, objects_after=2, rows=10, written=(), removed=()
    )


def test_dry_run_says_what_would_be_and_touches_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    fill(store, range(4))
    before = names(store)
    would = compact(store, dry_run=True)
    assert names(store) == before
    did = compact(store)
    assert (would.written, would.objects_after) == (did.written, did.objects_after)


def test_row_is_read_once_at_every_step_of_a_compaction(tmp_path: Path) -> None:
    plain = FolderStore(tmp_path)
    keys = fill(plain, range(4))
    compact(plain)
    keys += fill(plain, range(4, 6))
    steps: Counter[str] = Counter()

    def watch(what: str) -> None:
        steps[what] += 1
        assert keys_read(plain) == keys, what
        assert keys_read(plain, run="night-0003").total() == 2, what

    compact(WatchedStore(tmp_path, watch))
    assert steps["after put"] == 1
    assert steps["after delete"] == 5, "four appended objects and the compacted one they joined"


@pytest.mark.parametrize("case", ["the first", "a second", "one of more"])
def test_compaction_in_the_middle_of_a_reading_is_not_felt(tmp_path: Path, case: str) -> None:
    """A whole compaction at one step of the reading, at each in turn; of what was there before, or
    also of what has come since the reading began, which may be read or not."""
    for at in range(100):
        folder = tmp_path / str(at)
        plain = FolderStore(folder)
        keys = fill(plain, [0, 3])
        if case != "the first":
            compact(plain)
        if case == "a second":
            keys += fill(plain, [4], objects=1)
        steps = iter(range(1000))
        late: Counter[str] = Counter()

        def watch(
            _: str, plain: FolderStore = plain, steps: Any = steps, at: int = at, late: Any = late
        ) -> None:
            if next(steps) == at:
                if case == "one of more":
                    late.update(fill(plain, [5], objects=1))
                compact(plain)

        found = keys_read(WatchedStore(folder, watch))
        assert found in (keys, keys + late), at
        if next(steps) <= at:
            assert at > 5
            return
    raise AssertionError("a reading has fewer steps")


@pytest.mark.parametrize("more", [False, True], ids=["the same", "more by then"])
def test_two_compactions_at_once_lose_and_double_nothing(tmp_path: Path, more: bool) -> None:
    """The second runs whole at one step of the first: at each in turn."""
    for at in range(100):
        folder = tmp_path / str(at)
        plain = FolderStore(folder)
        keys = fill(plain, [0])
        compact(plain)
        keys += fill(plain, [1], objects=1)
        steps = iter(range(1000))

        def watch(
            what: str,
            plain: FolderStore = plain,
            steps: Any = steps,
            at: int = at,
            keys: Any = keys,
        ) -> None:
            if next(steps) == at:
                if more:
                    keys.update(fill(plain, [0], objects=3) - keys)
                compact(plain)
            if what in ("after put", "after delete"):
                assert keys_read(plain) == keys

        compact(WatchedStore(folder, watch))
        assert keys_read(plain) == keys, at
        compact(plain)
        assert keys_read(plain) == keys, at
        assert len(names(plain)) == 1, at
        if next(steps) <= at:
            assert at > 10
            return
    raise AssertionError("a compaction has fewer steps")


@settings(max_examples=30)
@given(stops=st.lists(st.integers(0, 40), max_size=4), nights=st.integers(1, 4))
def test_ledger_reads_the_same_wherever_compactions_are_stopped(
    stops: list[int], nights: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    plain = FolderStore(folder)
    keys = fill(plain, range(nights))
    for turn, stop in enumerate(stops):
        steps = iter(range(1000))

        def watch(_: str, steps: Any = steps, stop: int = stop) -> None:
            if next(steps) == stop:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            compact(WatchedStore(folder, watch))
        assert keys_read(plain) == keys
        keys += fill(plain, [10 + turn], objects=1)
    compact(plain)
    assert keys_read(plain) == keys
    assert len(names(plain)) <= 2, "one for each month"


part_sets = st.lists(st.frozensets(st.sampled_from("abcdef"), min_size=1), max_size=6)


def part(name: str, origins: Iterable[str]) -> Part:
    stored = StoredObject(name=name, size_bytes=1, modified=FIRST)
    held = tuple(Origin(name=f"ledger/r/{each}", rows=3) for each in sorted(origins))
    return Part(stored=stored, origins=held)


@given(sets=part_sets, loose=st.frozensets(st.sampled_from("abcdef")))
def test_every_origin_is_picked_once_and_never_loses_its_last_holder(
    sets: list[frozenset[str]], loose: frozenset[str]
) -> None:
    parts = [part(f"{COMPACTED}2026-03-{n}", origins) for n, origins in enumerate(sets)]
    parts += [part(f"ledger/r/{each}", each) for each in loose]
    held = {origin.name for each in parts for origin in each.origins}
    picked = [origin.name for pick in pick_parts(parts) for origin in pick.origins]
    assert sorted(picked) == sorted(held)
    left = [each for each in parts if each.name not in replaced_parts(parts)]
    assert {origin.name for each in left for origin in each.origins} == held
    for pick in pick_parts(parts):
        assert sum(end - start for start, end in pick.ranges) == 3 * len(pick.origins)


@given(sets=part_sets, hidden=st.sets(st.integers(0, 5)), also=st.sets(st.integers(0, 5)))
def test_two_that_remove_by_different_listings_leave_every_origin(
    sets: list[frozenset[str]], hidden: set[int], also: set[int]
) -> None:
    parts = [part(f"{COMPACTED}2026-03-{n}", origins) for n, origins in enumerate(sets)]
    gone: set[str] = set()
    for order, unseen in ((1, hidden), (-1, also)):
        seen = [each for n, each in enumerate(parts) if n not in unseen]
        gone |= set(replaced_parts(seen[::order]))
    left = {origin.name for each in parts if each.name not in gone for origin in each.origins}
    assert left == {origin.name for each in parts for origin in each.origins}


def test_object_put_again_after_it_was_compacted_is_not_counted_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    keys = fill(store, range(2))
    compact(store)
    append_receipts(store, "night-0000", receipts(0)[:1])
    assert keys_read(store) == keys
    assert len(compact(store).removed) == 1
    assert keys_read(store) == keys


def test_replaced_objects_stay_for_the_grace_and_go_with_the_next_compaction(
    tmp_path: Path,
) -> None:
    store = FolderStore(tmp_path)
    keys = fill(store, [0])
    first = compact(store, grace=timedelta(hours=1))
    assert (first.left, first.removed) == (2, ())
    assert "stay until 1:00:00" in first.why_left
    assert keys_read(store) == keys
    second = compact(store, grace=NOW)
    assert (second.left, len(second.removed), second.written) == (0, 2, ())
    assert keys_read(store) == keys


def test_store_that_lets_nothing_be_removed_is_compacted_all_the_same(tmp_path: Path) -> None:
    class Refusing(FolderStore):
        def delete(self, name: str) -> None:
            raise StoreError("refused the key", where=name)

    store = Refusing(tmp_path)
    keys = fill(store, [0, 1])
    outcome = compact(store)
    assert outcome.left == 4
    assert "refused the key" in outcome.why_left
    assert keys_read(store) == keys


def test_compacted_object_that_was_damaged_costs_no_original(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    keys = fill(store, [0])
    compact(store, grace=timedelta(hours=1))
    written = next(name for name in names(store) if name.startswith(COMPACTED))
    data = bytearray((tmp_path / written).read_bytes())
    data[50] ^= 1
    (tmp_path / written).write_bytes(data)
    assert "expected digest" in compact(store).why_left
    keys += fill(store, [1], objects=1)
    assert keys_read(store) == keys
    compact(store)
    assert keys_read(store) == keys
    assert len(names(store)) == 1


def test_full_object_is_not_written_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    keys = fill(store, [2], objects=4)
    (full,) = compact(store, full_rows=4).written
    keys += fill(store, [3], objects=2)
    (second,) = compact(store, full_rows=4).written
    assert sorted(names(store)) == sorted([full, second])
    assert keys_read(store) == keys


def test_thousand_nights_are_a_month_s_objects_and_a_question_reads_few(tmp_path: Path) -> None:
    """The bound on what 1,000 nights cost; their seconds are for `bench`."""
    store = FolderStore(tmp_path)
    keys = fill(store, range(0, 1000, 10), objects=1)
    compact(store)
    months = {(FIRST + timedelta(days=night)).strftime("%Y-%m") for night in range(0, 1000, 10)}
    assert len(names(store)) == len(months) == 34
    assert row_groups(store) == 34
    assert row_groups(store, since=FIRST + timedelta(days=960)) <= 2
    assert keys_read(store) == keys


def test_any_parquet_reader_reads_the_folder_as_one_table(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    keys = fill(store, range(3))
    compact(store)
    keys += fill(store, [3])
    table = ds.dataset(tmp_path / "ledger", format="parquet").to_table()
    assert Counter(table["key"].to_pylist()) == keys
    assert table.sort_by("key").to_pylist() == read_history(store).sort_by("key").to_pylist()


def test_rows_alike_in_everything_are_all_kept(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    twin = receipts(0, 1)
    append_receipts(store, "a", twin * 2)
    append_receipts(store, "b", [replace(twin[0], run="b")])
    compact(store)
    assert keys_read(store).total() == 3
