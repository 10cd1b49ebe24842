"""What a browser shows of a shot, made once from its segment and kept in the desk's own folder.

A proxy is H.264 in mp4 at a constant rate, frame `f` shown from `f / rate` on, with its index in
front, so that a player steps exactly by seeking to `(f + ½) / rate`, also over range requests.
A thumbnail is the middle frame as WebP. Both are named by what they are made of.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import ffmpeg
import numpy as np

from cluster.chunks.chunk import iter_frames
from cluster.errors import InputError
from cluster.keys import Key
from cluster.store.base import NotStored, Store
from flows.desk.shots import Version
from tasks.decode import FrameReader, SourceIndex
from tasks.encode.ffmpeg import local_url, run_ffmpeg
from tasks.frames.codes import to_uint8
from tasks.worker.item import segment_name
from tasks.worker.readers import unpack_index

THUMB_WIDTH, PROXY_WIDTH = 480, 1280
WEBP_QUALITY = 78
CRF = 14
"""A proxy is looked at for flicker and colour: at 20 flat paint came out up to 2 code values off,
which a difference shows."""
KEPT_BYTES = 20 << 30
"""What the desk keeps at the most; what nobody looked at for longest goes first."""
AT_ONCE = 2
"""Conversions side by side: people wait for one or two, and renders have the cores."""


class Media:
    """Makes and keeps what browsers show; for several threads, each thing is made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._places = threading.Semaphore(AT_ONCE)

    def thumbnail(self, store: Store, key: str) -> Path:
        """The middle frame of a segment as WebP. NotStored, InputError where it cannot be read."""
        return self._made(f"{key}.webp", lambda path: _write_thumbnail(path, store, key))

    def proxy(self, store: Store, key: str, rate: Fraction) -> Path:
        """A segment as mp4. NotStored, EncodeError where it cannot be made."""
        name = f"{key}-{rate.numerator}-{rate.denominator}.mp4"
        return self._made(name, lambda path: _write_proxy(path, store, key, rate))

    def source(self, store: Store, version: Version) -> Path:
        """The source frames of a shot as mp4 at the source's own rate. InputError where the source
        is not on this machine, is another file by now, or cannot be read."""
        start, end = version.range
        index = source_index(store, version)
        name = f"{index.digest[:40]}-{start}-{end}.mp4"
        return self._made(name, lambda path: _write_source(path, index, start, end))

    def drawings(self, store: Store, version: Version) -> list[int]:
        """The frames of a shot at which another drawing begins than the one before, the first of
        them 0. NotStored where its frames are gone from the store."""

        def write(path: Path) -> None:
            path.write_text(json.dumps(list(_drawings(store, version))))

        found: list[int] = json.loads(self._made(f"{version.key}.drawings", write).read_text())
        return found

    def _made(self, name: str, write: Callable[[Path], None]) -> Path:
        path = self.folder / name[:2] / name
        with self._locks[path]:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with self._places, tempfile.TemporaryDirectory(dir=path.parent) as folder:
                    fresh = Path(folder) / name
                    write(fresh)
                    fresh.replace(path)
                self._trim()
            path.touch()
        return path

    def _trim(self) -> None:
        files = [(found.stat(), found) for found in self.folder.glob("*/*") if found.is_file()]
        left = sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda each: each[0].st_mtime):
            if left <= KEPT_BYTES:
                return
            path.unlink(missing_ok=True)
            left -= stat.st_size


def _segment(store: Store, key: str, folder: Path) -> Path:
    path = folder / "segment.mkv"
    store.get_file(segment_name(Key(key)), path)
    return path


def _write_thumbnail(path: Path, store: Store, key: str) -> None:
    segment = _segment(store, key, path.parent)
    with av.open(str(segment)) as film:
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        middle = sum(1 for packet in film.demux(stream) if packet.size) // 2
    with av.open(str(segment)) as film:
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        picture: av.VideoFrame | None = None
        for number, frame in enumerate(film.decode(stream)):
            picture = frame
            if number >= middle:
                break
    if picture is None:
        raise InputError("has no frame", where=segment_name(Key(key)))
    height = max(2, round(picture.height * THUMB_WIDTH / picture.width))
    small = picture.reformat(THUMB_WIDTH, height, "bgr24", interpolation="AREA")
    written, data = cv2.imencode(
        ".webp", small.to_ndarray(), [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY]
    )
    assert written
    path.write_bytes(data.tobytes())


def _write_proxy(path: Path, store: Store, key: str, rate: Fraction) -> None:
    segment = _segment(store, key, path.parent)
    # A segment's timestamps count frames in ms; here each is put on the clock of its rate.
    stream = ffmpeg.input(local_url(segment)).video.filter(
        "setpts", f"N*{rate.denominator}/{rate.numerator}/TB"
    )
    run_ffmpeg(_encoded(stream, path, rate), where=path.name)


def _write_source(path: Path, index: SourceIndex, start: int, end: int) -> None:
    picture, rate = index.picture, index.rate or Fraction(24)
    reader = FrameReader(index, threads=2)

    def frames() -> Iterator[bytes]:
        for number in range(start, end):
            yield np.ascontiguousarray(to_uint8(reader.read([number])[0])).tobytes()

    size = f"{picture.width}x{picture.height}"
    raw = ffmpeg.input("pipe:0", f="rawvideo", pix_fmt="rgb24", s=size, r=str(rate)).video
    try:
        run_ffmpeg(_encoded(raw, path, rate), input=frames(), where=path.name)
    finally:
        reader.close()


def _encoded(stream: Any, path: Path, rate: Fraction) -> Any:
    """The command that writes a proxy: short groups without B-frames, for whoever drags, and one
    matrix for all, so that a difference is one of pictures."""
    exact = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    told = {"out_color_matrix": "bt709", "out_range": "tv", "flags": exact}
    scaled = stream.filter("scale", f"min({PROXY_WIDTH},trunc(iw/2)*2)", -2, **told)
    tags = dict.fromkeys(("color_primaries", "color_trc", "colorspace"), "bt709")
    return ffmpeg.output(
        scaled.filter("format", "yuv420p"),
        str(path),
        vcodec="libx264",
        preset="veryfast",
        crf=CRF,
        g=12,
        bf=0,
        r=str(rate),
        movflags="+faststart",
        video_track_timescale=rate.numerator,
        **tags,
    )


def source_index(store: Store, version: Version) -> SourceIndex:
    """The index of a shot's source, as its workers read it. InputError where it is not there, or
    the source is not on this machine."""
    digest = version.made_from.get("digest", "") if isinstance(version.made_from, dict) else ""
    for name in version.reads:
        if not name.startswith("probes/"):
            continue
        try:
            index = unpack_index(store.get(name))
        except NotStored:
            continue
        if index.digest == digest and os.path.exists(index.path):
            return index
    raise InputError("its source is not on the desk's machine", where=version.shot)


def _drawings(store: Store, version: Version) -> Iterator[int]:
    number, before = 0, None
    for chunk in version.runs[-1]["chunks"] if version.runs else ():
        for _, _, picture in iter_frames(store.get(chunk["name"])):
            if before is None or not _equal(before, picture):
                yield number
            number, before = number + 1, picture


def _equal(one: object, other: object) -> bool:
    if one is other:
        return True
    planes = [each if isinstance(each, tuple) else (each,) for each in (one, other)]
    return all(np.array_equal(a, b) for a, b in zip(*planes, strict=True))
