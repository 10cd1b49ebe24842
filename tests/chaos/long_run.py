"""A worker that makes chunk after chunk, as in a night; it prints how much memory it resides in.

`python -m tests.chaos.long_run FILM FOLDER CHUNKS`, a line for every hundred chunks: how many, and
resident KiB. Three calls are in flight, as in an actor; every chunk has a key of its own, and goes
into a store that forgets all but the last few, so that hours take minutes and no disk.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster.keys import make_key
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.plan.inputs import index_name
from tasks.decode import index_source
from tasks.frames.track import Track, chunk_spans
from tasks.models.device import Device
from tasks.stages.registry import STAGES
from tasks.worker.item import SourceInput, StageCall, WorkItem, chunk_name
from tasks.worker.worker import Worker, WorkerConfig
from tests.chaos.fake import HERE

CHUNK = 8
EVERY = 100


def main() -> None:
    film, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    STAGES["fake"] = HERE
    config = WorkerConfig(
        store_url=(folder / "store").as_uri(), cache=str(folder / "cache"), device=Device()
    )
    store, worker = open_store(config.store_url), Worker(config)
    with ThreadPoolExecutor(3) as threads:
        made = 0
        for batch in batches(film, store, count):
            list(threads.map(worker.make_chunk, batch))
            for item in batch:
                store.delete(chunk_name(item.key))
            made += len(batch)
            print(made, resident_kib(), flush=True)


def batches(film: str, store: Store, count: int) -> Iterator[list[WorkItem]]:
    """So many chunks, a hundred at a time: the film from its beginning again and again."""
    index = index_source(film)
    store.put(index_name(index), index.to_json().encode())
    source = SourceInput(path=film, digest=index.digest, index_name=index_name(index), first=0)
    track = Track(picture=index.picture, times=index.times, end=index.end, rate=index.rate)
    spans = chunk_spans(len(track), chunk=CHUNK)
    for at in range(0, count, EVERY):
        yield [
            WorkItem(
                key=make_key(["long run", number]),
                run="r",
                episode="ep",
                shot="sh010",
                name="fake",
                calls=(StageCall(name="fake"),),
                track=track,
                out=spans[number % len(spans)],
                source=source,
            )
            for number in range(at, min(at + EVERY, count))
        ]


def resident_kib() -> int:
    """Resident memory of this process (proc(5), status), untrimmed."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
