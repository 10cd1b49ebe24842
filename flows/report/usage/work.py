"""Sums over receipts, column-wise: 1,000 nights are 300,000 of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flows.report.usage.figures import Cost, NodeRow, StageRow
from flows.runs.costs import HOUR_S, priced

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextColumn:
    """A column of few different texts: row i is `values[codes[i]]`."""

    codes: Ints
    values: tuple[str, ...]

    def equals(self, value: str) -> Bools:
        """Which rows hold this text."""
        known = value in self.values
        found: Bools = self.codes == (self.values.index(value) if known else -1)
        return found

    def values_in(self, chosen: Bools) -> set[str]:
        """The texts that these rows hold."""
        return {self.values[code] for code in np.unique(self.codes[chosen])}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Receipts as columns of one length. Moments are seconds since 1970; `unit` tells one GPU, or
    one worker on the CPU, from the others of its node."""

    run: TextColumn
    episode: TextColumn
    stage: TextColumn
    node: TextColumn
    unit: TextColumn
    on_gpu: Bools
    load_s: Floats
    compute_s: Floats
    store_s: Floats
    cores: Ints
    frames: Ints
    size_bytes: Ints
    retries: Ints
    reused: Bools
    began: Floats
    finished: Floats

    def __len__(self) -> int:
        return len(self.finished)

    @property
    def busy_s(self) -> Floats:
        """Seconds each piece of work took of a device."""
        busy: Floats = (self.load_s + self.compute_s + self.store_s) * np.where(
            self.on_gpu, 1, self.cores
        )
        return busy

    def cost(self, chosen: Bools | None = None) -> Cost:
        """What these work items cost, or all of them."""
        busy_s = self.busy_s if chosen is None else np.where(chosen, self.busy_s, 0.0)
        spent = priced(
            gpu_hours=float(busy_s[self.on_gpu].sum()) / HOUR_S,
            cpu_hours=float(busy_s[~self.on_gpu].sum()) / HOUR_S,
        )
        return Cost(gpu_hours=spent.gpu_hours, cpu_hours=spent.cpu_hours, money=spent.money)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUse:
    """A GPU, or a worker on the CPU, in one run: seconds held and seconds computing, until when."""

    run: str
    node: str
    unit: str
    on_gpu: bool
    held_s: float
    busy_s: float
    until: float


def read_work(table: pa.Table) -> Work:
    """The columns of `facts.READ` as numbers."""
    import pyarrow.compute as pc

    finished = _seconds(table["finished_at"])
    load_s, compute_s, store_s = (
        table[name].to_numpy() for name in ("load_s", "compute_s", "store_s")
    )
    began = _seconds(table["began_at"])
    on_gpu = pc.starts_with(table["device"], "cuda")
    return Work(
        run=_text_column(table["run"]),
        episode=_text_column(table["episode"]),
        stage=_text_column(table["stage"]),
        node=_text_column(table["node"]),
        unit=_text_column(pc.if_else(on_gpu, table["gpu"], table["worker"])),
        on_gpu=on_gpu.to_numpy(),
        load_s=load_s,
        compute_s=compute_s,
        store_s=store_s,
        cores=np.maximum(1, table["threads"].to_numpy()),
        frames=table["frames"].to_numpy(),
        size_bytes=table["bytes_out"].to_numpy(),
        retries=table["retries"].to_numpy(),
        reused=table["reused"].to_numpy(),
        began=np.where(np.isnan(began), finished - load_s - compute_s - store_s, began),
        finished=finished,
    )


def stage_rows(work: Work) -> list[StageRow]:
    """Stages by their busy hours; what was reused took no time and is left out."""
    made = ~work.reused
    whole_s = float(work.busy_s[made].sum()) or 1.0
    rows = []
    for at in _groups(made, work.stage.codes, work.on_gpu):
        busy_s = work.busy_s[at]
        each_s = work.load_s[at] + work.compute_s[at] + work.store_s[at]
        frames = int(work.frames[at].sum())
        parts = [float(part[at].sum()) for part in (work.load_s, work.compute_s, work.store_s)]
        of_frame = [part / frames if frames else 0.0 for part in parts]
        rows.append(
            StageRow(
                stage=work.stage.values[work.stage.codes[at[0]]],
                device="GPU" if work.on_gpu[at[0]] else "CPU",
                items=len(at),
                frames=frames,
                hours=float(busy_s.sum()) / HOUR_S,
                share=float(busy_s.sum()) / whole_s,
                p50_s=float(np.percentile(each_s, 50)),
                p90_s=float(np.percentile(each_s, 90)),
                frame_s=sum(of_frame),
                frame_load_s=of_frame[0],
                frame_compute_s=of_frame[1],
                frame_store_s=of_frame[2],
                retries=int(work.retries[at].sum()),
            )
        )
    return sorted(rows, key=lambda row: -row.hours)


