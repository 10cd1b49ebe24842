"""Pieces of work on the rows of workers, from receipts."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cluster.ledger.history import read_history
from cluster.store.base import Store
from flows.report.usage.facts import moment_of

READ = (
    *("run", "episode", "shot", "stage", "start", "end", "device", "worker", "node", "gpu"),
    *("load_s", "decode_s", "compute_s", "verify_s", "store_s", "pack_s"),
    *("bytes_out", "retries", "reused"),
    *("began_at", "finished_at"),
)
PARTS = ("load", "decode", "wait", "compute", "encode", "verify", "pack", "store")
"""Of a piece's time, in the order in which they are drawn. A worker has several pieces in hand:
`wait` is for its network, or for whatever else no receipt counts."""
MOST = 100_000
"""Pieces on one page, the newest: 10 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Frames `[start, end)` of a shot after a stage, made by a worker (its place in
    `Timeline.workers`) on a lane of its row. `began_s` counts from the timeline's first piece,
    `parts_s` are of PARTS and fill the piece."""

    worker: int
    lane: int
    run: str
    episode: str
    shot: str
    stage: str
    start: int
    end: int
    began_s: float
    parts_s: tuple[float, ...]
    size_bytes: int
    retries: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(self.parts_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A worker: its node, its process there, the GPU it had ("" for none), and how many pieces it
    had in hand at most."""

    node: str
    process: str
    gpu: str
    lanes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All pieces from the first to begin on, with the rows they stand on. `left_out` older ones are
    not among them."""

    began: datetime | None
    workers: tuple[Row, ...]
    pieces: tuple[Piece, ...]
    left_out: int = 0


def read_timeline(store: Store, *, since: datetime, until: datetime, episode: str = "") -> Timeline:
    """What a store's receipts say of a time, of one episode if named."""
    table = read_history(store, columns=READ, since=since, until=until, episode=episode)
    return make_timeline(table.to_pylist())


def make_timeline(receipts: Sequence[dict[str, Any]], *, most: int = MOST) -> Timeline:
    """Receipts (the columns of READ) on rows; pure. What was reused took nobody's time."""
    made = sorted(
        (receipt for receipt in receipts if not receipt["reused"]),
        key=lambda receipt: str(receipt["finished_at"]),
    )
    timed = sorted(map(_timed, made[-most:]), key=lambda each: (each[0], each[2]["shot"]))
    if not timed:
        return Timeline(began=None, workers=(), pieces=())
    names = sorted({_worker(receipt) for _, _, receipt in timed})
    place = {name: at for at, name in enumerate(names)}
    lanes = _Lanes()
    first_s = timed[0][0]
    pieces = tuple(
        Piece(
            worker=place[_worker(receipt)],
            lane=lanes.take(_worker(receipt), began_s, began_s + sum(parts_s)),
            run=receipt["run"],
            episode=receipt["episode"],
            shot=receipt["shot"],
            stage=receipt["stage"],
            start=receipt["start"],
            end=receipt["end"],
            began_s=began_s - first_s,
            parts_s=parts_s,
            size_bytes=receipt["bytes_out"],
            retries=receipt["retries"],
        )
        for began_s, parts_s, receipt in timed
    )
    rows = [
        Row(node=name[0], process=name[1], gpu=name[2], lanes=lanes.most(name)) for name in names
    ]
    return Timeline(
        began=datetime.fromtimestamp(first_s, tz=UTC),
        workers=tuple(rows),
        pieces=pieces,
        left_out=max(0, len(made) - most),
    )


def _timed(receipt: dict[str, Any]) -> tuple[float, tuple[float, ...], dict[str, Any]]:
    """(when it began, what its parts took, the receipt). Where an older douga did not write when it
    began, it waited for nothing."""
    worked = "encode" if receipt["stage"] == "encode" else "compute"
    known = dict.fromkeys(PARTS, 0.0) | {
        "load": receipt["load_s"] - receipt["decode_s"],
        "decode": receipt["decode_s"],
        worked: receipt["compute_s"] - receipt["verify_s"],
        "verify": receipt["verify_s"],
        "pack": receipt["pack_s"],
        "store": receipt["store_s"] - receipt["pack_s"],
    }
    busy_s = sum(known.values())
    finished_s = moment_of(receipt["finished_at"]).timestamp()
    began = receipt["began_at"]
    whole_s = finished_s - moment_of(began).timestamp() if began else busy_s
    known["wait"] = max(0.0, whole_s - busy_s)
    parts_s = tuple(known[part] for part in PARTS)
    return finished_s - sum(parts_s), parts_s, receipt


def _worker(receipt: dict[str, Any]) -> tuple[str, str, str]:
    return receipt["node"], receipt["worker"], receipt["gpu"]


class _Lanes:
    """Which lanes of each row are free, and when those taken will be."""

    def __init__(self) -> None:
        self._free: dict[Any, list[int]] = {}
        self._taken: dict[Any, list[tuple[float, int]]] = {}

    def take(self, row: Any, begin_s: float, end_s: float) -> int:
        """The first lane of a row that is free from `begin_s` on; asked in order of time."""
        free, taken = self._free.setdefault(row, []), self._taken.setdefault(row, [])
        while taken and taken[0][0] <= begin_s:
            heapq.heappush(free, heapq.heappop(taken)[1])
        lane = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end_s, lane))
        return lane

    def most(self, row: Any) -> int:
        """How many lanes a row has."""
        return len(self._free[row]) + len(self._taken[row])


def placed_parts(piece: Piece) -> Iterator[tuple[str, float, float]]:
    """(part, when it begins, when it ends) of a piece, those that took time."""
    at = piece.began_s
    for part, seconds in zip(PARTS, piece.parts_s, strict=True):
        if seconds > 0:
            yield part, at, at + seconds
        at += seconds
