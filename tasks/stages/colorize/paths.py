"""Plans along which drawings colour is carried from references and corrections to a frame. Pure."""

from __future__ import annotations

from cluster.errors import UsageError
from tasks.frames.track import Span, Track
from tasks.stages.colorize.corrections import Correction
from tasks.stages.colorize.params import ColorizeParams, Reference

Path = tuple[int, ...]
"""Frames in the order that colour takes: one of each drawing, no loops."""


class Paths:
    """What a recipe's references and corrections mean for a shot's frames."""

    def __init__(self, params: ColorizeParams) -> None:
        self._params = params

    def check(self, track: Track) -> None:
        """UsageError where there is nothing to take colour from, or it is beyond the shot."""
        params = self._params
        if not params.pictures and not params.sheets:
            raise UsageError(
                "expected either reference or references, or a cast with reference art",
                where="stage colorize",
                remedy="name a coloured frame, or the shot's characters with cast",
            )
        for reference in params.pictures:
            if reference.frame >= len(track):
                raise UsageError(
                    f"expected reference frames below {len(track)}, the shot's length, got "
                    f"{reference.frame} ({reference.path})",
                    where="stage colorize",
                    remedy="count frames from the shot's first one, 0",
                )
        for correction in params.corrected:
            if correction.frame >= len(track):
                raise UsageError(
                    f"expected a frame below {len(track)}, the shot's length, got "
                    f"{correction.frame}",
                    where=correction.where or "stage colorize",
                    remedy="count frames from the shot's first one, 0",
                )
            _check_point(correction, track)

    def targets(self, out: Span, track: Track) -> tuple[int, ...]:
        """For each frame of `out` the first frame that shows its drawing: equal drawings get equal
        colours."""
        return tuple(_drawing(index, track) for index in out.indices())

    def to(self, target: int, track: Track) -> Path:
        """From the frame of the nearest reference, or the shot's first, to `target`."""
        return _path(self._start(target, track), target, track)

    def told(self, target: int, track: Track) -> dict[Path, tuple[Correction, ...]]:
        """The paths of corrections to `target`, the furthest first, each with those of its frame.

        A reference is the artist's word for its frame: no correction of another frame passes it.
        """
        by_frame: dict[int, list[Correction]] = {}
        for correction in self._params.corrected:
            by_frame.setdefault(_drawing(correction.frame, track), []).append(correction)
        walls = {_drawing(reference.frame, track) for reference in self._params.pictures}
        reaching = [
            frame
            for frame in by_frame
            if not any(min(frame, target) <= wall <= max(frame, target) for wall in walls - {frame})
        ]
        reaching.sort(key=lambda frame: (-abs(frame - target), -frame))
        return {_path(frame, target, track): tuple(by_frame[frame]) for frame in reaching}

    def reference_of(self, drawing: int, track: Track) -> Reference | None:
        """The reference of a drawing, None where it has none."""
        held = (r for r in self._params.pictures if track.is_held(r.frame, drawing))
        return next(held, None)

    def _start(self, target: int, track: Track) -> int:
        if not self._params.pictures:
            return 0

        def distance(reference: Reference) -> tuple[bool, int]:
            return not track.is_held(reference.frame, target), abs(reference.frame - target)

        return min(self._params.pictures, key=distance).frame


def _check_point(correction: Correction, track: Track) -> None:
    width, height = track.picture.width, track.picture.height
    if correction.point is None:
        return
    x, y = correction.point
    if not (0 <= x < width and 0 <= y < height):
        raise UsageError(
            f"expected a point within {width}x{height}, got {x}, {y}",
            where=correction.where or "stage colorize",
            remedy="count pixels from the frame's upper left",
        )


def _drawing(frame: int, track: Track) -> int:
    return track.drawing[frame] if track.drawing else frame


def _path(start: int, target: int, track: Track) -> Path:
    path: list[int] = []
    for frame in range(start, target, 1 if start < target else -1):
        drawing = _drawing(frame, track)
        if drawing in path:
            del path[path.index(drawing) :]
        path.append(drawing)
    if target in path:
        del path[path.index(target) :]
    return (*path, target)