def device_uses(work: Work) -> list[DeviceUse]:
    """What each run held, and for how long that computed.

    A GPU is held for the whole of a run, from the first piece of work begun to the last stored; a
    worker on the CPU from its own first to its own last, for a lost worker's place is taken by
    another.
    """
    everything = np.ones(len(work), dtype=bool)
    whole = {
        int(work.run.codes[at[0]]): (float(work.began[at].min()), float(work.finished[at].max()))
        for at in _groups(everything, work.run.codes)
    }
    found = []
    for at in _groups(everything, work.run.codes, work.node.codes, work.unit.codes, work.on_gpu):
        run, on_gpu = int(work.run.codes[at[0]]), bool(work.on_gpu[at[0]])
        ends = work.finished[at] - work.store_s[at]
        begins = ends - work.compute_s[at]
        first, last = float(work.began[at].min()), float(work.finished[at].max())
        if on_gpu:
            first, last = whole[run]
        held_s = max(0.0, last - first)
        found.append(
            DeviceUse(
                run=work.run.values[run],
                node=work.node.values[work.node.codes[at[0]]],
                unit=work.unit.values[work.unit.codes[at[0]]],
                on_gpu=on_gpu,
                held_s=held_s,
                busy_s=min(held_s, covered_s(begins, ends)),
                until=last,
            )
        )
    return found


def covered_s(begins: Floats, ends: Floats) -> float:
    """Seconds in at least one of the intervals."""
    order = np.argsort(begins)
    begins, ends = begins[order], ends[order]
    reached = np.concatenate([[-np.inf], np.maximum.accumulate(ends)[:-1]])
    return float(np.maximum(0.0, ends - np.maximum(begins, reached)).sum())


def idle_share(used: Iterable[DeviceUse], *, on_gpu: bool) -> float | None:
    """The part of the time held in which nothing was computed; None if nothing was held."""
    found = [use for use in used if use.on_gpu == on_gpu]
    held_s = sum(use.held_s for use in found)
    return 1 - sum(use.busy_s for use in found) / held_s if held_s else None


def node_rows(work: Work, used: Sequence[DeviceUse]) -> list[NodeRow]:
    """Machines by how long they computed."""
    by_node: dict[tuple[str, bool], list[DeviceUse]] = defaultdict(list)
    for use in used:
        by_node[use.node, use.on_gpu].append(use)
    rows = [
        NodeRow(
            node=node,
            device="GPU" if on_gpu else "CPU",
            units=max(_at_once(found)),
            busy_hours=sum(use.busy_s for use in found) / HOUR_S,
            idle_share=idle_share(found, on_gpu=on_gpu),
            retries=int(work.retries[work.node.equals(node) & (work.on_gpu == on_gpu)].sum()),
        )
        for (node, on_gpu), found in by_node.items()
    ]
    return sorted(rows, key=lambda row: -row.busy_hours)


def _at_once(used: Sequence[DeviceUse]) -> list[int]:
    """How many units each run had."""
    units: dict[str, set[str]] = defaultdict(set)
    for use in used:
        units[use.run].add(use.unit)
    return [len(found) for found in units.values()]


def _groups(chosen: Bools, *columns: npt.NDArray[Any]) -> Iterator[Ints]:
    """Where the rows chosen are, those together that are equal in all columns."""
    rows: Ints = np.flatnonzero(chosen)
    codes = np.zeros(len(rows), dtype=np.int64)
    for column in columns:
        codes = codes * (int(column.max(initial=0)) + 1) + column[rows]
        _, codes = np.unique(codes, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        if len(at):
            yield rows[at]


def _text_column(column: pa.ChunkedArray) -> TextColumn:
    found = column.combine_chunks().dictionary_encode()
    return TextColumn(
        codes=found.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        values=tuple(found.dictionary.to_pylist()),
    )


def _seconds(column: pa.ChunkedArray) -> Floats:
    """Moments as receipts write them, in seconds since 1970; NaN where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.replace_substring_regex(column, pattern=r"(Z|\+00:00)$", replacement="")
    moments = pc.if_else(pc.equal(plain, ""), pa.scalar(None, pa.string()), plain)
    known = pc.cast(pc.cast(moments, pa.timestamp("ms")), pa.int64())
    return np.asarray(pc.divide(pc.cast(known, pa.float64()), 1000.0).to_numpy(), np.float64)
