"""Options of each encoder: quality, preset, and what keeps segments alike and repeatable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from cluster.errors import UsageError
from tasks.frames.colour import Encoder, layout_of, parse_hdr
from tasks.frames.picture import Picture

THREADS = 4
"""Threads of every encoder on every machine: how many there are changes libx264's bytes."""

FFMPEG_NAMES: dict[Encoder, str] = {
    "libx264": "libx264",
    "libx265": "libx265",
    "libsvtav1": "libsvtav1",
    "prores": "prores_ks",
    "ffv1": "ffv1",
}

QUALITY: dict[Encoder, tuple[int, int, int | None]] = {
    "libx264": (0, 51, 17),
    "libx265": (0, 51, 19),
    "libsvtav1": (1, 63, 25),
    "prores": (1, 64, None),
    "ffv1": (0, 0, None),
}
"""(best, worst, default) quality: crf, for ProRes a fixed quantiser. None: ProRes keeps to its
profile's bit rate, ffv1 is lossless."""

PRESETS: dict[Encoder, str] = {
    "libx264": "medium",
    "libx265": "medium",
    "libsvtav1": "6",
    "prores": "",
    "ffv1": "",
}
"""Default presets. ProRes: the profile, "hq" for 4:2:2 and "4444" for 4:4:4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeSpec:
    """How a film is encoded.

    `quality` is a crf (libx264 0-51, default 17; libx265 0-51, 19; libsvtav1 1-63, 25; less is
    better) or ProRes's quantiser (1-64, default by bit rate); ffv1 has none. `preset` is the
    encoder's own word (ProRes: its profile), "" for the default. `pix_fmt` asks for a pixel format,
    None leaves it to `delivery_picture`. `gop` is the most frames from keyframe to keyframe.
    UsageError when they do not fit.
    """

    encoder: Encoder = "libx264"
    quality: int | None = None
    preset: str = ""
    pix_fmt: str | None = None
    gop: int = 240

    def __post_init__(self) -> None:
        if self.encoder not in get_args(Encoder):
            raise UsageError(
                f"unknown encoder {self.encoder!r}",
                remedy=f"encoders are {', '.join(get_args(Encoder))}",
            )
        if self.encoder == "ffv1" and (self.quality is not None or self.preset):
            raise UsageError("ffv1 is lossless", remedy="leave out quality and preset")
        best, worst, _ = QUALITY[self.encoder]
        if self.quality is not None and not best <= self.quality <= worst:
            raise UsageError(f"{self.encoder}: expected quality {best}-{worst}, got {self.quality}")
        if self.gop < 1:
            raise UsageError(f"expected a gop of 1 frame or more, got {self.gop}")


def encoder_options(spec: EncodeSpec, picture: Picture) -> dict[str, str | int]:
    """ffmpeg's output options for the encoder; pure. Plain data: it goes into keys."""
    quality = spec.quality if spec.quality is not None else QUALITY[spec.encoder][2]
    preset = spec.preset or PRESETS[spec.encoder]
    hdr = parse_hdr(picture.hdr)
    base: dict[str, str | int] = {"c:v": FFMPEG_NAMES[spec.encoder], "g": spec.gop}
    if spec.encoder == "libx264":
        params = (
            # stitchable: headers do not follow the content; cpu-independent: nor bytes the CPU
            "stitchable=1:cpu-independent=1:open-gop=0:sliced-threads=0"
            f":threads={THREADS}:lookahead-threads=1"
        )
        return base | _crf(quality, preset) | {"x264-params": _joined(params, hdr.x264_params())}
    if spec.encoder == "libx265":
        params = (
            f"log-level=error:open-gop=0:repeat-headers=0:pools={THREADS}:frame-threads=2"
            ":lookahead-threads=0"
        )
        return base | _crf(quality, preset) | {"x265-params": _joined(params, hdr.text())}
    if spec.encoder == "libsvtav1":
        params = _joined(f"lp={THREADS}", hdr.svtav1_params())
        return base | _crf(quality, preset) | {"svtav1-params": params}
    if spec.encoder == "prores":
        layout = layout_of(picture.pix_fmt)
        profile = preset or ("hq" if layout.sub_x == 2 else "4444")
        fixed: dict[str, str | int] = {} if quality is None else {"q:v": quality}
        return {"c:v": base["c:v"], "profile:v": profile, "threads": THREADS, **fixed}
    return {"c:v": "ffv1", "level": 3, "slices": 4, "slicecrc": 1, "g": 1, "threads": THREADS}


def _crf(quality: int | None, preset: str) -> dict[str, str | int]:
    return {"crf": quality if quality is not None else 0, "preset": preset}


def _joined(*params: str) -> str:
    return ":".join(part for part in params if part)
