"""Small films made with ffmpeg: segments, and sources with beeps at known frames."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 48_000
FILM_RATE = Fraction(24_000, 1001)
BEEP_EVERY = 24
"""Frames between beeps: 1.001 s."""
FRAMES = 120

ENCODERS: dict[str, list[str]] = {
    "h264": ["libx264", "-preset", "ultrafast", "-bf", "3", "-g", "300", "-x264-params",
             "open-gop=0:stitchable=1:threads=1"],
    "hevc": ["libx265", "-preset", "ultrafast", "-x265-params",
             "open-gop=0:bframes=3:log-level=none:pools=none:frame-threads=1"],
    "av1": ["libsvtav1", "-preset", "12", "-svtav1-params", "lp=1"],
    "ffv1": ["ffv1", "-g", "1"],
    "prores": ["prores_ks", "-pix_fmt", "yuv422p10le"],
}  # fmt: skip


def ffmpeg(*words: str | Path) -> bytes:
    """Run ffmpeg; its standard output."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, words)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


ASS = """[Script Info]
ScriptType: v4.00+
PlayResX: 640
PlayResY: 360

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment
Style: Default,Douga Sans,20,&H00FFFFFF,0,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:02.00,Default,,0,0,0,,First {\\i1}line{\\i0}
Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,Second, with a comma
Dialogue: 0,0:00:01.20,0:00:01.40,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}
Dialogue: 0,0:00:03.50,0:00:04.25,Default,,0,0,0,,Third
"""
SRT = """1
00:00:00,500 --> 00:00:02,000
Bonjour

2
00:00:03,500 --> 00:00:04,250
Fin
"""
CHAPTERS = """;FFMETADATA1
title=Episode 1
artist=Studio
[CHAPTER]
TIMEBASE=1/1000
START=0
END=2002
title=Opening
[CHAPTER]
TIMEBASE=1/1000
START=2002
END=5005
title=Part A
"""
FONT = bytes(range(256)) * 9


