"""Films whose every frame carries its own number, in the containers and codecs that are hard."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.decode.planes import Planes, planes_of
from tasks.encode.ffmpeg import run_ffmpeg

WIDTH, HEIGHT, CELL, BITS = 96, 64, 12, 8
FRAMES = 60
NTSC = Fraction(24000, 1001)

X264 = "-c:v libx264 -preset fast -g 12 -keyint_min 12 -bf 3 -sc_threshold 0"
X265 = "-c:v libx265 -preset fast -x265-params log-level=error:keyint=12:min-keyint=12:bframes=3"
VFR = "-vf select='not(eq(mod(n\\,5)\\,3))' -fps_mode vfr"

ENCODES: dict[str, str] = {
    # name: options; a leading "name > " copies the named clip's packets instead.
    "closed.mp4": X264,
    "closed.mkv": X264,
    "deep.mkv": f"{X264} -bf 8 -x264-params b-pyramid=normal:ref=8",
    "open.mkv": f"{X264} -x264-params open-gop=1",
    "open.ts": f"{X264} -x264-params open-gop=1",
    "refresh.mp4": "-c:v libx264 -preset fast -g 12 -bf 0 -x264-params intra-refresh=1",
    "hevc.mp4": f"{X265}:open-gop=1",
    "hevc.ts": f"{X265}:open-gop=1",
    "hashed.mp4": f"{X265}:hash=1",
    "edit.mp4": "closed.mp4 > -ss 1.05",
    "trimmed.mp4": "closed.mp4 > trim",
    "edit-open.mp4": "open.mkv > -ss 1.4",
    "edit-hevc.mp4": "hevc.mp4 > -ss 1.4",
    "cut-open.ts": "open.ts > -ss 1.0 -muxdelay 9",
    "cut-hevc.ts": "hevc.ts > -ss 1.0",
    "captured.ts": "open.ts > capture",
    "captured-hevc.ts": "hevc.ts > capture",
    "captured-mpeg2.ts": "mpeg2.ts > capture",
    "vfr.mkv": f"{VFR} {X264}",
    "vfr.mp4": f"{VFR} {X264}",
    "ten.mkv": f"-pix_fmt yuv422p10le {X264}",
    "mpeg2.ts": "-c:v mpeg2video -g 12 -bf 2 -q:v 2",
    "mpeg2.mpg": "-c:v mpeg2video -g 12 -bf 2 -q:v 2",
    "mpeg4.avi": "-c:v mpeg4 -g 12 -bf 2 -q:v 2",
    "h264.avi": X264,
    "raw.h264": X264,
    "hidden.webm": "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 25 -b:v 100k -g 24",
    "vp9.webm": "-c:v libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 16 -b:v 300k -g 24 -cpu-used 5",
    "av1.mkv": "-c:v libaom-av1 -cpu-used 8 -g 24 -b:v 300k",
    "prores.mov": "-c:v prores_ks",
    "ffv1.mkv": "-c:v ffv1 -level 3 -slicecrc 1 -g 10",
    "held.gif": f"{VFR} -frames:v 20 -final_delay 100",
    "even.gif": "-r 10 -frames:v 20",
    "even.apng": "-r 10 -frames:v 20 -f apng",
    "film.flv": X264,
    "mjpeg.avi": "-c:v mjpeg -q:v 2",
}


def numbered_frames(count: int = FRAMES) -> bytes:
    """Grey pictures: frame k has k in binary in its top row of cells, and moving noise below."""
    noise = np.random.default_rng(5).integers(60, 190, (HEIGHT, WIDTH + 2 * FRAMES), np.uint8)
    frames = []
    for number in range(count):
        frame = noise[:, number : number + WIDTH].copy()
        for bit in range(BITS):
            at = bit * CELL
            frame[: 2 * CELL, at : at + CELL] = 235 if number >> bit & 1 else 16
        frames.append(frame.tobytes())
    return b"".join(frames)


def number_in(luma: NDArray[np.generic]) -> int:
    """The number that a frame carries; `luma` of any depth."""
    row = luma[: 2 * CELL, : BITS * CELL].astype(float).reshape(2 * CELL, BITS, CELL)
    means = row[6:-6, :, 3:-3].mean(axis=(0, 2))
    middle = (means.max() + means.min()) / 2 if means.max() > 1.5 * means.min() else 1e9
    return sum(1 << bit for bit in range(BITS) if means[bit] > middle)


def trimmed(film: bytes) -> bytes:
    """An MP4 whose edit list (ISO/IEC 14496-12, 8.6.6) ends after 30 of its frames."""
    data = bytearray(film)
    at = data.index(b"elst")
    version, edits, ticks = struct.unpack_from(">III", data, at + 4)
    assert (version, edits) == (0, 1)
    struct.pack_into(">I", data, at + 12, ticks * 30 // FRAMES)
    return bytes(data)


@dataclass(frozen=True)
class Linear:
    """What a plain decode from start to end gives: the truth that every read must equal."""

    pts: list[int | None] = field(default_factory=list)
    planes: list[Planes] = field(default_factory=list)


def decode_linearly(path: Path) -> Linear:
    """Every frame that PyAV's own loop gives, copied."""
    linear = Linear()
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            linear.pts.append(frame.pts)
            linear.planes.append(tuple(plane.copy() for plane in planes_of(frame)))
    return linear


class Clips:
    """The films, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._linear: dict[str, Linear] = {}

    def __call__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            origin, arrow, options = ENCODES[name].rpartition(" > ")
            if options == "trim":
                path.write_bytes(trimmed(self(origin).read_bytes()))
            elif options == "capture":
                data = self(origin).read_bytes()
                path.write_bytes(data[len(data) // 188 // 3 * 188 :])
            elif arrow:
                words = options.split()
                run_ffmpeg(
                    [*words[:2], "-i", str(self(origin)), "-c", "copy", *words[2:], str(path)]
                )
            elif "alt-ref" in options and "vp9" not in options:
                # libvpx makes VP8's hidden frames in the second pass alone.
                for turn in ("1", "2"):
                    log = ["-pass", turn, "-passlogfile", str(self.folder / "passes")]
                    self.make(path, ["-y", *options.split(), *log])
            else:
                self.make(path, options.split())
        return path

    def make(self, path: Path, options: list[str], *, frames: int = FRAMES) -> Path:
        """A film of numbered frames at 24000/1001, yuv420p unless the options say otherwise."""
        given = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(NTSC)]
        plain = [] if "-pix_fmt" in options or path.suffix in (".gif", ".apng") else [
            "-pix_fmt", "yuv420p",
        ]  # fmt: skip
        run_ffmpeg(
            [*given, "-i", "-", *plain, *options, str(path)], input=[numbered_frames(frames)]
        )
        return path

    @staticmethod
    def number_in(luma: NDArray[np.generic]) -> int:
        return number_in(luma)

    def linear(self, name: str) -> Linear:
        if name not in self._linear:
            self._linear[name] = decode_linearly(self(name))
        return self._linear[name]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `name` runs once for every film."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", list(ENCODES))
