"""The `upscale` stage: each frame made 2x or 4x as large by a network from the model shelf."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cluster.errors import StageError, UsageError
from tasks.frames import Frames, from_float, to_float
from tasks.models.shelf import Precision, load_model, read_card
from tasks.models.tiles import Tiling, plan_tiles
from tasks.stage import Card, Device, Params, Stage, Window
from tasks.torch_engine import start_torch
from tasks.track import Span, Track

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

LEAST_TILE = 64
"""No smaller tile is tried when memory runs out: its halo would cost more than it saves."""


class UpscaleParams(Params):
    """`scale` 4 runs the 2x network twice; `bf16` is up to twice as fast where the CPU has it."""

    scale: Literal[2, 4] = 2
    precision: Precision = "fp32"
    model: str = "upscale2x"


class Upscale(Stage[UpscaleParams]):
    """Doubles the size of every frame, once or twice, one frame at a time.

    The network sees the signal clipped to [0, 1]; what lies outside passes by the classical
    doubling that the network corrects. Frame edges are replicated. The result is the same bit for
    bit for any tile size, chunk and number of threads on one device type.
    """

    name = "upscale"
    version = 1
    Params = UpscaleParams

    def __init__(self, params: UpscaleParams) -> None:
        super().__init__(params)
        self._model = read_card(params.model, verb=self.name)
        self._net: nn.Module | None = None
        self._device = Device()
        self._tile = 0
        if params.precision not in self._model.precisions:
            raise UsageError(
                f"model {params.model!r} has no {params.precision}",
                where=f"stage {self.name}",
                remedy=f"precision may be {', '.join(self._model.precisions)}",
            )
        if self._model.scale != 2:
            raise UsageError(
                f"model {params.model!r} scales by {self._model.scale}, expected 2",
                where=f"stage {self.name}",
                remedy="name a 2x model",
            )

    def card(self) -> Card:
        """Needs of the model on the shelf; every pass but the first works on larger frames."""
        passes = self.params.scale // 2
        return Card(
            num_cpus=1,
            gpu_share=0.5,
            memory_bytes=self._model.memory_bytes_per_megapixel * 4 ** (passes - 1),
            model=self._model.sha256,
            engine=f"torch-{self.params.precision}",
            keep=True,
            per_frame=True,
        )

    def track_after(self, track: Track) -> Track:
        """The same track, its picture `scale` times as wide and high."""
        return replace(track, picture=track.picture.scaled(self.params.scale))

    def setup(self, device: Device, read_asset: Callable[[str], bytes]) -> None:
        """Start torch and load the network. Errors: StageError on bad weights, ClusterError."""
        place = start_torch(device)
        import torch

        net = load_model(self._model)
        self._net = net.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device, self._tile = device, device.tile

    def process(self, window: Window, out: Span) -> Frames:
        """(len(out), scale H, scale W, 3) uint16 codes, rounded to the source's depth + 2 bits."""
        if self._net is None:
            raise StageError("not set up", where=self.name, remedy="call setup first")
        frames = window.frames_nhwc
        if frames.dtype != np.uint16 or frames.ndim != 4 or frames.shape[3] != 3:
            raise StageError(
                f"expected frames (N,H,W,3) uint16, got {frames.shape} {frames.dtype}",
                where=self.name,
                remedy="check the stage before it",
            )
        _, height, width, _ = frames.shape
        scale, depth = self.params.scale, window.track.picture.depth
        made = np.empty((len(out), scale * height, scale * width, 3), np.uint16)
        for at, index in enumerate(out.indices()):
            made[at] = from_float(self._enlarge(to_float(window.frame(index))), depth=depth)
        return made

    def close(self) -> None:
        """Forget the network."""
        self._net = None

    def _enlarge(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W, 3) signal, `scale` times as large; smaller tiles while memory runs out."""
        import torch

        while True:
            try:
                with torch.inference_mode():
                    frame = torch.from_numpy(signal).permute(2, 0, 1)[None]
                    for _ in range(self.params.scale // 2):
                        frame = self._double(frame)
                    return frame[0].permute(1, 2, 0).numpy()  # type: ignore[no-any-return]
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._tile = self._smaller_tile(signal.shape, error)

    def _smaller_tile(self, shape: tuple[int, ...], error: Exception) -> int:
        height, width = (edge * self.params.scale // 2 for edge in shape[:2])  # the last pass's
        used = self._tiling(height, width)
        smaller = max(used.height, used.width) // 2
        if smaller < LEAST_TILE:
            raise StageError(
                f"out of memory on a {width}x{height} frame in {used.width}x{used.height} tiles",
                where=self.name,
                remedy="give the worker more memory or run fewer on the machine",
                retryable=True,
            ) from error
        log.warning(
            "upscale: out of memory on a %dx%d frame in %dx%d tiles; going on with tiles of %d",
            width,
            height,
            used.width,
            used.height,
            smaller,
        )
        return smaller

    def _tiling(self, height: int, width: int) -> Tiling:
        return plan_tiles(height, width, tile=self._tile, halo=self._model.halo)

    def _double(self, frame: Tensor) -> Tensor:
        """(1, 3, H, W) float32 on the CPU, channels last, to (1, 3, 2H, 2W), window by window."""
        import torch
        import torch.nn.functional as F

        assert self._net is not None
        height, width = frame.shape[2:]
        tiling, halo = self._tiling(height, width), self._model.halo
        sides = (halo, halo + tiling.pad_right, halo, halo + tiling.pad_bottom)
        padded = F.pad(frame, sides, mode="replicate")
        made = torch.empty(1, 2 * height, 2 * width, 3).permute(0, 3, 1, 2)
        place = torch.device(self._device.kind)
        bf16 = self.params.precision == "bf16"
        for top, left in tiling.corners:
            bottom, right = top + tiling.height, left + tiling.width
            window = padded[:, :, top : bottom + 2 * halo, left : right + 2 * halo].to(place)
            window = window.contiguous(memory_format=torch.channels_last)
            with torch.autocast(place.type, torch.bfloat16, enabled=bf16):
                doubled = self._net(window)
            target = made[:, :, 2 * top : 2 * bottom, 2 * left : 2 * right]
            target.copy_(doubled[:, :, : target.shape[2], : target.shape[3]])
        return made


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch or numpy could not allocate: torch's CPU allocator has no class of its own."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
