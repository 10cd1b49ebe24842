"""Colorize: line drawings or grey frames in the colours of reference pictures of the same shot."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cluster.errors import InputError, StageError, UsageError
from tasks.colorizing.paint import Painted, carry_paint, paint_reference
from tasks.colorizing.regions import take_apart
from tasks.colorizing.tint import Tinted, carry_tint, tint_reference
from tasks.flow import Floats
from tasks.frames import Frames, from_float, to_float
from tasks.picture import Picture
from tasks.stage import Card, Device, Params, Stage, Window
from tasks.track import Span, Track

_PAPER_SHARE = 0.6
"""A frame with this much bright paper is a line drawing, for `mode: auto`."""
_REMEMBERED = 4
"""States kept between chunks, so that the next chunk goes on where the last one ended."""


class Reference(Params):
    """A coloured picture (png, jpg, tiff) of the drawing at shot-relative `frame`."""

    frame: int = Field(default=0, ge=0)
    path: str = Field(min_length=1)


class ColorizeParams(Params):
    """`references`, or one `reference` with its `frame`.

    `mode`: "lines" for drawings on paper, "grey" for grey pictures, "auto" looks at the frame of
    the reference. `line_threshold`: darkness, 0 to 1, from which on a pixel is line.
    """

    references: tuple[Reference, ...] = ()
    reference: str = ""
    frame: int = Field(default=0, ge=0)
    mode: Literal["auto", "lines", "grey"] = "auto"
    line_threshold: Literal["auto"] | Annotated[float, Field(gt=0, lt=1)] = "auto"

    @model_validator(mode="after")
    def _some_reference(self) -> ColorizeParams:
        if bool(self.references) == bool(self.reference):
            raise PydanticCustomError("reference", "expected either reference or references")
        if self.frame and not self.reference:
            raise PydanticCustomError("reference", "expected frame within each of references")
        frames = [reference.frame for reference in self.references]
        if len(set(frames)) != len(frames):
            raise PydanticCustomError("reference", "expected one reference for a frame")
        return self

    @property
    def pictures(self) -> tuple[Reference, ...]:
        """All references by frame."""
        single = (Reference(frame=self.frame, path=self.reference),) if self.reference else ()
        return tuple(sorted(self.references + single, key=lambda reference: reference.frame))


class Colorize(Stage[ColorizeParams]):
    """Every frame in the colours of its nearest reference, drawing by drawing.

    Colour is carried along the chain of drawings from the reference to the frame, so a frame needs
    all drawings in between: work and memory grow with the distance to the nearest reference. Held
    frames are done once and are identical. Lines: the ink stays, each region gets the colour of
    the region it continues, and the frame of a reference is the reference itself. Grey: luma stays
    exactly the frame's, to the rounding of its codes.
    """

    name = "colorize"
    version = 2
    Params = ColorizeParams

    def __init__(self, params: ColorizeParams) -> None:
        super().__init__(params)
        self._pictures: dict[str, Floats] = {}
        self._states: OrderedDict[str, Painted | Tinted] = OrderedDict()

    def card(self) -> Card:
        """OpenCV and numpy on one core; 600 MB for a megapixel: labels, flows, scores, states."""
        return Card(
            num_cpus=1,
            memory_bytes=600 << 20,
            engine="opencv-dis",
            keep=True,
            needs_drawings=True,
        )

    def track_after(self, track: Track) -> Track:
        """The same track. UsageError for a reference beyond the shot."""
        self._check_frames(track)
        return track

    def needs(self, out: Span, track: Track) -> tuple[int, ...]:
        """One frame of each drawing from the nearest references to `out`."""
        return tuple(
            sorted({frame for index in out.indices() for frame in self._path(index, track)})
        )

    def key_context(self, out: Span, track: Track) -> object:
        """Each frame's chain of drawings, and what the picture's numbers mean."""
        picture = track.picture
        chains = [self._path(index, track) for index in out.indices()]
        return [picture.matrix, picture.depth, chains]

    def assets(self) -> tuple[str, ...]:
        """The reference pictures."""
        return tuple(dict.fromkeys(reference.path for reference in self.params.pictures))

    def setup(self, device: Device, read_asset: Callable[[str], bytes]) -> None:
        """Decode the references. InputError for what is not a picture."""
        self.close()
        self._pictures = {path: decode_picture(read_asset(path), path) for path in self.assets()}

    def process(self, window: Window, out: Span) -> Frames:
        """The frames of `out` in colour. StageError if a reference has another shape."""
        track = window.track
        made = np.empty((len(out), track.picture.height, track.picture.width, 3), np.uint16)
        done: dict[tuple[int, ...], Frames] = {}
        for at, index in enumerate(out.indices()):
            path = self._path(index, track)
            if path not in done:
                done[path] = self._colour(window, path)
            made[at] = done[path]
        return made

    def close(self) -> None:
        """Forget the references and the chains."""
        self._pictures, self._states = {}, OrderedDict()

    def _check_frames(self, track: Track) -> None:
        last = self.params.pictures[-1]
        if last.frame >= len(track):
            raise UsageError(
                f"expected reference frames below {len(track)}, the shot's length, got "
                f"{last.frame} ({last.path})",
                where="stage colorize",
                remedy="count frames from the shot's first one, 0",
            )

    def _path(self, index: int, track: Track) -> tuple[int, ...]:
        """Frames from that of the nearest reference to frame `index`: one per drawing, no loops.

        It depends on the frame's drawing alone, so that equal drawings get equal colours.
        """
        self._check_frames(track)

        def drawing(frame: int) -> int:
            return track.drawing[frame] if track.drawing else frame

        target = drawing(index)
        start = self._nearest(target, track)
        path: list[int] = []
        for frame in range(start, target, 1 if start < target else -1):
            if drawing(frame) in path:
                del path[path.index(drawing(frame)) :]
            path.append(drawing(frame))
        if target in path:
            del path[path.index(target) :]
        return (*path, target)

    def _nearest(self, target: int, track: Track) -> int:
        def distance(reference: Reference) -> tuple[bool, int]:
            return not track.is_held(reference.frame, target), abs(reference.frame - target)

        return min(self.params.pictures, key=distance).frame

    def _colour(self, window: Window, path: tuple[int, ...]) -> Frames:
        picture = window.track.picture
        reference = self._reference_of(path[0], window.track)
        frames = [window.frame(index) for index in path]
        lines = self._is_lines(frames[0])
        art = self._fitted(reference, picture)
        steps = [frames[0]]
        steps += [b for a, b in pairwise(frames) if not np.array_equal(a, b)]
        names = _chain_names(f"{reference.path} {lines} {frames[0].shape} {picture.matrix}", steps)
        known = max((i for i, name in enumerate(names) if name in self._states), default=-1)
        state = self._states[names[known]] if known >= 0 else None
        for name, frame in zip(names[known + 1 :], steps[known + 1 :], strict=True):
            state = self._step(state, frame, art, lines, picture)
            self._remember(name, state)
        assert state is not None
        if lines and len(steps) == 1:
            return from_float(art, depth=picture.depth)
        return from_float(state.picture(), depth=picture.depth)

    def _remember(self, name: str, state: Painted | Tinted) -> None:
        self._states[name] = state
        while len(self._states) > _REMEMBERED:
            self._states.popitem(last=False)

    def _step(
        self,
        state: Painted | Tinted | None,
        frame: Frames,
        art: Floats,
        lines: bool,
        picture: Picture,
    ) -> Painted | Tinted:
        """The state after one more drawing; with no state yet, that of the reference."""
        signal = to_float(frame)
        if lines:
            level = self.params.line_threshold
            drawing = take_apart(signal, threshold=None if level == "auto" else level)
            before = state if isinstance(state, Painted) else None
            return carry_paint(before, drawing) if before else paint_reference(drawing, art)
        if isinstance(state, Tinted):
            return carry_tint(state, signal, matrix=picture.matrix)
        return tint_reference(signal, art, matrix=picture.matrix)

    def _reference_of(self, drawing: int, track: Track) -> Reference:
        held = (r for r in self.params.pictures if track.is_held(r.frame, drawing))
        return next(held)

    def _is_lines(self, frame: Frames) -> bool:
        if self.params.mode != "auto":
            return self.params.mode == "lines"
        signal = to_float(frame)
        paper = np.median(signal.reshape(-1, 3), 0)
        near = np.abs(signal - paper).max(-1) < 0.1
        return bool(paper.min() > 0.7 and near.mean() > _PAPER_SHARE)

    def _fitted(self, reference: Reference, picture: Picture) -> Floats:
        art = self._pictures[reference.path]
        height, width = art.shape[:2]
        if (width, height) == (picture.width, picture.height):
            return art
        if abs(width * picture.height - height * picture.width) > 0.01 * width * picture.height:
            raise StageError(
                f"expected a reference shaped like {picture.width}x{picture.height}, got "
                f"{width}x{height} ({reference.path})",
                where="colorize",
                remedy="crop it to the frame's shape",
            )
        size = (picture.width, picture.height)
        way = cv2.INTER_AREA if width > picture.width else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(art, size, interpolation=way))


def _chain_names(start: str, frames: list[Frames]) -> list[str]:
    """A name for the state after each frame: a digest of all that led to it."""
    names = []
    sha = hashlib.sha256(start.encode())
    for frame in frames:
        sha.update(frame.tobytes())
        names.append(sha.hexdigest())
    return names


def decode_picture(data: bytes, path: str) -> Floats:
    """A png, jpg or tiff of 8 or 16 bits as R'G'B' signal (H, W, 3), alpha laid over white."""
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            "expected a png, jpg or tiff of 8 or 16 bits",
            where=path,
            remedy="export the reference again",
        )
    signal = pixels.astype(np.float32) / np.iinfo(pixels.dtype).max
    if signal.ndim == 2:
        signal = np.repeat(signal[..., None], 3, -1)
    if signal.shape[2] == 4:
        signal = signal[..., :3] * signal[..., 3:] + (1 - signal[..., 3:])
    return np.ascontiguousarray(signal[..., ::-1], np.float32)
