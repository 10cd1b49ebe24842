"""Remembers drawings along a chain: each match is made once, hidden regions keep their colours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.stages.colorize.match import Match, match_regions
from tasks.stages.colorize.paint import Painted, carry_paint
from tasks.stages.colorize.regions import Drawing

Matching = Callable[[Drawing, Drawing], Match]
"""(earlier, later) → the match."""

_DOUBT = 0.5
"""Below this chance a region's colour is looked for in earlier drawings too."""
_LEAST = 12
"""Pixels of a region that is worth it."""
_RECENT = 2
_KEPT = 6


class Matches:
    """The last few matches, so that what several chains ask for is computed once."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], tuple[Drawing, Drawing, Match]] = OrderedDict()

    def __call__(self, before: Drawing, after: Drawing) -> Match:
        """The match of two drawings; they are told apart as objects."""
        pair = (id(before), id(after))
        if pair not in self._known:
            # The drawings are kept with their match, so that no other can take their id.
            self._known[pair] = (before, after, match_regions(before, after))
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return self._known[pair][2]


@dataclass(frozen=True, slots=True)
class Chain:
    """The painted drawing that a chain has come to, and earlier ones: the first, the last two."""

    now: Painted
    first: Painted
    recent: tuple[Painted, ...] = ()

    def onward(self, drawing: Drawing, match: Matching) -> Chain:
        """The chain with one more drawing.

        A region that continues none of the last drawing's, or one of many, takes the colour of
        whichever remembered drawing is surest of it: what was hidden gets its own colour back.
        """
        painted = carry_paint(self.now, drawing, match(self.now.drawing, drawing))
        for earlier in dict.fromkeys((*self.recent[::-1], self.first)):
            doubtful = (painted.sure < _DOUBT) & (drawing.shape.area >= _LEAST)
            if earlier is self.now or not doubtful.any():
                continue
            other = carry_paint(earlier, drawing, match(earlier.drawing, drawing))
            better = doubtful & (other.sure > painted.sure)
            if better.any():
                painted = _taken(painted, other, better)
        recent = (*self.recent, self.now)[-_RECENT:]
        return Chain(painted, self.first, recent)


def _taken(painted: Painted, other: Painted, which: NDArray[np.bool_]) -> Painted:
    """`painted` with the regions `which` as `other` has them."""
    there = which[painted.drawing.filled - 1][..., None]
    return replace(
        painted,
        paint=np.where(there, other.paint, painted.paint),
        colour=np.where(which[:, None], other.colour, painted.colour),
        flat=np.where(which, other.flat, painted.flat),
        ink=np.where(which[:, None], other.ink, painted.ink),
        sure=np.where(which, other.sure, painted.sure),
    )
