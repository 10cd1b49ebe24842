"""Colorize: line drawings or grey frames in the colours of references."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from cluster.errors import StageError
from tasks.frames.codes import Frames, from_float, to_float
from tasks.frames.optical_flow import Floats
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.stages.colorize.corrections import Correction, Marks, carry_marks, place_marks
from tasks.stages.colorize.doubts import doubt_notes, find_doubts
from tasks.stages.colorize.memory import Chain, Matches
from tasks.stages.colorize.paint import Painted, paint_reference
from tasks.stages.colorize.params import ColorizeParams, params_for_shot
from tasks.stages.colorize.paths import Paths
from tasks.stages.colorize.references import (
    decode_picture,
    fit_picture,
    is_line_drawing,
    sample,
)
from tasks.stages.colorize.regions import Drawing, segment_drawing
from tasks.stages.colorize.sheet import Sheet, paint_from_sheets, read_sheet
from tasks.stages.colorize.tint import Tinted, carry_tint, tint_reference
from tasks.stages.stage import Card, Note, ShotContext, Stage, Window

_REMEMBERED = 4
"""States kept between chunks, so that the next chunk goes on where the last one ended."""
_DRAWINGS = 6

State = Chain | Tinted | Marks


class Colorize(Stage[ColorizeParams]):
    """Every frame in the colours of its nearest reference, drawing by drawing.

    Colour is carried along the chain of drawings from the reference to the frame, so a frame needs
    all drawings in between: work and memory grow with the distance to the nearest reference. Held
    frames are done once and are identical. Lines: the ink stays, each region gets the colour of
    the region it continues, and the frame of a reference is the reference itself; without a
    reference the chain begins at the shot's first drawing, matched to the model sheets of its
    cast. Corrections are carried the same way, both ways, as far as the next reference; the nearest
    one wins. Grey: luma stays exactly the frame's, to the rounding of its codes.
    """

    name = "colorize"
    version = 2
    Params = ColorizeParams

    def __init__(self, params: ColorizeParams) -> None:
        super().__init__(params)
        self._paths = Paths(params)
        self._begin()

    def _begin(self) -> None:
        self._pictures: dict[str, Floats] = {}
        self._sheets: tuple[Sheet, ...] = ()
        self._states: OrderedDict[str, State] = OrderedDict()
        self._drawings: OrderedDict[str, Drawing] = OrderedDict()
        self._matches = Matches()
        self._notes: dict[str, Note] = {}

    @classmethod
    def params_for_shot(cls, params: Mapping[str, Any], context: ShotContext) -> dict[str, Any]:
        """With the sheets of the shot's cast and the shot's corrections."""
        return params_for_shot(params, context)

    def card(self) -> Card:
        """OpenCV and numpy on one core; 900 MB for a megapixel: labels, flows, scores, states."""
        return Card(
            num_cpus=1,
            memory_bytes=900 << 20,
            engine="opencv-dis",
            keep=True,
            needs_drawings=True,
        )

    def track_after(self, track: Track) -> Track:
        """The same track. UsageError for no reference at all, or a frame beyond the shot."""
        self._paths.check(track)
        return track

    def needs(self, out: Span, track: Track) -> tuple[int, ...]:
        """One frame of each drawing from the nearest references, and corrections, to `out`."""
        self._paths.check(track)
        wanted: set[int] = set()
        for target in self._paths.targets(out, track):
            for path in (self._paths.to(target, track), *self._paths.told(target, track)):
                wanted.update(path)
        return tuple(sorted(wanted))

    def key_params(self) -> object:
        """All but the corrections: a frame's key names those that reach it."""
        return self.params.model_dump(mode="json", exclude={"corrections"})

    def key_context(self, out: Span, track: Track) -> object:
        """Each frame's chain of drawings, its corrections, and what the picture's numbers mean."""
        picture = track.picture
        chains = [
            [self._paths.to(target, track), self._told(target, track)]
            for target in self._paths.targets(out, track)
        ]
        return [picture.matrix, picture.depth, chains]

    def _told(self, target: int, track: Track) -> list[object]:
        return [
            [path, [c.model_dump(mode="json", exclude={"where"}) for c in corrections]]
            for path, corrections in self._paths.told(target, track).items()
        ]

    def assets(self) -> tuple[str, ...]:
        """The reference pictures, the sheets, and what corrections point at."""
        paths = [reference.path for reference in self.params.pictures]
        corrections = self.params.corrections
        if not isinstance(corrections, str):
            paths += [c.like.reference for c in corrections if c.like]
        return tuple(dict.fromkeys([*paths, *self.params.sheets]))

    def setup(self, device: Device, read_asset: Callable[[str], bytes]) -> None:
        """Decode the references. InputError for what is not a picture."""
        self._begin()
        self._pictures = {path: decode_picture(read_asset(path), path) for path in self.assets()}
        if not self.params.pictures:
            self._sheets = tuple(read_sheet(self._pictures[path]) for path in self.params.sheets)

    def process(self, window: Window, out: Span) -> Frames:
        """The frames of `out` in colour. StageError if a reference has another shape."""
        track = window.track
        made = np.empty((len(out), track.picture.height, track.picture.width, 3), np.uint16)
        done: dict[int, Frames] = {}
        self._notes = {}
        for at, target in enumerate(self._paths.targets(out, track)):
            if target not in done:
                done[target] = self._colour(window, target)
            made[at] = done[target]
        return made

    def take_notes(self) -> tuple[Note, ...]:
        """Overlay and list of each drawing with regions that are left to a person."""
        notes, self._notes = tuple(self._notes.values()), {}
        return notes

    def close(self) -> None:
        """Forget the references and the chains."""
        self._begin()

    def _colour(self, window: Window, target: int) -> Frames:
        track = window.track
        picture = track.picture
        path = self._paths.to(target, track)
        reference = self._paths.reference_of(path[0], track)
        lines = self._is_lines(window.frame(path[0]))
        art = None
        if reference is not None:
            art = fit_picture(self._pictures[reference.path], picture, reference.path)
        state = self._walk(
            window,
            path,
            f"{reference} {lines} {picture.matrix}",
            lambda before, frame: self._step(before, frame, art, lines, picture),
        )
        told = self._paths.told(target, track)
        if isinstance(state, Tinted):
            if told:
                where = next(iter(told.values()))[0].where
                raise StageError("grey frames have no regions to correct", where=where)
            return from_float(state.picture(), depth=picture.depth)
        assert isinstance(state, Chain)
        given = art is not None and all(
            np.array_equal(window.frame(path[0]), window.frame(index)) for index in path
        )
        if art is not None and given and not told:
            return from_float(art, depth=picture.depth)
        painted = self._corrected(window, state.now, told)
        self._leave_notes(painted, target)
        if self.params.doubtful == "paper":
            painted = painted.recoloured(
                painted.sure < self.params.ask_below,
                np.ones((painted.drawing.count, 3), np.float32),
            )
        return from_float(painted.picture(), depth=picture.depth)

    def _walk(
        self,
        window: Window,
        path: tuple[int, ...],
        start: str,
        step: Callable[[State | None, Frames], State],
    ) -> State:
        """The state at the end of a path, from the last one on it that is remembered."""
        frames = [window.frame(index) for index in path]
        steps = [frames[0]]
        steps += [b for a, b in pairwise(frames) if not np.array_equal(a, b)]
        names = _chain_names(f"{start} {frames[0].shape}", steps)
        known = max((i for i, name in enumerate(names) if name in self._states), default=-1)
        state = self._states[names[known]] if known >= 0 else None
        for name, frame in zip(names[known + 1 :], steps[known + 1 :], strict=True):
            state = step(state, frame)
            self._states[name] = state
            while len(self._states) > _REMEMBERED:
                self._states.popitem(last=False)
        assert state is not None
        return state

    def _step(
        self,
        state: State | None,
        frame: Frames,
        art: Floats | None,
        lines: bool,
        picture: Picture,
    ) -> State:
        """The state after one more drawing; with no state yet, that of the reference."""
        if lines:
            drawing = self._drawing(frame)
            if isinstance(state, Chain):
                return state.onward(drawing, self._matches)
            if art is None:
                painted = paint_from_sheets(drawing, self._sheets)
            else:
                painted = paint_reference(drawing, art)
            return Chain(painted, painted)
        signal = to_float(frame)
        if isinstance(state, Tinted):
            return carry_tint(state, signal, matrix=picture.matrix)
        if art is None:
            raise StageError(
                "grey frames need a coloured frame of the shot",
                where="colorize",
                remedy="name one with reference; model sheets are for line drawings",
            )
        return tint_reference(signal, art, matrix=picture.matrix)

    def _corrected(
        self,
        window: Window,
        painted: Painted,
        told: Mapping[tuple[int, ...], tuple[Correction, ...]],
    ) -> Painted:
        """The drawing with the corrections that reach it, the nearest one's word the last."""
        for path, corrections in told.items():
            numbered = tuple(enumerate(corrections, start=1))

            def step(
                before: State | None,
                frame: Frames,
                numbered: tuple[tuple[int, Correction], ...] = numbered,
            ) -> State:
                drawing = self._drawing(frame)
                if isinstance(before, Marks):
                    match = self._matches(before.drawing, drawing)
                    return carry_marks(before, drawing, match)
                return place_marks(drawing, numbered)

            marks = self._walk(window, path, f"marks {corrections}", step)
            assert isinstance(marks, Marks)
            colours = np.stack([self._colour_of(correction) for correction in corrections])
            marked = marks.mark > 0
            painted = replace(
                painted.recoloured(marked, colours[marks.mark - 1]),
                sure=np.where(marked, marks.sure, painted.sure),
            )
        return painted

    def _colour_of(self, correction: Correction) -> Floats:
        colour = correction.rgb()
        if colour is None and correction.like is not None:
            like = correction.like
            return sample(self._pictures[like.reference], like.point, correction.where)
        assert colour is not None
        return colour

    def _leave_notes(self, painted: Painted, target: int) -> None:
        doubts = find_doubts(painted, ask_below=self.params.ask_below)
        if doubts:
            for note in doubt_notes(painted, painted.picture(), doubts, frame=target):
                self._notes[note.name] = note

    def _drawing(self, frame: Frames) -> Drawing:
        name = hashlib.sha256(frame.tobytes()).hexdigest()
        if name not in self._drawings:
            level = self.params.line_threshold
            threshold = None if level == "auto" else level
            self._drawings[name] = segment_drawing(to_float(frame), threshold=threshold)
            while len(self._drawings) > _DRAWINGS:
                self._drawings.popitem(last=False)
        return self._drawings[name]

    def _is_lines(self, frame: Frames) -> bool:
        if self.params.mode != "auto":
            return self.params.mode == "lines"
        return not self.params.pictures or is_line_drawing(to_float(frame))


def _chain_names(start: str, frames: list[Frames]) -> list[str]:
    """A name for the state after each frame: a digest of all that led to it."""
    names = []
    sha = hashlib.sha256(start.encode())
    for frame in frames:
        sha.update(frame.tobytes())
        names.append(sha.hexdigest())
    return names