class Clips:
    """Makes what tests join and verify, once each, and measures what comes out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def segments(
        self,
        counts: Sequence[int],
        *,
        codec: str = "h264",
        extra: Sequence[str] = (),
        seed: int = 0,
    ) -> list[Path]:
        """One closed-GOP file per count, all with different pictures."""
        paths = []
        for place, count in enumerate(counts):
            name = "-".join([codec, str(seed), str(place), str(count), *extra])
            path = self.folder / f"{name.replace('/', '_').replace(':', '_')}.mkv"
            if not path.exists():
                source = f"testsrc2=s=64x64:r=25,hue=h={40 * place + 90 * seed}"
                ffmpeg(
                    "-f", "lavfi", "-i", source, "-frames:v", str(count), "-c:v",
                    *ENCODERS[codec], *extra, "-bitexact", path,
                )  # fmt: skip
            paths.append(path)
        return paths

    def beep_wav(self) -> Path:
        """The beeps as PCM."""
        path = self.folder / "beeps.wav"
        if not path.exists():
            with wave.open(str(path), "wb") as file:
                file.setnchannels(2)
                file.setsampwidth(2)
                file.setframerate(RATE)
                file.writeframes(self.beep_track().tobytes())
        return path

    def beep_track(self) -> NDArray[np.int16]:
        """(n, 2) samples: silence, and from every BEEP_EVERY-th frame on 50 ms of 1 kHz."""
        track = np.zeros(round(FRAMES / FILM_RATE * RATE))
        tone = 0.8 * np.cos(2 * np.pi * 1000 * np.arange(RATE // 20) / RATE)
        for time in self.beep_times():
            at = round(time * RATE)
            track[at : at + len(tone)] = tone
        return np.repeat((track * 32767).astype(np.int16)[:, None], 2, axis=1)

    def beep_times(self) -> list[Fraction]:
        """When the beeps of a source are heard: with the 24th, 48th, … frame."""
        return [frame / FILM_RATE for frame in range(BEEP_EVERY, FRAMES, BEEP_EVERY)]

    def source(self, codec: str, container: str) -> Path:
        """FRAMES frames of nothing, with the beeps."""
        path = self.folder / f"beeps-{codec}.{container}"
        if not path.exists():
            ffmpeg(
                "-f", "lavfi", "-i", f"color=black:s=32x32:r={FILM_RATE}", "-i", self.beep_wav(),
                "-frames:v", str(FRAMES), "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2",
                "-c:a", codec, "-b:a", "192k", "-strict", "-2", path,
            )  # fmt: skip
        return path

    def full_source(self) -> Path:
        """A Matroska with everything: two sounds, two subtitles, font, cover, chapters, words."""
        path = self.folder / "full.mkv"
        if path.exists():
            return path
        texts = {"s.ass": ASS, "s.srt": SRT, "chapters.txt": CHAPTERS}
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        font, cover = self.folder / "douga.ttf", self.folder / "cover.png"
        font.write_bytes(FONT)
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x32", "-frames:v", "1", cover)
        ffmpeg(
            "-i", self.source("aac", "mkv"), "-i", self.source("flac", "mkv"),
            *(word for name in texts for word in ("-i", self.folder / name)),
            "-map", "0:v", "-map", "0:a", "-map", "1:a", "-map", "2", "-map", "3",
            "-map_metadata", "4", "-map_chapters", "4", "-c", "copy",
            "-attach", font, "-metadata:s:t:0", "mimetype=application/x-truetype-font",
            "-metadata:s:t:0", "filename=douga.ttf",
            "-attach", cover, "-metadata:s:t:1", "mimetype=image/png",
            "-metadata:s:t:1", "filename=cover.png",
            "-metadata:s:v", "title=Main",
            "-metadata:s:a:0", "language=jpn", "-metadata:s:a:1", "language=eng",
            "-metadata:s:a:1", "title=Commentary",
            "-metadata:s:s:0", "language=eng", "-metadata:s:s:0", "title=Signs",
            "-metadata:s:s:1", "language=fre",
            "-disposition:v", "default", "-disposition:a:0", "default",
            "-disposition:a:1", "comment", "-disposition:s:0", "default",
            "-disposition:s:1", "forced", path,
        )  # fmt: skip
        return path

    def remux(self, name: str, *words: str | Path) -> Path:
        """A clip made by ffmpeg with the words given."""
        path = self.folder / name
        if not path.exists():
            ffmpeg(*words, path)
        return path

    @staticmethod
    def times(count: int, rate: Fraction = FILM_RATE) -> tuple[list[Fraction], Fraction]:
        """Starts of `count` frames at a constant rate, and the end."""
        return [Fraction(frame) / rate for frame in range(count)], Fraction(count) / rate

    @staticmethod
    def video_times(path: Path) -> list[Fraction]:
        """Times of the pictures' packets, sorted."""
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            packets = (packet for packet in file.demux(stream) if packet.size)
            return sorted(packet.pts * packet.time_base for packet in packets)

    @staticmethod
    def decoded(paths: Sequence[Path]) -> list[bytes]:
        """The planes of every decoded frame of several files in a row."""
        frames = []
        for path in paths:
            with av.open(str(path)) as file:
                frames += [frame.to_ndarray().tobytes() for frame in file.decode(video=0)]
        return frames

    @staticmethod
    def beeps_by_ffmpeg(path: Path, stream: int = 0) -> list[float]:
        """Beeps on the film's clock, by the ffmpeg binary, which heeds edit lists and delays."""
        data = ffmpeg(
            "-copyts", "-i", path, "-map", f"0:a:{stream}",
            "-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", str(RATE),
            "-f", "f32le", "-",
        )  # fmt: skip
        return _onsets(np.frombuffer(data, np.float32))

    @staticmethod
    def beeps_by_pyav(path: Path, stream: int = 0) -> list[float]:
        """Beeps on the film's clock, every decoded frame put where its own timestamp says."""
        line = np.zeros(RATE * 12, np.float32)
        with av.open(str(path)) as file:
            to_float = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
            for frame in file.decode(file.streams.audio[stream]):
                at = round(frame.pts * frame.time_base * RATE)
                frame.pts = None
                for piece in to_float.resample(frame):
                    samples = piece.to_ndarray()[0][max(0, -at) :]
                    line[max(0, at) : max(0, at) + len(samples)] = samples
                    at += piece.samples
        return _onsets(line)


def _onsets(samples: NDArray[np.floating]) -> list[float]:
    """When beeps begin in mono samples: the first loud one after 0.2 s of silence."""
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    return [
        at / RATE for place, at in enumerate(loud) if place == 0 or at - loud[place - 1] > RATE // 5
    ]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """The session's clips."""
    return Clips(tmp_path_factory.mktemp("clips"))
