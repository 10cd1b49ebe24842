"""A stage that costs nothing but time, and tells each time it computes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from pydantic import Field

from tasks.frames.codes import Frames
from tasks.frames.track import Span
from tasks.stages.stage import Card, Params, Stage, Window

HERE = f"{__name__}:Fake"
"""What the registry is to say of it."""


class FakeParams(Params):
    """It computes for `rest_s` seconds a frame, and writes what it computed into `told`."""

    rest_s: float = Field(default=0.0, ge=0)
    told: str = ""


class Fake(Stage[FakeParams]):
    """Turns each frame upside down."""

    name = "fake"
    version = 1
    Params = FakeParams

    def key_params(self) -> object:
        """None: how slow it is changes no pixel."""
        return None

    def card(self) -> Card:
        """Next to nothing."""
        return Card(engine="numpy", memory_bytes=1 << 20)

    def process(self, window: Window, out: Span) -> Frames:
        """The window's frames, which are those of `out`, upside down."""
        made = np.ascontiguousarray(window.frames_nhwc[:, ::-1])
        time.sleep(self.params.rest_s * len(out))
        if self.params.told:
            tell(Path(self.params.told), f"{window.track.first}/{len(window.track)} {out.start}")
        return made


def tell(path: Path, line: str) -> None:
    """Add a line to a file that other processes add lines to; killed, it is there or not."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, f"{line} {os.getpid()}\n".encode())
    finally:
        os.close(file)
