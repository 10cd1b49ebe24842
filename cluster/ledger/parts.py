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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pyarrow.parquet as pq

from cluster.errors import DigestError, StoreError
from cluster.keys import make_key
from cluster.ledger.receipts import PREFIX, SCHEMA, SCHEMA_FIELD
from cluster.settings import home_folder
from cluster.store import records
from cluster.store.base import NotStored, Store, StoredObject
from cluster.store.folder import FolderStore
from cluster.store.records import DamagedRecord, damaged_record, newer_record, note_damage

COMPACTED = f"{PREFIX}months/"
ORIGINS = "douga.origins"
"""Where a compacted object names its origins: JSON, `[[name, rows], …]`."""
FIRST_COLUMNS = frozenset(SCHEMA.names[: SCHEMA.names.index("finished_at") + 1])
"""The columns of the first douga: an object without one of them is no ledger."""
UNCOUNTED = "its receipts are not counted"
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
    """Every object of the ledger, or those that may hold a run's rows. One that is damaged, newer
    or no ledger is left out, with a note.

    NotStored if one is gone by the time it is opened: list them again.
    """
    listed = _list(store, f"{PREFIX}{run}/" if run else PREFIX)
    paths = {stored.name: _local_path(store, stored.name) for stored in listed}

    def opened(stored: StoredObject) -> Part | None:
        try:
            return open_part(store, stored, paths[stored.name])
        except DamagedRecord as error:
            note_damage(error, then=UNCOUNTED)
            return None

    with ThreadPoolExecutor(max_workers=FETCHES_AT_ONCE) as threads:
        parts = [part for part in threads.map(opened, listed) if part]
    if not run:
        _forget_others(store, set(paths.values()))
    return parts


def whole_parts(store: Store, parts: Iterable[Part]) -> list[Part]:
    """Those whose every byte is as it was put; others are left out, with a note. NotStored if one
    is gone, or if its copy on this machine was damaged and is removed: list them again."""

    def is_whole(part: Part) -> bool:
        try:
            store.get(part.name)
            part.fragment.to_table(schema=SCHEMA)
        except FileNotFoundError:
            raise NotStored("gone since it was listed", where=store.url) from None
        except DigestError:
            error = damaged_record(store, part.name, "its bytes are not those that were put")
        except (pa.ArrowException, OSError):
            if not isinstance(store, FolderStore):
                Path(part.fragment.path).unlink(missing_ok=True)
                raise NotStored("its copy was damaged", where=store.url) from None
            error = not_a_ledger(store, part.name)
        else:
            return True
        note_damage(error, then=UNCOUNTED)
        return False

    with ThreadPoolExecutor(max_workers=FETCHES_AT_ONCE) as threads:
        listed = list(parts)
        kept = threads.map(is_whole, listed)
        return [part for part, whole in zip(listed, kept, strict=True) if whole]


def _list(store: Store, prefix: str) -> list[StoredObject]:
    """The objects under a prefix, then the compacted ones, in this order: an object removed before
    it was listed is in one of the latter. Lists these until two listings agree, since one may be
    removed while its successor comes."""
    appended = [each for each in store.list(prefix) if not each.name.startswith(COMPACTED)]
    compacted: list[StoredObject] = []
    while compacted != (again := list(store.list(COMPACTED))):
        compacted = again
    return appended + compacted


def open_part(store: Store, stored: StoredObject, path: Path, *, fresh: bool = False) -> Part:
    """An object of the ledger by its footer. DamagedRecord for one that is none."""
    try:
        if not isinstance(store, FolderStore) and not path.is_file():
            store.get_file(stored.name, path)
        fragment = FORMAT.make_fragment(str(path), filesystem=DISK)
        footer = fragment.metadata
    except FileNotFoundError:
        raise NotStored("no such object", where=f"{store.url}: {stored.name}") from None
    except (pa.ArrowException, OSError) as error:
        if not isinstance(store, FolderStore) and not fresh:
            path.unlink(missing_ok=True)
            return open_part(store, stored, path, fresh=True)
        raise not_a_ledger(store, stored.name) from error
    except DigestError as error:
        raise damaged_record(store, stored.name, "its bytes are not those that were put") from error
    origins = _described(store, stored.name, footer)
    return Part(stored=stored, origins=origins, fragment=fragment, first_at=_first_at(footer))


def check_receipts(store: Store, name: str, data: bytes) -> None:
    """Read an object of the ledger to its end. DamagedRecord for one that is none."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        file.read()
    except (pa.ArrowException, OSError) as error:
        raise not_a_ledger(store, name) from error
    _described(store, name, file.metadata)


def _described(store: Store, name: str, footer: Any) -> tuple[Origin, ...]:
    """The origins of an object by its footer, if that is of receipts of a known schema."""
    columns = {footer.schema.column(at).name for at in range(footer.num_columns)}
    try:
        number = int((footer.metadata or {}).get(SCHEMA_FIELD.encode(), records.SCHEMA))
        origins = _origins(name, footer)
    except (ValueError, TypeError) as error:
        raise not_a_ledger(store, name) from error
    if number > records.SCHEMA:
        raise newer_record(store, name, number)
    if FIRST_COLUMNS - columns or sum(origin.rows for origin in origins) != footer.num_rows:
        raise not_a_ledger(store, name)
    return origins


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


def _local_path(store: Store, name: str) -> Path:
    """The path of an object on this machine: in a folder store its own, else that of a copy in a
    cache under douga's home, since objects never change."""
    if isinstance(store, FolderStore):
        return store.root / name
    return cache_folder(store) / name.removeprefix(PREFIX)


def _forget_others(store: Store, paths: set[Path]) -> None:
    """Remove copies of objects that the ledger no longer has."""
    if not isinstance(store, FolderStore):
        for path in set(cache_folder(store).rglob("*.parquet")) - paths:
            path.unlink(missing_ok=True)


def cache_folder(store: Store) -> Path:
    """The folder with copies of a remote ledger's objects."""
    return home_folder("ledger") / make_key(store.url)


def not_a_ledger(store: Store, name: str) -> DamagedRecord:
    """The error for an object under `ledger/` that holds no receipts."""
    return damaged_record(store, name, "no receipts are in it")
