"""Ways to draw the frame between two frames: the references, and our own engines by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.errors import UsageError
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.frames.codes import from_uint8, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.metrics.scores import Frame
from tasks.models.device import Device
from tasks.models.shelf import list_cards
from tasks.stages.interpolate.stage import InterpolateParams
from tasks.stages.registry import make_stage
from tasks.stages.stage import Window

Method = Callable[[Frame, Frame, float], Frame]
"""(a, b, t) → the picture at t, 0 (a) to 1 (b); all (H, W, 3) uint8 R'G'B'."""

_PADS = 3
"""minterpolate looks one frame back and two ahead of the pair, and drops the last ones."""


def average(a: Frame, b: Frame, t: float) -> Frame:
    """The plain mix."""
    return _round((1 - t) * a.astype(np.float32) + t * b.astype(np.float32))


def hold_nearest(a: Frame, b: Frame, t: float) -> Frame:
    """The nearer frame; the earlier one at t = .5."""
    return a if t <= 0.5 else b


def dis_warp(a: Frame, b: Frame, t: float) -> Frame:
    """Plain DIS flow both ways (preset medium, full resolution), both frames warped, mixed.

    Flow at t is taken to be what it is at the same place of the frame warped to: no splatting, no
    test of occlusion, no decision to hold.
    """
    luma_a, luma_b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (a, b))
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there = dis.calc(luma_a, luma_b, None)
    back = dis.calc(luma_b, luma_a, None)
    side_a = _sampled(a, t * back)
    side_b = _sampled(b, (1 - t) * there)
    return _round((1 - t) * side_a + t * side_b)


def minterpolate(a: Frame, b: Frame, t: float) -> Frame:
    """ffmpeg's minterpolate (mci, aobmc, bidir) on exactly these two frames.

    It is fed a a a b b b, one frame a second, and asked for the second from the last a to the
    first b in parts, so that motion is estimated between a and b and the neighbours, which are
    the same drawings, tell it nothing more. Its scene change detection is off: on a large motion
    it would repeat a instead. It works in yuv444p, to which ffmpeg converts.
    """
    part = Fraction(t).limit_denominator(60)
    if part in (0, 1):
        return b if part else a
    rate = part.denominator
    height, width = a.shape[:2]
    wanted = (_PADS - 1) * rate + part.numerator
    data = run_ffmpeg(
        [
            *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
            *("-framerate", "1", "-i", "-"),
            "-vf",
            f"format=yuv444p,minterpolate=fps={rate}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir"
            f":scd=none,select='eq(n,{wanted})',format=rgb24",
            *("-fps_mode", "passthrough", "-f", "rawvideo", "-"),
        ],
        input=[x.tobytes() for x in [a] * _PADS + [b] * _PADS],
        where="minterpolate",
    )
    return np.frombuffer(data, np.uint8).reshape(a.shape)


def engine_names() -> tuple[str, ...]:
    """The engines of the stage `interpolate`, as its parameters list them."""
    return get_args(InterpolateParams.model_fields["engine"].annotation)


def engine(name: str, *, model: str = "") -> Method:
    """An engine of the stage `interpolate`, run as a render runs it, set up once.

    `model` names the network of an engine that takes one. UsageError for what the stage refuses.
    """
    stage = make_stage("interpolate", _params(name, model))
    stage.setup(Device(), lambda path: Path(path).read_bytes())

    def between(a: Frame, b: Frame, t: float) -> Frame:
        if t != 0.5:
            raise ValueError(f"expected t = .5, got {t}")
        height, width = a.shape[:2]
        picture = Picture(width=width, height=height, pix_fmt="gbrp", matrix="rgb", range="full")
        track = Track(
            picture=picture,
            times=(Fraction(0), Fraction(1)),
            end=Fraction(2),
            rate=Fraction(1),
        )
        pair = from_uint8(np.stack([a, b]))
        window = Window(track=track, indices=(0, 1), frames_nhwc=pair)
        return to_uint8(stage.process(window, Span(1, 2))[0])

    return between


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine as it can be run here, with one network or none; `brought` by a user, or ours."""

    name: str
    model: str
    brought: bool


def engines() -> tuple[Engine, ...]:
    """Every engine with every network that it takes, on the shelf or brought by a user.

    Engines that want a network and have none yet are left out.
    """
    found: list[Engine] = []
    cards = [card for card in list_cards() if card.verb == "interpolate"]
    for name in engine_names():
        digests: set[str] = set()
        for model, brought in (("", False), *((card.name, bool(card.folder)) for card in cards)):
            try:
                digest = make_stage("interpolate", _params(name, model)).card().model
            except UsageError:
                continue
            if digest not in digests:
                digests.add(digest)
                found.append(Engine(name, model, brought))
    return tuple(found)


def _params(name: str, model: str) -> dict[str, Any]:
    return {"factor": 2, "engine": name, **({"model": model} if model else {})}


def references() -> dict[str, Method]:
    """The classical ways, by the names they have in tables."""
    return {
        "average": average,
        "hold nearest": hold_nearest,
        "minterpolate": minterpolate,
        "dis warp": dis_warp,
    }


def _sampled(image: Frame, flow: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    signal = image.astype(np.float32)
    places = (x + flow[..., 0], y + flow[..., 1])
    made = cv2.remap(signal, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(made, np.float32)


def _round(signal: NDArray[np.float32]) -> Frame:
    return np.rint(np.clip(signal, 0, 255)).astype(np.uint8)
