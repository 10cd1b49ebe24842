"""The shots of a plan against their sources, one after another (`tasks/verify/shown.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.settings import home_folder
from flows.plan.audio import local_index
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from tasks.verify.pictures import Small
from tasks.verify.shown import Mismatch, ShotComparison, SourcePictures


class SourceComparison:
    """Takes frames of the film in order, made small; reads the sources at each shot's end."""

    def __init__(self, prepared: Prepared) -> None:
        self._indices = prepared.indices
        self._current: tuple[ShotPlan, ShotComparison] | None = None
        self._mismatches: list[tuple[ShotPlan, Mismatch]] = []
        self._open: tuple[int, SourcePictures] | None = None

    def add_frames(self, shot: ShotPlan, first: int, small: Sequence[Small]) -> None:
        """Take the frames of a chunk of a shot, from its frame `first` on."""
        if self._current is None or self._current[0] is not shot:
            self._compare_shot()
            assert shot.segment is not None
            self._current = (shot, ShotComparison(shot.segment.shown))
        self._current[1].add_frames(first, small)

    def finish(self) -> list[tuple[ShotPlan, Mismatch]]:
        """All that is not what the source shows, with its shot, in film order."""
        self._compare_shot()
        self._current = None
        if self._open is not None:
            self._open[1].close()
        return self._mismatches

    def _compare_shot(self) -> None:
        if self._current is not None:
            shot, comparison = self._current
            found = comparison.mismatches(self._source(shot.shot.source))
            self._mismatches += [(shot, mismatch) for mismatch in found]

    def _source(self, number: int) -> SourcePictures:
        """The source of this number, the one before it closed."""
        if self._open is None or self._open[0] != number:
            if self._open is not None:
                self._open[1].close()
            index = local_index(self._indices[number])
            self._open = (number, SourcePictures(index, cache_dir=home_folder("cache")))
        return self._open[1]
