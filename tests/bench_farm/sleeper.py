"""A render whose workers only sleep: `python -m tests.bench_farm.sleeper FOLDER RAY`.

All else is the real thing: driver, pools, shares, store, segments, the film and its verification.
FOLDER has episode.yaml and `chunk_s`, how many seconds a chunk takes on average; a line for each
chunk goes into `log` as it is begun and when it is made.
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cluster.errors import Exit
from tasks.frames.codes import Frames
from tasks.frames.track import Span
from tasks.worker.item import WorkItem
from tasks.worker.process import Spent
from tasks.worker.worker import Worker, WorkerConfig

SCATTER = 0.35
"""Of how long chunks take (log): those of one shot and size on one kind of card."""


class Sleeper(Worker):
    """A worker whose chunks take the same time in every run, and no processor."""

    def __init__(self, config: WorkerConfig) -> None:
        super().__init__(config)
        self._folder = Path(config.store_url.removeprefix("file://")).parent
        self._chunk_s = float((self._folder / "chunk_s").read_text())

    def _make_frames(self, item: WorkItem, out: Span, spent: Spent) -> Iterator[Frames]:
        if len(out):
            with spent.turn:
                self._note("begun", item)
                time.sleep(self._chunk_s * slowness(item))
                self._note("made", item)
        yield from super()._make_frames(item, out, spent)

    def _note(self, what: str, item: WorkItem) -> None:
        line = f"{time.time():.3f} {what} {item.key} {os.getpid()}\n"
        with open(self._folder / "log", "a") as log:
            log.write(line)


def slowness(item: WorkItem) -> float:
    """What a chunk takes more or less than the average."""
    chance = random.Random(f"{item.shot} {item.out}")
    return min(2.0, math.exp(chance.gauss(-(SCATTER**2) / 2, SCATTER)))


def main() -> None:
    """Render, and print the result."""
    from flows.farm.farm import open_farm
    from flows.process import end_by_signals
    from flows.progress import Plain
    from flows.render import render
    from flows.spec.request import make_request

    folder, ray = Path(sys.argv[1]), sys.argv[2]
    end_by_signals()
    request = make_request(
        str(folder / "episode.yaml"), output=str(folder / "film.mkv"), chunk=1, ray=ray
    )
    farm: Any = partial(open_farm, handler="tests.bench_farm.sleeper:Sleeper")
    try:
        with Plain() as reporter:
            result = render(request, reporter, farm=farm)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    print(result.verified, result.chunks_computed, flush=True)


if __name__ == "__main__":
    main()
