"""The objects of a ledger, opened so that every row is read exactly once.

Receipts lie as they were appended, `ledger/RUN/KEY.parquet`, or compacted,
`ledger/months/MONTH-KEY.parquet`. A compacted object names its **origins**, the appended objects
whose rows it holds, each with its number of rows, in their order. So whatever is there together
(originals not yet removed, two compactions of the same objects), `pick_parts` finds which rows
to read where.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs

from cluster.errors import StoreError
from cluster.keys import make_key
from cluster.ledger.receipts import PREFIX, SCHEMA
from cluster.settings import home_folder
from cluster.store.base import NotStored, Store, StoredObject
from cluster.store.folder import FolderStore

COMPACTED = f"{PREFIX}months/"
ORIGINS = "douga.origins"
"""Where a compacted object names its origins: JSON, `[[name, rows], …]`."""
FIRST_COLUMNS = frozenset(SCHEMA.names[: SCHEMA.names.index("finished_at") + 1])
"""The columns of the first douga: an object without one of them is no ledger."""
FETCHES_AT_ONCE = 8
TRIES = 8
"""A compaction removes objects once, at its end: each retry meets another compaction."""
T = TypeVar("T")
FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
DISK = fs.LocalFileSystem()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """An appended object, and its number of rows."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An object of the ledger, its footer read; `origins` in the order of its rows.

    An appended object is its own and only origin. `first_at` is the earliest `finished_at` in it,
    "" where none is known.
    """

    stored: StoredObject
    origins: tuple[Origin, ...]
    fragment: Any = None
    first_at: str = ""

    @property
    def name(self) -> str:
        """The object's name."""
        return self.stored.name

    @property
    def rows(self) -> int:
        """How many rows are in it."""
        return sum(origin.rows for origin in self.origins)

    @property
    def is_compacted(self) -> bool:
        """Whether other objects' rows are in it."""
        return self.name.startswith(COMPACTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """The rows to read of a part: `[start, end)` of each range; all its rows if `whole`."""

    part: Part
    ranges: tuple[tuple[int, int], ...]
    origins: tuple[Origin, ...]

    @property
    def whole(self) -> bool:
        """Whether all rows of it are read."""
        return len(self.origins) == len(self.part.origins)


def pick_parts(parts: Iterable[Part]) -> list[Pick]:
    """Which rows of which parts to read, so that every origin is read once.

    Compacted parts first, that with most origins before others: what a later compaction has
    replaced is not read at all.
    """
    taken: set[str] = set()
    picks: list[Pick] = []
    for part in sorted(parts, key=_rank, reverse=True):
        ranges: list[tuple[int, int]] = []
        origins: list[Origin] = []
        at = 0
        for origin in part.origins:
            if origin.name not in taken:
                ranges.append((at, at + origin.rows))
                origins.append(origin)
            at += origin.rows
        if origins:
            picks.append(Pick(part=part, ranges=tuple(ranges), origins=tuple(origins)))
            taken.update(origin.name for origin in origins)
    return picks


def _rank(part: Part) -> tuple[bool, int, str]:
    return part.is_compacted, len(part.origins), part.name


def replaced_parts(parts: Iterable[Part]) -> dict[str, Part]:
    """The parts that may be removed, by name, each with the part that holds all its rows and stays.

    Only a part above it in a fixed order replaces a part. So however many processes remove at once,
    with however old listings, none removes the last holder of a row.
    """
    replaced: dict[str, Part] = {}
    holders: dict[str, list[tuple[Part, frozenset[str]]]] = defaultdict(list)
    for part in sorted(parts, key=_rank, reverse=True):
        names = frozenset(origin.name for origin in part.origins)
        for holder, held in holders[part.origins[0].name] if part.origins else ():
            if names <= held:
                replaced[part.name] = holder
                break
        if part.is_compacted:
            for name in names:
                holders[name].append((part, names))
    return replaced


def retry_while_compacted(store: Store, work: Callable[[], T], *, doing: str, remedy: str) -> T:
    """Call `work`, again if a compaction has removed objects that it listed.

    StoreError after `TRIES`, with what was being done (`doing`) and the `remedy`.
    """
    for left in reversed(range(TRIES)):
        try:
            return work()
        except NotStored as error:
            if not left:
                raise StoreError(
                    f"the ledger's objects vanish while they are {doing}",
                    where=store.url,
                    remedy=remedy,
                    retryable=True,
                ) from error
    raise AssertionError("it is tried once at least")


def open_parts(store: Store, *, run: str = "") -> list[Part]:
    """Every object of the ledger, or those that may hold a run's rows.

    NotStored if one is gone by the time it is opened: list them again. StoreError for an object
    that is no ledger.
    """
    listed = _list(store, f"{PREFIX}{run}/" if run else PREFIX)
    paths = _local_paths(store, listed)
    if not run:
        _forget_others(store, set(paths.values()))
    with ThreadPoolExecutor(max_workers=FETCHES_AT_ONCE) as threads:
        return list(threads.map(lambda stored: _open(store, stored, paths[stored.name]), listed))


def _list(store: Store, prefix: str) -> list[StoredObject]:
    """The objects under a prefix, then the compacted ones, in this order: an object removed before
    it was listed is in one of the latter. Lists these until two listings agree, since one may be
    removed while its successor comes."""
    appended = [each for each in store.list(prefix) if not each.name.startswith(COMPACTED)]
    compacted: list[StoredObject] = []
    while compacted != (again := list(store.list(COMPACTED))):
        compacted = again
    return appended + compacted


def _open(store: Store, stored: StoredObject, path: Path, *, fresh: bool = False) -> Part:
    try:
        fragment = FORMAT.make_fragment(str(path), filesystem=DISK)
        footer = fragment.metadata
    except FileNotFoundError:
        raise NotStored("no such object", where=f"{store.url}: {stored.name}") from None
    except (pa.ArrowException, OSError) as error:
        if isinstance(store, FolderStore):
            store.get(stored.name)  # DigestError where it was damaged
        elif not fresh:
            store.get_file(stored.name, path)
            return _open(store, stored, path, fresh=True)
        raise not_a_ledger(store, stored.name) from error
    missing = FIRST_COLUMNS - {footer.schema.column(at).name for at in range(footer.num_columns)}
    try:
        origins = _origins(stored.name, footer)
    except ValueError as error:
        raise not_a_ledger(store, stored.name) from error
    if missing or sum(origin.rows for origin in origins) != footer.num_rows:
        raise not_a_ledger(store, stored.name)
    return Part(stored=stored, origins=origins, fragment=fragment, first_at=_first_at(footer))


def _origins(name: str, footer: Any) -> tuple[Origin, ...]:
    if not name.startswith(COMPACTED):
        return (Origin(name=name, rows=footer.num_rows),)
    pairs = json.loads((footer.metadata or {}).get(ORIGINS.encode(), b""))
    return tuple(Origin(name=str(origin), rows=int(rows)) for origin, rows in pairs)


def _first_at(footer: Any) -> str:
    """The earliest `finished_at`, by the statistics."""
    column = SCHEMA.names.index("finished_at")
    found = []
    for group in range(footer.num_row_groups):
        chunk = footer.row_group(group).column(column)
        if chunk.path_in_schema == "finished_at" and chunk.is_stats_set:
            found.append(str(chunk.statistics.min or ""))
    return min(filter(None, found), default="")


def _local_paths(store: Store, listed: Sequence[StoredObject]) -> dict[str, Path]:
    """The path of each object on this machine: in a folder store its own, else a copy in a cache
    under douga's home, since objects never change."""
    if isinstance(store, FolderStore):
        return {stored.name: store.root / stored.name for stored in listed}
    cache = cache_folder(store)
    paths = {stored.name: cache / stored.name.removeprefix(PREFIX) for stored in listed}
    absent = [(name, path) for name, path in paths.items() if not path.is_file()]
    with ThreadPoolExecutor(max_workers=FETCHES_AT_ONCE) as threads:
        list(threads.map(lambda each: store.get_file(*each), absent))
    return paths


def _forget_others(store: Store, paths: set[Path]) -> None:
    """Remove copies of objects that the ledger no longer has."""
    if not isinstance(store, FolderStore):
        for path in set(cache_folder(store).rglob("*.parquet")) - paths:
            path.unlink(missing_ok=True)


def cache_folder(store: Store) -> Path:
    """The folder with copies of a remote ledger's objects."""
    return home_folder("ledger") / make_key(store.url)


def not_a_ledger(store: Store, name: str) -> StoreError:
    """The error for an object under `ledger/` that holds no receipts."""
    return StoreError(
        "not a ledger of this version of douga",
        where=f"{store.url}: {name}",
        remedy="move it out of ledger/",
    )
