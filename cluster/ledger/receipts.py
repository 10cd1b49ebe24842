"""The ledger: a receipt for every work item, kept as Parquet beside the frames.

Every call of `append_receipts` writes one object, named by its content: nothing is ever rewritten,
writing twice is harmless, and any Parquet reader can query `ledger/` as one table. `history` reads
it, `compaction` makes few large objects of many small ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.keys import make_key
from cluster.store.base import Store
from cluster.store.records import SCHEMA as SCHEMA_NUMBER

PREFIX = "ledger/"
SCHEMA_FIELD = "douga.schema"
"""Where an object of the ledger says which schema it has, as other records do."""
ROW_GROUP = 16384
"""Rows read or skipped together: about a megabyte, some days of a busy farm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of one work item: frames `[start, end)` of a shot after a run of stages.

    `stage` names the stages that ran as one (`interpolate+upscale`); `reused` says that the store
    already had the chunk and nothing was computed; `retries` how many tries of it failed in this
    run before, for whatever reason. Seconds are wall time in the worker; `began_at` and
    `finished_at` are ISO 8601 in UTC. `kind` is of the same work with the same parameters (its part
    before the dot: with any), `width` and `height` are of the frames made, `frames` how many they
    are, `digest` is the stored object's. `threads` is how many the worker computed with, `gpu`
    which one of its node it had ("" for none). `verify_s` is the part of `compute_s` that went into
    looking at what was made, `pack_s` that of `store_s` that went into packing, `decode_s` that of
    `load_s` that went into decoding a source. "" and 0: not known.
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
    frames: int = 0
    digest: str = ""
    began_at: str = ""
    threads: int = 0
    gpu: str = ""
    verify_s: float = 0.0
    pack_s: float = 0.0
    decode_s: float = 0.0


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
        *[pa.field(name, pa.int64()) for name in ("width", "height", "frames")],
        *[pa.field(name, pa.string()) for name in ("digest", "began_at")],
        pa.field("threads", pa.int64()),
        pa.field("gpu", pa.string()),
        *[pa.field(name, pa.float64()) for name in ("verify_s", "pack_s", "decode_s")],
    ]
)
"""Grows only at its end: columns that an older douga did not write read as "" or 0."""


def append_receipts(store: Store, run: str, receipts: Sequence[Receipt]) -> str:
    """Write receipts of a run as one object; its name, or "" when there are none."""
    if not receipts:
        return ""
    name = f"{PREFIX}{run}/{make_key(list(receipts))}.parquet"
    columns = [[getattr(receipt, field) for receipt in receipts] for field in SCHEMA.names]
    table = pa.Table.from_arrays(
        [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )
    store.put(name, to_parquet(table))
    return name


def to_parquet(table: pa.Table, *, metadata: Mapping[str, str] | None = None) -> memoryview:
    """A table as an object of the ledger: statistics to skip rows by, pages with checksums."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", write_page_checksum=True, store_schema=False
    ) as writer:
        writer.add_key_value_metadata({SCHEMA_FIELD: str(SCHEMA_NUMBER), **(metadata or {})})
        writer.write_table(table, row_group_size=ROW_GROUP)
    return memoryview(sink.getvalue())
