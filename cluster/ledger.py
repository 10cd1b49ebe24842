"""The ledger: a receipt for every work item, kept as Parquet beside the frames.

Every call of `append_receipts` writes one object, named by its content: nothing is ever rewritten,
writing twice is harmless, and any Parquet reader can query `ledger/` as one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.errors import StoreError
from cluster.keys import make_key
from cluster.store import Store

PREFIX = "ledger/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What came of one work item: frames `[start, end)` of a shot after a run of stages.

    `stage` names the stages that ran as one (`interpolate+upscale`); `reused` says that the store
    already had the chunk and nothing was computed; `retries` how many tries of it failed in this
    run before, for whatever reason. Seconds are wall time in the worker;
    `finished_at` is ISO 8601 in UTC. `kind` is of the same work with the same parameters (its part
    before the dot: with any), `width` and `height` are of the frames made; "" and 0: not known.
    """

    run: str
    episode: str
    shot: str
    stage: str
    key: str
    start: int
    end: int
    model: str = ""
    device: str = ""
    worker: str = ""
    node: str = ""
    load_s: float = 0.0
    compute_s: float = 0.0
    store_s: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    retries: int = 0
    reused: bool = False
    finished_at: str = ""
    kind: str = ""
    width: int = 0
    height: int = 0


SCHEMA = pa.schema(
    [
        *[pa.field(name, pa.string()) for name in ("run", "episode", "shot", "stage", "key")],
        *[pa.field(name, pa.int64()) for name in ("start", "end")],
        *[pa.field(name, pa.string()) for name in ("model", "device", "worker", "node")],
        *[pa.field(name, pa.float64()) for name in ("load_s", "compute_s", "store_s")],
        *[pa.field(name, pa.int64()) for name in ("bytes_in", "bytes_out", "retries")],
        pa.field("reused", pa.bool_()),
        pa.field("finished_at", pa.string()),
        pa.field("kind", pa.string()),
        *[pa.field(name, pa.int64()) for name in ("width", "height")],
    ]
)
LATER = frozenset({"kind", "width", "height"})
"""Columns that rows of older versions have not: they are as the receipt's defaults."""


def append_receipts(store: Store, run: str, receipts: Sequence[Receipt]) -> str:
    """Write receipts of a run as one object; its name, or "" when there are none."""
    if not receipts:
        return ""
    name = f"{PREFIX}{run}/{make_key(list(receipts))}.parquet"
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist([asdict(receipt) for receipt in receipts], schema=SCHEMA)
    pq.write_table(table, sink, compression="zstd")
    store.put(name, sink.getvalue().to_pybytes())
    return name


def read_ledger(
    store: Store, *, run: str = "", episode: str = "", shot: str = "", stage: str = ""
) -> list[Receipt]:
    """Receipts in the order they were finished; those of one run, episode, shot or stage if named.

    A run is found by its name alone; other questions read the whole ledger.
    """
    asked = {"episode": episode, "shot": shot, "stage": stage}
    found = [
        receipt
        for stored in store.list(f"{PREFIX}{run}/" if run else PREFIX)
        for receipt in _read(store, stored.name)
        if all(not value or getattr(receipt, name) == value for name, value in asked.items())
    ]
    return sorted(found, key=lambda receipt: (receipt.finished_at, receipt.shot, receipt.start))


def _read(store: Store, name: str) -> list[Receipt]:
    try:
        table = pq.read_table(pa.BufferReader(store.get(name)))
        names = [name for name in SCHEMA.names if name in table.column_names or name not in LATER]
        return [Receipt(**row) for row in table.select(names).to_pylist()]
    except (pa.ArrowException, KeyError, TypeError) as error:
        raise StoreError(
            "not a ledger of this version of douga",
            where=f"{store.url}: {name}",
            remedy="move it out of ledger/",
        ) from error
