"""A stage that does nothing but fail as a folder tells it to, so that the same keys can be mended.

A file named as a frame of the episode says how that frame fails: bug, die (its process), flaky
(twice, then never again) or nan (it is no picture). A file `most` says how many frames fit in
memory at once. With a folder `bad host`, all work fails where HURT_HOST is set; elsewhere it waits
until so many shots have failed there that the host is known as bad.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from cluster.errors import StageError
from cluster.pool.failures import BLAMES
from tasks.frames.codes import Frames
from tasks.frames.track import Span
from tasks.stages.stage import Card, Params, Stage, Window


class HurtParams(Params):
    """Where the orders are, and whether the stage sees one frame at a time or many."""

    folder: str
    per_frame: bool = True


class Hurt(Stage[HurtParams]):
    """Gives every frame back as it came, unless told otherwise."""

    name = "hurt"
    version = 1
    Params = HurtParams

    def card(self) -> Card:
        """Cheap."""
        return Card(memory_bytes=1 << 20, keep=True, per_frame=self.params.per_frame)

    def process(self, window: Window, out: Span) -> Frames:
        """The frames asked for."""
        folder = Path(self.params.folder)
        most = folder / "most"
        if most.exists() and len(out) > int(most.read_text()):
            raise MemoryError(f"{len(out)} frames do not fit")
        if (folder / "bad host").exists():
            _meet_bad_host(folder / "bad host", shot=window.track.first)
        made = window.frames_nhwc.copy()
        for place, index in enumerate(out.indices()):
            number = window.track.first + index
            order = folder / str(number)
            if order.exists() and order.read_text() == "nan":
                made[place] = 0  # what a cast makes of NaN
            elif order.exists():
                _obey(order)
        return made


def _meet_bad_host(failed: Path, *, shot: int) -> None:
    if os.environ.get("HURT_HOST"):
        (failed / str(shot)).touch()
        raise RuntimeError("uncorrectable ECC error")
    while len(list(failed.iterdir())) < BLAMES:
        time.sleep(0.02)


def _obey(order: Path) -> None:
    how = order.read_text()
    seen = order.with_name(f"{order.name}.seen")
    seen.mkdir(exist_ok=True)
    (seen / f"{os.getpid()}.{time.monotonic_ns()}").touch()
    if how == "bug":
        raise ZeroDivisionError("one over nothing")
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "flaky" and len(list(seen.iterdir())) < 3:
        raise StageError("the licence server is busy", retryable=True)
