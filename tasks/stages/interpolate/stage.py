"""Interpolate: more (or fewer) frames a second, without touching cuts, holds or duration."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from cluster.errors import StageError, UsageError
from tasks.frames.codes import Frames
from tasks.frames.ratio import exact_number, fits_stream
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.models.engine import EXACT
from tasks.models.inbetweening import Morph, Pair
from tasks.models.morph import open_morph
from tasks.models.shelf import (
    AskedPrecision,
    ModelCard,
    Precision,
    brought_weights,
    cards_for_workers,
    keyed_precision,
    precision_of,
    read_card,
    runs_fast,
)
from tasks.stages.interpolate.timing import Place, Timing, TimingChart
from tasks.stages.stage import Card, Params, Stage, Window

_NTSC = tuple(Fraction(nominal * 1000, 1001) for nominal in (24, 30, 48, 60, 120))
_NTSC_ROUNDED = Fraction(1, 200)
"""People write 23.976, 23.98 or 59.94006: a decimal so near to an NTSC rate means that rate."""
BUILT_IN = "inbetween"
"""The network that draws in-betweens unless another is named."""
_STAMP = Fraction(1, 1000)
"""Coarsest usual time stamp (Matroska's millisecond): nearer than this is on the frame."""
_ROUNDING = _STAMP / 2
"""A stamp rounded up so far past the output's grid does not make a cut come a frame late."""


def exact_ratio(value: Any) -> Any:
    """A positive Fraction from 2, 2.5, "5/2", "60000/1001"; 23.976 and kin mean n/1001."""
    try:
        ratio = exact_number(value)
    except ValueError:
        raise PydanticCustomError("ratio", "expected a number such as 2, 5/2 or 23.976") from None
    if not 0 < ratio <= 1000:
        raise PydanticCustomError("ratio", "expected a number above 0, at most 1000")
    if "." in str(value) and ratio.denominator > 1:
        ratio = next((rate for rate in _NTSC if abs(rate - ratio) < _NTSC_ROUNDED), ratio)
    if not fits_stream(ratio):
        raise PydanticCustomError("ratio", "expected a number of fewer digits, or a fraction")
    return ratio


Ratio = Annotated[Fraction, BeforeValidator(exact_ratio)]


class InterpolateParams(Params):
    """Exactly one of `factor` (times as many frames) and `rate` (frames a second, exact).

    `timing`: "smooth" spreads motion evenly from drawing to drawing, "keep" leaves animation on
    twos and threes as it is (see docs/interpolate.md). `engine`: "network" has a model of the shelf
    draw the in-betweens, "dis" is the light one, along classical optical flow alone, "average"
    mixes neighbours. `model` names another network. `precision` "exact" is the model's own, "fast"
    the fastest engine within 60 dB of it; unset is fast where the plan's workers are known to have
    one. `cards` and `fast`, the engine's name, are filled in by the plan, for workers.
    """

    factor: Ratio | None = None
    rate: Ratio | None = None
    timing: Timing = "smooth"
    engine: Literal["network", "dis", "average"] = "network"
    model: str = ""
    precision: AskedPrecision | None = None
    cards: SkipJsonSchema[tuple[ModelCard, ...]] = Field(default=(), exclude=True, repr=False)
    fast: SkipJsonSchema[str] = Field(default=EXACT, exclude=True, repr=False)

    @model_validator(mode="after")
    def _one_target(self) -> InterpolateParams:
        if (self.factor is None) == (self.rate is None):
            raise PydanticCustomError("target", "expected exactly one of factor and rate")
        if self.engine != "network" and (self.model or self.precision):
            raise PydanticCustomError("engine", "expected model and precision with engine=network")
        return self


class Interpolate(Stage[InterpolateParams]):
    """Frames at a new rate: held drawings stay held, cuts stay cuts, times stay exact.

    Output frames lie on one grid through the whole film. With `factor` frame j sits at source
    index j / factor of the episode, with `rate` at j / rate seconds; a shot owns the j from its
    first frame (or time, less half a millisecond) up to the next shot's, so none is lost or
    doubled at a cut. `timing` moves no frame: it says what is seen then
    (tasks/stages/interpolate/timing.py). Where a drawing appears, while it is held, and after the
    shot's last one, that is a copy of the frame on screen, bit for bit. Lowering the rate may leave
    a short shot empty.

    A constant rate stays constant: the shot then ends on the output's grid, less than one output
    frame after its input. In a varying rate the first frame of a shot keeps its time.
    """

    name = "interpolate"
    version = 2
    Params = InterpolateParams

    def __init__(self, params: InterpolateParams) -> None:
        super().__init__(params)
        self._morph: Morph | None = None
        self._last: _Grid | None = None
        self._model: ModelCard | None = None
        self._precision: Precision = "fp32"
        if params.engine == "network":
            named = params.model or BUILT_IN
            self._model = params.cards[0] if params.cards else read_card(named, verb=self.name)
            self._precision = precision_of(self._model, params.precision, stage=self.name)

    def key_params(self) -> object:
        """All of them; the precision by its effect; ratios exact, for texts may read like one."""
        params = self.params.model_dump(mode="json")
        params["precision"] = keyed_precision(self.params.precision)
        ratios = {"factor": self.params.factor, "rate": self.params.rate}
        return {**params, **{name: r for name, r in ratios.items() if r and r.denominator > 1}}

    def card(self) -> Card:
        """OpenCV on one core, 400 MB for a megapixel of float planes, flows and weights; with a
        network what that needs too."""
        if self._model is not None:
            return Card(
                num_cpus=1,
                gpu_share=0.5,
                memory_bytes=(400 << 20) + self._model.memory_bytes_per_megapixel,
                model=self._model.sha256,
                engine=f"opencv-dis+{self.params.fast or f'torch-{self._precision}'}",
                keep=True,
                needs_drawings=True,
                same_drawings=True,
            )
        dis = self.params.engine == "dis"
        return Card(
            num_cpus=1,
            memory_bytes=(400 if dis else 100) << 20,
            engine="opencv-dis" if dis else "numpy",
            keep=dis,
            needs_drawings=True,
            same_drawings=True,
        )

    def assets(self) -> tuple[str, ...]:
        """The weights of a model that a user brought."""
        return brought_weights(self._models)

    def looked_up(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """The card of a model that a user brought. StageError where its file has changed."""
        return cards_for_workers(self._models, digests)

    @property
    def _models(self) -> tuple[ModelCard, ...]:
        return (self._model,) if self._model else ()

    def fast_networks(self) -> tuple[ModelCard, ...]:
        """Its network, if it needs no library of its own."""
        return tuple(card for card in self._models if runs_fast(card, self.params.precision))

    def setup(self, device: Device, read_asset: Callable[[str], bytes]) -> None:
        """Open the network. Errors: StageError on bad weights, ClusterError, InputError."""
        if self._model is not None:
            self._morph = open_morph(
                self._model,
                device=device,
                read_asset=read_asset,
                precision=self._precision,
                engine=self.params.fast,
            )

    def close(self) -> None:
        """Forget the network."""
        self._morph = None

    def track_after(self, track: Track) -> Track:
        """The track on the new grid; copies keep their drawing, an in-between is a new one."""
        grid = self._grid(track)
        rate = track.rate
        if self.params.factor is not None:
            rate = rate and rate * self.params.factor
        if rate is not None and not fits_stream(rate):
            raise UsageError(
                f"makes {rate} frames a second of {track.rate}, which no film can hold",
                where="stage interpolate",
                remedy="give it a rate instead",
            )
        return replace(
            track,
            times=grid.times,
            end=grid.end,
            rate=self.params.rate or rate,
            first=grid.first,
            drawing=_drawings(grid.places, track),
        )

    def needs(self, out: Span, track: Track) -> tuple[int, ...]:
        """The frame that each copy is of; the two drawings that each in-between is between."""
        wanted: set[int] = set()
        for before, after, _ in self._places(out, track):
            wanted.update((before, after))
        return tuple(sorted(wanted))

    def key_context(self, out: Span, track: Track) -> object:
        """Where each output frame sits, and the depth it is rounded to."""
        return [track.picture.depth, self._places(out, track)]

    def process(self, window: Window, out: Span) -> Frames:
        """The frames of `out`: copies and in-betweens, same size and colour as the input."""
        if self._model is not None and self._morph is None:
            raise StageError("not set up", where=self.name, remedy="call setup first")
        picture = window.track.picture
        made = np.empty((len(out), picture.height, picture.width, 3), np.uint16)
        between: tuple[int, int] | None = None
        for at, (before, after, fraction) in enumerate(self._places(out, window.track)):
            if not fraction:
                made[at] = window.frame(before)
                continue
            if between != (before, after):
                between = before, after
                pair = Pair(window.frame(before), window.frame(after), depth=picture.depth)
            if self.params.engine == "average":
                made[at] = pair.average(float(fraction))
            else:
                made[at] = pair.between(float(fraction), morph=self._morph)
        return made

    def _places(self, out: Span, track: Track) -> tuple[Place, ...]:
        return self._grid(track).places[out.start : out.end]

    def _grid(self, track: Track) -> _Grid:
        """The shot's grid, made once for all its chunks."""
        grid = self._last
        if grid is None or grid.track != track:
            grid = self._last = _Grid(self.params, track)
        return grid


class _Grid:
    """The output frames that a shot owns. Index 0 is its first one."""

    def __init__(self, params: InterpolateParams, track: Track) -> None:
        self.track = track
        self._factor, self._rate = params.factor, params.rate
        if self._factor is not None:
            bounds = (track.first * self._factor, (track.first + len(track)) * self._factor)
        else:
            assert self._rate is not None
            start = track.times[0] if track.times else track.end
            bounds = ((start - _ROUNDING) * self._rate, (track.end - _ROUNDING) * self._rate)
        self.first = ceil(bounds[0])
        self._count = ceil(bounds[1]) - self.first
        self._chart = TimingChart(track, timing=params.timing)

    @property
    def end(self) -> Fraction:
        """When the last frame goes: where the next shot's first one appears."""
        if self._rate is not None:
            return (self.first + self._count) / self._rate
        assert self._factor is not None
        if self.track.rate is None or not self.track.times:
            return self.track.end
        past = (self.first + self._count) / self._factor - self.track.first
        return self.track.times[0] + past / self.track.rate

    @cached_property
    def times(self) -> tuple[Fraction, ...]:
        """When each output frame appears."""
        return tuple(self._time(index) for index in range(self._count))

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where each output frame lies between the drawings."""
        times = self.times
        if self._rate is not None and self.track.rate is None:
            times = tuple(self._on_stamp(time) for time in times)
        return tuple(self._chart.place_at(time) for time in times)

    def _time(self, index: int) -> Fraction:
        if self._rate is not None:
            return (self.first + index) / self._rate
        assert self._factor is not None
        times = self.track.times
        if index == 0 and self.track.rate is None:
            return times[0]
        position = (self.first + index) / self._factor - self.track.first
        frame = floor(position)
        until = times[frame + 1] if frame + 1 < len(times) else self.track.end
        return times[frame] + (position - frame) * (until - times[frame])

    def _on_stamp(self, time: Fraction) -> Fraction:
        """The stamp of a frame of varying rate that `time` is as near to as stamps are coarse."""
        times = self.track.times
        after = bisect_right(times, time)
        near = min(times[max(0, after - 1) : after + 1], key=lambda stamp: abs(stamp - time))
        return near if abs(near - time) <= _STAMP else time


def _drawings(places: Sequence[Place], track: Track) -> tuple[int, ...]:
    if not track.drawing:
        return ()
    first_shown: dict[int, int] = {}
    return tuple(
        index if place.fraction else first_shown.setdefault(track.drawing[place.before], index)
        for index, place in enumerate(places)
    )
