"""Hold a film against its episode: times, streams, tags, and every frame against the stored one."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.chunk import read_frames
from cluster.store import NotStored, Store
from flows.plan import RenderPlan
from flows.prepare import Prepared
from flows.progress import Reporter
from tasks.frames import Frames, to_uint8
from tasks.item import chunk_name
from tasks.verify import Finding, expect_film, verify_film


def check_film(
    prepared: Prepared, plan: RenderPlan, film: Path, reporter: Reporter
) -> list[Finding]:
    """What is wrong with a film. Frames whose chunks are no longer stored are only decoded."""
    reporter.phase("verifying")
    expected = expect_film(
        times=plan.times,
        end=plan.end,
        picture=plan.picture,
        container=prepared.request.container,
        passthrough=prepared.passthrough,
    )
    found = verify_film(
        film,
        expected=expected,
        deep=True,
        picture_of=StoredPictures(prepared.store, plan),
        progress=lambda done, total: reporter.fraction(done / total),
    )
    return [finding for finding in found if finding.severity == "error"]


def check_document(prepared: Prepared, film: Path, reporter: Reporter) -> dict[str, Any]:
    """Check a film that exists; the document of `verify --json`."""
    findings = check_film(prepared, prepared.plan, film, reporter)
    return {
        "film": str(film),
        "episode": prepared.name,
        "frames": len(prepared.plan.times),
        "good": not findings,
        "findings": [asdict(found) for found in findings],
    }


class StoredPictures:
    """The frames that a film was encoded from, by film frame: the last runs' chunks, one held."""

    def __init__(self, store: Store, plan: RenderPlan) -> None:
        self._store = store
        self._chunks = [item for shot in plan.shots for item in shot.runs[-1].items]
        self._firsts = list(accumulate((len(item.out) for item in self._chunks), initial=0))
        self._held = -1
        self._frames: Frames | None = None

    def __call__(self, frame: int) -> NDArray[np.uint8] | None:
        """The frame (H, W, 3) in 8-bit R'G'B', or None where its chunk is not stored."""
        number = bisect_right(self._firsts, frame) - 1
        if number >= len(self._chunks):
            return None
        if number != self._held:
            self._held = number
            try:
                self._frames = read_frames(self._store, chunk_name(self._chunks[number].key))
            except NotStored:
                self._frames = None
        return (
            None if self._frames is None else to_uint8(self._frames[frame - self._firsts[number]])
        )
