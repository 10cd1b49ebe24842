"""The `upscale` stage: each frame made 2, 3 or 4 times as large by networks of the shelf."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from cluster.errors import StageError
from tasks.frames.codes import Frames, from_float, to_float
from tasks.frames.track import Span, Track
from tasks.models.choose import choose_models
from tasks.models.device import Device
from tasks.models.engine import EXACT
from tasks.models.enlarge import Enlarger, Signal, is_out_of_memory
from tasks.models.load import open_enlarger
from tasks.models.shelf import (
    AskedPrecision,
    Kind,
    ModelCard,
    Precision,
    brought_weights,
    cards_for_workers,
    keyed_precision,
    precision_of,
    runs_fast,
)
from tasks.stages.stage import Card, Params, Stage, Window

log = logging.getLogger(__name__)

LEAST_TILE = 64
"""No smaller tile is tried when memory runs out: its halo would cost more than it saves."""


class UpscaleParams(Params):
    """What to make of the frames, and with which network.

    `scale` is 2 unless said otherwise or a named `model` has another. `kind` asks for a network
    that keeps the picture as it is ("faithful") or takes compression, blur and dirt away
    ("restore"); `model` names one outright. `precision` "exact" is the model's own, "fast" the
    fastest engine within 60 dB of it; unset is fast where the plan's workers are known to have one.
    `engine` "tensorrt" runs ONNX models by TensorRT. `cards` and `fast` are filled in by the plan:
    what workers must know of models that users brought, and the engine to run the others by.
    """

    scale: Literal[1, 2, 3, 4] | None = None
    kind: Kind = "faithful"
    model: str = ""
    precision: AskedPrecision | None = None
    engine: Literal["own", "tensorrt"] = "own"
    cards: SkipJsonSchema[tuple[ModelCard, ...]] = Field(default=(), exclude=True, repr=False)
    fast: SkipJsonSchema[str] = Field(default=EXACT, exclude=True, repr=False)


class Upscale(Stage[UpscaleParams]):
    """Enlarges every frame by one network or two in turn, one frame at a time.

    Networks see the signal clipped to [0, 1]; what lies outside passes by a classical enlargement.
    Frame edges are as the network was made for: replicated for those of the shelf. The result is
    the same bit for bit for any tile size, chunk and number of threads on one device type.
    """

    name = "upscale"
    version = 1
    Params = UpscaleParams

    def __init__(self, params: UpscaleParams) -> None:
        super().__init__(params)
        self._cards = params.cards or choose_models(
            scale=params.scale, kind=params.kind, model=params.model
        )
        self.scale = int(np.prod([card.scale for card in self._cards]))
        self.enlargers: tuple[Enlarger, ...] = ()
        """One a pass, from `setup` to `close`."""
        self._tile = 0
        for card in self._cards:
            precision_of(card, params.precision, stage=self.name)

    def key_params(self) -> object:
        """All of them, the precision by its effect."""
        asked = keyed_precision(self.params.precision)
        return {**self.params.model_dump(mode="json"), "precision": asked}

    def card(self) -> Card:
        """Needs of the models. Theirs count by what goes in, a stage's by what comes out; every
        pass but the first works on larger frames."""
        memory, size = 0, 1
        for card in self._cards:
            memory = max(memory, card.memory_bytes_per_megapixel * size**2)
            size *= card.scale
        return Card(
            num_cpus=1,
            gpu_share=0.5,
            memory_bytes=memory // self.scale**2,
            model="+".join(dict.fromkeys(card.sha256 for card in self._cards)),
            engine="+".join(dict.fromkeys(self._engine(card) for card in self._cards)),
            keep=True,
            per_frame=True,
            same_drawings=not any(card.folder for card in self._cards),
        )

    def track_after(self, track: Track) -> Track:
        """The same track, its picture `scale` times as wide and high."""
        return replace(track, picture=track.picture.scaled(self.scale))

    def assets(self) -> tuple[str, ...]:
        """The weights that users brought; those of the shelf are installed with douga."""
        return brought_weights(self._cards)

    def looked_up(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """The cards of models that users brought. StageError where a file has changed."""
        return cards_for_workers(self._cards, digests)

    def fast_networks(self) -> tuple[ModelCard, ...]:
        """All of them, if none needs a library of its own."""
        asked = self.params.precision
        return self._cards if all(runs_fast(card, asked) for card in self._cards) else ()

    def setup(self, device: Device, read_asset: Callable[[str], bytes]) -> None:
        """Open the networks. Errors: StageError on bad weights, ClusterError, InputError."""
        opened: dict[str, Enlarger] = {}
        for card in self._cards:
            if card.sha256 not in opened:
                opened[card.sha256] = open_enlarger(
                    card,
                    device=device,
                    read_asset=read_asset,
                    precision=self._precision(card),
                    tensorrt=self.params.engine == "tensorrt",
                    engine=self.params.fast,
                )
        self.enlargers = tuple(opened[card.sha256] for card in self._cards)
        self._tile = device.tile

    def process(self, window: Window, out: Span) -> Frames:
        """(len(out), scale H, scale W, 3) uint16 codes, rounded to the source's depth + 2 bits."""
        if not self.enlargers:
            raise StageError("not set up", where=self.name, remedy="call setup first")
        frames = window.frames_nhwc
        if frames.dtype != np.uint16 or frames.ndim != 4 or frames.shape[3] != 3:
            raise StageError(
                f"expected frames (N,H,W,3) uint16, got {frames.shape} {frames.dtype}",
                where=self.name,
                remedy="check the stage before it",
            )
        _, height, width, _ = frames.shape
        scale, depth = self.scale, window.track.picture.depth
        made = np.empty((len(out), scale * height, scale * width, 3), np.uint16)
        for at, index in enumerate(out.indices()):
            made[at] = from_float(self._enlarge(to_float(window.frame(index))), depth=depth)
        return made

    def close(self) -> None:
        """Forget the networks."""
        self.enlargers = ()

    def _precision(self, card: ModelCard) -> Precision:
        return precision_of(card, self.params.precision, stage=self.name)

    def _engine(self, card: ModelCard) -> str:
        """What computes a pass, as keys name it: a frame is padded to the network's multiple."""
        if self.params.fast:
            return self.params.fast
        multiple = f"-m{card.multiple}" if card.multiple > 1 else ""
        if card.format != "onnx":
            return f"torch-{self._precision(card)}{multiple}"
        runtime = "tensorrt" if self.params.engine == "tensorrt" else "onnx"
        return f"{runtime}-{self._precision(card)}{multiple}"

    def _enlarge(self, signal: Signal) -> Signal:
        """(H, W, 3) signal, `scale` times as large; smaller tiles while memory runs out."""
        for enlarger in self.enlargers:
            signal = self._one_pass(enlarger, signal)
        return signal

    def _one_pass(self, enlarger: Enlarger, signal: Signal) -> Signal:
        while True:
            try:
                return enlarger(signal, tile=self._tile)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._tile = self._smaller_tile(enlarger, signal, error)

    def _smaller_tile(self, enlarger: Enlarger, signal: Signal, error: Exception) -> int:
        height, width = signal.shape[:2]
        tall, wide = enlarger.windows(height, width, tile=self._tile)
        smaller = max(tall, wide) // 2
        least = max(enlarger.windows(height, width, tile=smaller))
        if smaller < LEAST_TILE or least >= max(tall, wide):
            whole = "; its network needs the whole picture" if enlarger.card.halo is None else ""
            raise StageError(
                f"out of memory on a {width}x{height} frame in {wide}x{tall} tiles{whole}",
                where=self.name,
                remedy="give the worker more memory or run fewer on the machine",
                retryable=True,
            ) from error
        log.warning(
            "upscale: out of memory on a %dx%d frame in %dx%d tiles; going on with tiles of %d",
            width,
            height,
            wide,
            tall,
            smaller,
        )
        return smaller
