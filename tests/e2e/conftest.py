"""Small films in which every frame says which it is, and what can be measured of a film."""

from __future__ import annotations

import hashlib
import wave
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from flows.farm.farm import OpenFarm
from flows.progress import Reporter, Silent
from flows.render import render
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest, make_request
from tasks.encode.ffmpeg import run_ffmpeg

WIDTH, HEIGHT = 96, 64
CELL, BITS = 10, 8
HERTZ = 48_000
PAINTS = ((90, 160), (170, 100), (110, 90), (150, 170), (128, 128))
"""Cb and Cr of the shots, in turn: what tells them apart."""
FONT = bytes(range(256)) * 9
SUBTITLES = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment
Style: Default,Douga Sans,20,&H00FFFFFF,0,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.25,0:00:00.75,Default,,0,0,0,,First
Dialogue: 0,0:00:01.00,0:00:01.50,Default,,0,0,0,,Second, with a comma
"""
CHAPTERS = """;FFMETADATA1
title=Episode 1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=667
title=Opening
[CHAPTER]
TIMEBASE=1/1000
START=667
END=1800
title=Part A
"""


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """A film of `times`, shown until `end`: frame k carries k in cells, its shot's paint around
    them; a drawing is shown for `on` frames. A beep begins with each of the frames `beeps`."""

    name: str
    times: tuple[Fraction, ...]
    end: Fraction
    rate: Fraction | None
    cuts: tuple[int, ...]
    beeps: tuple[int, ...]
    on: int = 1
    path: Path = field(default=Path())

    def shot_of(self, frame: int) -> int:
        """The number of a frame's shot."""
        return bisect_right(self.cuts, frame)

    def frame_at(self, time: Fraction) -> int:
        """The frame on screen at a time."""
        return bisect_right(self.times, time) - 1

    def paint_of(self, frame: int) -> tuple[int, int]:
        """Cb and Cr of a frame's shot."""
        return PAINTS[self.shot_of(frame) % len(PAINTS)]

    @property
    def font(self) -> bytes:
        """The font that the Matroska ones carry."""
        return FONT

    def stay(self, frame: int) -> Fraction:
        """How long a frame is on screen."""
        return (*self.times, self.end)[frame + 1] - self.times[frame]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One decoded frame of a film: when, the number in its cells, its paint, all its samples."""

    time: Fraction
    number: int
    paint: tuple[float, float]
    digest: str


def constant(name: str, rate: Fraction, count: int) -> Numbered:
    """About two seconds at a constant rate, with a shot of one frame in it."""
    third = count // 3
    cuts = (third, third + 1, 3 * count // 4)
    return Numbered(
        name=name,
        times=tuple(k / rate for k in range(count)),
        end=count / rate,
        rate=rate,
        cuts=cuts,
        beeps=(cuts[0], count // 2, cuts[2]),
    )


def varying(name: str, steps: Sequence[Fraction], count: int) -> Numbered:
    """A film whose frames stay for the steps in turn; the last few alike, for mp4 does not say
    how long the last one stays when frames are stored out of order."""
    turns = [*islice(cycle(steps), count - 6), *[steps[0]] * 6]
    clock = list(accumulate(turns, initial=Fraction(0)))
    plain = constant(name, Fraction(24), count)
    return Numbered(
        name=name,
        times=tuple(clock[:-1]),
        end=clock[-1],
        rate=None,
        cuts=plain.cuts,
        beeps=plain.beeps,
    )


SOURCES: dict[str, Numbered] = {
    film.name: film
    for film in (
        constant("23.976.mkv", Fraction(24000, 1001), 48),
        constant("25.mp4", Fraction(25), 50),
        constant("29.97.mkv", Fraction(30000, 1001), 60),
        constant("60.mp4", Fraction(60), 110),
        varying("varying.mkv", [Fraction(ms, 1000) for ms in (50, 42, 83, 17, 34, 125, 33)], 40),
        varying("varying.mp4", [Fraction(1, n) for n in (24, 30, 24, 60, 12, 15)], 40),
        Numbered(
            name="twos.mkv",
            times=tuple(Fraction(k, 24) for k in range(19)),
            end=Fraction(19, 24),
            rate=Fraction(24),
            cuts=(13,),
            beeps=(13,),
            on=2,
        ),
    )
}


@dataclass(frozen=True)
class Lab:
    """Makes the films, once each, renders them and looks at what comes out."""

    folder: Path

    def source(self, name: str) -> Numbered:
        """One of SOURCES, written."""
        film = SOURCES[name]
        path = self.folder / name
        if not path.exists():
            picture = path.with_suffix(f".picture{path.suffix}")
            _write_picture(film, picture)
            self._mux(film, picture, path)
        return Numbered(**{**film.__dict__, "path": path})

    def render(
        self,
        folder: Path,
        document: dict[str, Any],
        *,
        reporter: Reporter | None = None,
        farm: OpenFarm | None = None,
        **options: Any,
    ) -> EpisodeResult:
        """Render an episode document in this process; all it makes lies under `folder`."""
        return render(self.request(folder, document, **options), reporter or Silent(), farm=farm)

    def request(self, folder: Path, document: dict[str, Any], **options: Any) -> RenderRequest:
        """The request for an episode document, its store in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        episode = folder / "episode.yaml"
        episode.write_text(yaml.safe_dump({"store": str(folder / "store"), **document}))
        return make_request(str(episode), **{"workers": 1, **options})

    def look(self, film: Path | str) -> list[Seen]:
        """Every frame of a film in the order shown."""
        with av.open(str(film)) as file:
            return [_see(frame) for frame in file.decode(video=0)]

    def planes(self, film: Path | str) -> Iterator[list[NDArray[Any]]]:
        """The planes of every frame of a film: luma, then both chromas."""
        with av.open(str(film)) as file:
            for frame in file.decode(video=0):
                yield [_plane(frame, place) for place in range(3)]

    def beeps(self, film: Path | str) -> list[float]:
        """When beeps begin, every decoded sample put where its own timestamp says; seconds."""
        with av.open(str(film)) as file:
            line = np.zeros(HERTZ * (file.duration // av.time_base + 2), np.float32)
            to_float = av.AudioResampler(format="fltp", layout="mono", rate=HERTZ)
            for frame in file.decode(file.streams.audio[0]):
                at = round(frame.pts * frame.time_base * HERTZ)
                frame.pts = None
                for piece in to_float.resample(frame):
                    samples = piece.to_ndarray()[0][max(0, -at) :]
                    line[max(0, at) : max(0, at) + len(samples)] = samples
                    at += piece.samples
        loud = np.flatnonzero(np.abs(line) > 0.3)
        first = np.diff(loud, prepend=-HERTZ) > HERTZ // 5
        return [float(at) / HERTZ for at in loud[first]]

    def _mux(self, film: Numbered, picture: Path, path: Path) -> None:
        words, chapters, font = (self.folder / name for name in ("s.ass", "c.txt", "douga.ttf"))
        words.write_text(SUBTITLES)
        chapters.write_text(CHAPTERS)
        font.write_bytes(FONT)
        sound = path.with_suffix(".wav")
        _write_beeps(film, sound)
        mkv = path.suffix == ".mkv"
        more = ["-c:a", "flac", "-c:s", "ass", "-attach", str(font)] if mkv else []
        more += ["-metadata:s:t", "mimetype=font/ttf"] if mkv else ["-c:a", "aac", "-b:a", "192k"]
        run_ffmpeg(
            [
                *(w for part in (picture, sound, words, chapters) for w in ("-i", str(part))),
                *("-map", "0:v", "-map", "1:a", "-map", "2", "-map_metadata", "3"),
                *("-c:v", "copy", "-c:s", "ass" if mkv else "mov_text", *more),
                *("-metadata:s:a", "language=jpn", "-metadata:s:s", "language=eng", str(path)),
            ]
        )


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The session's films."""
    return Lab(tmp_path_factory.mktemp("lab"))


def _write_picture(film: Numbered, path: Path) -> None:
    """The pictures alone, H.264 with B-frames, each at its exact time where the container can."""
    tick = Fraction(1, 1000) if path.suffix == ".mkv" else Fraction(1, 360_000)
    if film.rate:
        tick = 1 / film.rate
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=film.rate or 24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "6", "preset": "veryfast", "bf": "3"}
        context = stream.codec_context
        context.time_base = tick
        context.color_primaries = context.color_trc = context.colorspace = 1
        context.color_range = 1
        for number, time in enumerate(film.times):
            drawing = number - number % film.on if number not in film.cuts else number
            frame = av.VideoFrame.from_ndarray(_draw(film, drawing), format="yuv420p")
            frame.pts, frame.time_base = int(time / tick), tick
            assert frame.pts * tick == time, "the film's clock cannot say this time"
            for packet in stream.encode(frame):
                out.mux(_lasting(packet, film, tick))
        for packet in stream.encode(None):
            out.mux(_lasting(packet, film, tick))


def _lasting(packet: av.Packet, film: Numbered, tick: Fraction) -> av.Packet:
    """The packet with the time its frame stays, which the encoder only guesses."""
    packet.duration = int(film.stay(film.times.index(packet.pts * tick)) / tick)
    return packet


def _draw(film: Numbered, number: int) -> NDArray[np.uint8]:
    """A frame as planar 4:2:0 (96, 96): cells on top, paint with a moving bar below."""
    luma = (
        np.random.default_rng(film.shot_of(number))
        .integers(70, 180, (8, 12))
        .repeat(8, 0)
        .repeat(8, 1)
    )
    luma[24:, (3 * number) % 80 : (3 * number) % 80 + 12] = 200
    for bit in range(BITS):
        luma[:16, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 16
    luma[:16, BITS * CELL :] = 16
    planar = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    planar[:HEIGHT] = luma
    cb, cr = film.paint_of(number)
    planar[HEIGHT : HEIGHT * 5 // 4] = cb
    planar[HEIGHT * 5 // 4 :] = cr
    return planar


def _see(frame: av.VideoFrame) -> Seen:
    luma, cb, cr = (_plane(frame, place) for place in range(3))
    depth = frame.format.components[0].bits
    scale = luma.shape[1] // WIDTH
    cells = luma[4 * scale : 12 * scale, : BITS * CELL * scale].astype(float)
    means = cells.reshape(8 * scale, BITS, -1)[:, :, 3 * scale : -3 * scale].mean((0, 2))
    return Seen(
        time=frame.pts * frame.time_base,
        number=sum(1 << bit for bit in range(BITS) if means[bit] > 125 << (depth - 8)),
        paint=(float(cb.mean()) / (1 << (depth - 8)), float(cr.mean()) / (1 << (depth - 8))),
        digest=hashlib.sha256(b"".join(p.tobytes() for p in (luma, cb, cr))).hexdigest(),
    )


def _plane(frame: av.VideoFrame, place: int) -> NDArray[Any]:
    plane = frame.planes[place]
    kind = np.dtype("u1" if frame.format.components[0].bits == 8 else "<u2")
    rows = np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)
    return rows[:, : plane.width].copy()


def _write_beeps(film: Numbered, path: Path) -> None:
    track = np.zeros(round(film.end * HERTZ))
    tone = 0.8 * np.cos(2 * np.pi * 1000 * np.arange(HERTZ // 40) / HERTZ)
    for frame in film.beeps:
        at = round(film.times[frame] * HERTZ)
        track[at : at + len(tone)] = tone[: len(track) - at]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(HERTZ)
        file.writeframes(np.repeat((track * 32767).astype(np.int16)[:, None], 2, 1).tobytes())
