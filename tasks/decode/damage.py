"""Finds the frames that a decoder's errors spoil: the damaged one and all predicted from it."""

from __future__ import annotations

LOGGED_CODECS = frozenset(("ffv1", "gif"))
"""Codecs whose decoders say in the log alone what they could not decode, and show the rest."""


def error_detection(codec: str) -> str:
    """libav's `err_detect` for a codec: errors are errors, except where sound files would suffer.

    H.264's decoder would also refuse streams that begin with, or are entered at, an open GOP; it
    flags the frames it patches, so nothing is lost. TIFF's would refuse tags that it does not know.
    """
    if codec == "h264":
        return "crccheck"
    return "crccheck+bitstream+buffer" + ("" if codec == "tiff" else "+explode")


class Damage:
    """Bookkeeping of what was fed to a decoder, in decode order, and what failed.

    A failure spoils every frame fed from then on until the next frame that decoding may start at,
    and that frame's leading pictures (shown before it), for they too may look back; a leading
    picture spoils other leading ones alone. A decoder with threads reports late: `window` is how
    many packets back the failure may lie.
    """

    def __init__(self, *, window: int) -> None:
        self._window = max(1, window)
        self._older: list[int] = []
        self._group: list[int] = []
        self._why: dict[int, str] = {}
        self._is_sure = False
        self._spoiling = ""
        self._leading_why = ""
        self.last = ""
        """What the decoder refused last, in its words."""

    def feed(self, pts: int, *, clean: bool) -> None:
        """A packet goes to the decoder; `clean` where decoding may start at it."""
        if clean:
            self._older, self._group = self._group, []
            self._leading_why, self._spoiling = self._spoiling, ""
            self._is_sure = True
        self._group.append(pts)
        if self._spoiling:
            self._spoil(pts, self._spoiling)
        elif self._leading_why and pts < self._group[0]:
            self._spoil(pts, self._leading_why)

    def fail(self, why: str) -> None:
        """The decoder refused the packet just fed, or one of the `window` last."""
        self.last = why
        late = [*self._older, *self._group][-self._window :]
        for pts in late:
            self._spoil(pts, why)
        # Nothing but leading pictures ever looks at a leading picture.
        if late and self._is_sure and all(pts < self._group[0] for pts in late):
            self._leading_why = why
        else:
            self._spoiling = why

    def show_corrupt(self, pts: int) -> None:
        """The decoder gave a frame and flagged it as corrupt."""
        why = "its data are damaged"
        self._spoil(pts, why)
        if pts in self._group:
            for later in self._group[self._group.index(pts) :]:
                self._spoil(later, why)
            self._spoiling = why
        elif pts in self._older:
            leading = [later for later in self._group if later < self._group[0]]
            for later in (*self._older[self._older.index(pts) :], *leading):
                self._spoil(later, why)
            self._leading_why = why

    def latest(self, pts: int) -> int:
        """The latest time shown among the frames fed up to this one: its references at the most."""
        for fed in (self._group, self._older):
            if pts in fed:
                return max(fed[: fed.index(pts) + 1])
        return pts

    def why(self, pts: int) -> str:
        """Why a frame is not to be trusted; empty if it is."""
        return self._why.get(pts, "")

    def _spoil(self, pts: int, why: str) -> None:
        self._why.setdefault(pts, why)
