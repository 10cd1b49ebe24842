"""Enlarged pictures against the truth: pictures are made small, enlarged by each way, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np

from cluster.errors import UsageError
from tasks.benchmarks.evaluation import Case, Kind, Way
from tasks.benchmarks.resample import Filter, enlarge, reduce
from tasks.frames.codes import from_uint8, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.metrics.scores import Frame
from tasks.models.device import Device
from tasks.models.shelf import list_cards
from tasks.stages.registry import make_stage
from tasks.stages.stage import Stage, Window
from tasks.stages.upscale import UpscaleParams

BORDER = 8
"""Pixels at each edge, where filters run out of picture, that count in no score."""

_SHARPEN, _SIGMA = 0.5, 0.7
"""Strength and width (pixels, for 2x) of the unsharp mask: a usual, cautious setting."""
_JPEG_QUALITY = 40

Damage = Callable[[Frame, int], Frame]
"""A true picture and a factor → the small picture that is enlarged again."""


def damages() -> dict[str, Damage]:
    """How pictures are made small, by the words for it."""

    def by(kind: Filter) -> Damage:
        return lambda truth, factor: reduce(truth, factor=factor, kind=kind)

    return {
        "reduced by area": by("area"),
        "reduced by bicubic": by("bicubic"),
        f"reduced by area, JPEG {_JPEG_QUALITY}": lambda truth, factor: jpeg(
            reduce(truth, factor=factor, kind="area"), quality=_JPEG_QUALITY
        ),
    }


def small_cases(stills: Sequence[Case], damage: Damage, *, factor: int) -> Iterator[Case]:
    """Pictures cut to a size that `factor` divides, with their small versions as inputs."""
    for still in stills:
        height, width = (side // factor * factor for side in still.truth.shape[:2])
        truth = np.ascontiguousarray(still.truth[:height, :width])
        yield replace(still, truth=truth, inputs=(damage(truth, factor),))


def ways_to_enlarge(*, factor: int, peers: Sequence[Path] = ()) -> list[Way]:
    """Lanczos, Lanczos sharpened, every model on the shelves that does `factor`, and `peers`.

    A model that a user registered is a peer; so are ONNX files, where their scale is `factor`.
    """
    ways = [
        Way(name="lanczos", kind="reference", make=lambda small: lanczos(small, factor=factor)),
        Way(
            name="lanczos, unsharp",
            kind="reference",
            make=lambda small: sharpened(small, factor=factor),
        ),
    ]
    usual = _stage({"scale": factor})
    seen: set[str] = set()
    for name, kind, params in _candidates():
        stage = _stage({"scale": factor, **params})
        if stage is None or stage.card().model in seen:
            continue
        seen.add(stage.card().model)
        stage.setup(Device(), lambda path: Path(path).read_bytes())
        default = usual is not None and stage.card().model == usual.card().model
        ways.append(Way(name=name, kind=kind, make=_by_stage(stage), default=default))
    for path in peers:
        if any(way.name == path.stem for way in ways):
            raise UsageError(
                "two models of this name",
                where=path.stem,
                remedy="rename the file given as --peer",
            )
        if way := onnx_way(path, factor=factor):
            ways.append(way)
    return ways


def lanczos(small: Frame, *, factor: int) -> Frame:
    """Lanczos with three lobes."""
    return enlarge(small, factor=factor, kind="lanczos")


def sharpened(small: Frame, *, factor: int) -> Frame:
    """Lanczos, an unsharp mask, and no value beyond those of the 3x3 small pixels around."""
    large = lanczos(small, factor=factor).astype(np.float32)
    soft = cv2.GaussianBlur(large, (0, 0), _SIGMA * factor)
    made = large + _SHARPEN * (large - np.asarray(soft))
    around = np.ones((3, 3), np.uint8)
    size = (large.shape[1], large.shape[0])
    low = cv2.resize(cv2.erode(small, around), size, interpolation=cv2.INTER_NEAREST)
    high = cv2.resize(cv2.dilate(small, around), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(np.rint(np.clip(made, low, high)), np.uint8)


def jpeg(picture: Frame, *, quality: int) -> Frame:
    """The picture after JPEG compression (4:2:0)."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def onnx_way(path: Path, *, factor: int) -> Way | None:
    """An ONNX network as a way to enlarge; None where its scale is another.

    Pictures are padded to sides that 8 divides. Errors: as `open_onnx` has them.
    """
    from tasks.models.user.onnx_net import open_onnx

    net = open_onnx(path.read_bytes(), device=Device(), name=path.name).net
    if net(np.zeros((64, 64, 3), np.float32)).shape[0] != 64 * factor:
        return None

    def make(small: Frame) -> Frame:
        height, width = small.shape[:2]
        sides = ((0, -height % 8), (0, -width % 8), (0, 0))
        signal = np.pad(small, sides, mode="edge").astype(np.float32) / np.float32(255)
        made = net(signal)[: factor * height, : factor * width]
        return np.rint(np.clip(made, 0, 1) * 255).astype(np.uint8)

    return Way(name=path.stem, kind="peer", make=make)


def _candidates() -> Iterator[tuple[str, Kind, dict[str, Any]]]:
    """Names and parameters: every model by itself, then what each kind is made of together."""
    for card in list_cards():
        if card.verb == "upscale":
            yield card.name, "peer" if card.folder else "ours", {"model": card.name}
    for kind in get_args(UpscaleParams.model_fields["kind"].annotation):
        yield f"upscale {kind}", "ours", {"kind": kind}


def _stage(params: dict[str, Any]) -> Stage[Any] | None:
    """The stage with these parameters, None where it does not take them."""
    try:
        return make_stage("upscale", params)
    except UsageError:
        return None


def _by_stage(stage: Stage[Any]) -> Callable[[Frame], Frame]:
    def make(small: Frame) -> Frame:
        height, width = small.shape[:2]
        picture = Picture(width=width, height=height, pix_fmt="gbrp", matrix="rgb", range="full")
        track = Track(picture=picture, times=(Fraction(0),), end=Fraction(1), rate=Fraction(1))
        window = Window(track=track, indices=(0,), frames_nhwc=from_uint8(small)[None])
        return to_uint8(stage.process(window, Span(0, 1))[0])

    return make
