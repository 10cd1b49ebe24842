"""Whole films that are strange, and files that are none."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tasks.encode.ffmpeg import run_ffmpeg
from tests.corpus.case import GOOD, USAGE, Case, Write, good, refused, text
from tests.corpus.films import FRAMES, PICTURE, X264, make_good

HOSTILE = (
    "-i.mkv",
    "--help.mkv",
    "-.mkv",
    "|cat.mkv",
    "a|b;c&d$(id)`id`.mkv",
    "new\nline.mkv",
    "tab\tand\rreturn.mkv",
    "動画 é.mkv",
    "\u202egnp.mkv",
    "a:b.mkv",
    "concat:a.mkv",
    "http:.mkv",
    "%04d.mkv",
    "[x]{y}*?.mkv",
    "'single\" double.mkv",
    "~.mkv",
    "#.mkv",
    " .mkv",
    "x" * 180 + ".mkv",
    "\x1b[31mred.mkv",
    "film.yaml.mkv",
    "e\u0301\u200b.mkv",
    "\\back.mkv",
    "..mkv",
)
"""Names that mean something to a shell, to ffmpeg, to a terminal, or to a person."""


def make(name: str, options: str, *, source: str = PICTURE) -> Write:
    """Lays down a film of ffmpeg's making."""
    return lambda folder, goods: run_ffmpeg([*source.split(), *options.split(), str(folder / name)])


def copy(film: str, name: str) -> Write:
    """Lays down a good film under another name."""
    return lambda folder, goods: (folder / name).write_bytes(make_good(goods, film).read_bytes())


def strange() -> Iterator[Case]:
    """Every case, in no order."""
    yield from _none()
    yield from _shapes()
    yield from _times()
    for name in HOSTILE:
        yield good(
            f"called {name!r}", "--", name, write=copy("h264.mkv", name), frames=FRAMES, rate="24"
        )


def _none() -> Iterator[Case]:
    yield refused("zero bytes", "a.mp4", write=text("a.mp4", ""), said="a.mp4 … 0 bytes … export")
    letter = "Dear diary,\n" * 400
    for suffix in ("mp4", "mkv", "webm", "gif", "txt", "mov", "ts"):
        name = f"a.{suffix}"
        yield refused(
            f"text called {suffix}", name, write=text(name, letter), said=f"{name} … video"
        )
    yield refused("zeros called mp4", "a.mp4", write=text("a.mp4", bytes(9000)), said="a.mp4")
    html = "<!DOCTYPE html><html><body>404 Not Found</body></html>"
    yield refused("a web page called mkv", "a.mkv", write=text("a.mkv", html), said="a.mkv")
    sound = make("a.mp4", "-c:a aac", source="-f lavfi -i sine=duration=0.5")
    yield refused("only sound", "a.mp4", write=sound, said="a.mp4 … no video, only audio")
    yield refused(
        "a playlist",
        "a.m3u8",
        write=text("a.m3u8", "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
        said="a.m3u8",
    )
    concat = "ffconcat version 1.0\nfile /etc/passwd\n"
    yield refused("a list called mkv", "a.mkv", write=text("a.mkv", concat), said="a.mkv … video")
    folder: Write = lambda here, goods: (here / "a.mkv").mkdir()  # noqa: E731
    yield refused(
        "a folder called mkv", "a.mkv", "--fps", "24", write=folder, said="a.mkv … frames"
    )
    loop: Write = lambda here, goods: (here / "a.mkv").symlink_to("a.mkv")  # noqa: E731
    yield refused("a link to itself", "a.mkv", write=loop, said="a.mkv … no such file")
    outside = "../../../../../../etc/passwd"
    yield refused("a path out", outside, write=text("x", ""), said="passwd … video")
    yield refused(
        "a path with a zero", "a\0b.mkv", write=text("x", ""), code=USAGE, said="a … b.mkv"
    )
    long = "x" * 200 + ".mkv"
    yield refused("a long name", long, write=copy("h264.mkv", long), code=USAGE, said="180 bytes")

    def png(here: Path, goods: Path) -> None:
        (here / "f").mkdir()
        (here / "f" / "1.png").write_bytes(make_good(goods, "one.png").read_bytes())

    for rate in ("0", "-24", "1e9", "24/0", "nan", "inf", "1/1000000000", "٢٤", "24 fps"):
        code = GOOD if rate in ("1/1000000000", "٢٤") else USAGE
        if code == GOOD:
            yield Case(
                name=f"a rate of {rate}",
                words=("f", f"--fps={rate}"),
                write=png,
                codes=frozenset((GOOD, USAGE)),
            )
        else:
            yield refused(
                f"a rate of {rate}", "f", f"--fps={rate}", write=png, code=code, said="--fps"
            )


def _shapes() -> Iterator[Case]:
    def lavfi(size: str, seconds: float = 0.25) -> str:
        made = f"nullsrc=size={size}:rate=24:duration={seconds}"
        return f"-f lavfi -i {made},format=rgb24,geq=r='N*40':g='X*3':b='Y*5'"

    for size, options, name in (
        ("1x1", "-c:v png -pix_fmt rgb24", "a.mkv"),
        ("1x1", "-c:v libx264 -pix_fmt yuv444p", "a.mkv"),
        ("2x2", X264, "a.mp4"),
        ("3x5", "-c:v ffv1 -level 1 -pix_fmt yuv420p", "a.mkv"),
        ("63x47", "-c:v libx264 -pix_fmt yuv444p", "a.mp4"),
        ("65x49", "-c:v libvpx-vp9 -pix_fmt yuv420p", "a.webm"),
        ("1x240", "-c:v png -pix_fmt rgb24", "a.mov"),
        ("4096x2", "-c:v ffv1 -pix_fmt yuv420p", "a.mkv"),
    ):
        width, _, height = size.partition("x")
        yield good(
            f"{size} {options.split()[1]} {name}",
            name,
            write=make(name, options, source=lavfi(size)),
            frames=6,
            size=(int(width), int(height)),
        )
    wide = make("a.mkv", "-c:v ffv1 -pix_fmt yuv420p -frames:v 1", source=lavfi("16384x64"))
    yield good("16384 wide", "a.mkv", write=wide, frames=1, size=(16384, 64))
    for form, options in (
        ("yuv420p10le", "-c:v libx264 -crf 10"),
        ("yuv422p10le", "-c:v ffv1"),
        ("gray", "-c:v ffv1"),
        ("yuv444p12le", "-c:v ffv1"),
        ("gbrp10le", "-c:v ffv1"),
        ("yuva420p", "-c:v ffv1"),
        ("yuva444p10le", "-c:v prores_ks"),
        ("rgba", "-c:v png"),
        ("pal8", "-c:v png"),
        ("gray16le", "-c:v ffv1"),
        ("yuv411p", "-c:v ffv1"),
        ("yuv410p", "-c:v ffv1"),
        ("rgb48be", "-c:v png"),
        ("ya8", "-c:v png"),
        ("monob", "-c:v png"),
        ("yuvj420p", "-c:v mjpeg"),
    ):
        yield good(
            f"pixels {form}",
            "a.mov" if "prores" in options else "a.mkv",
            write=make("a.mov" if "prores" in options else "a.mkv", f"{options} -pix_fmt {form}"),
            frames=FRAMES,
            size=(64, 48),
            noted=("alpha dropped",) if "a4" in form or form == "rgba" else (),
        )
    yield good(
        "interlaced",
        "a.mkv",
        write=make("a.mkv", f"{X264} -flags +ildct -x264-params tff=1"),
        frames=FRAMES,
    )
    for turn in (90, 180, 270):
        yield good(
            f"turned by {turn}",
            "a.mp4",
            write=_turned(turn),
            frames=FRAMES,
            size=(64, 48) if turn == 180 else (48, 64),
            noted=("turned by",),
        )

    def resized(folder: Path, goods: Path) -> None:
        parts = []
        for size in ("64x48", "96x64"):
            part = folder / f"{size}.h264"
            run_ffmpeg([*lavfi(size).split(), *X264.split(), str(part)])
            parts.append(part.read_bytes())
            part.unlink()
        (folder / "a.h264").write_bytes(b"".join(parts))

    yield refused(
        "another size half-way",
        "a.h264",
        write=resized,
        said="a.h264 frame … expected 64x48 … got 96x64 … split",
    )


def _turned(degrees: int) -> Write:
    def write(folder: Path, goods: Path) -> None:
        source = make_good(goods, "fast.mp4")
        run_ffmpeg(
            [
                "-display_rotation",
                str(degrees),
                "-i",
                str(source),
                "-c",
                "copy",
                str(folder / "a.mp4"),
            ]
        )

    return write


def _times() -> Iterator[Case]:
    vfr = f"-vf select='not(eq(mod(n\\,5)\\,3))' -fps_mode vfr {X264}"
    for name in ("a.mkv", "a.mp4"):
        yield good(f"variable rate {name}", name, write=make(name, vfr), frames=29, rate="None")
    hole = f"-vf select='not(between(n\\,10\\,15))' -fps_mode vfr {X264}"
    yield good(
        "a hole",
        "a.mkv",
        write=make("a.mkv", hole),
        frames=30,
        noted=("6 frames missing", "frame 9"),
    )
    for rate in ("1", "1001/1000", "240", "1000", "1/7"):
        source = f"-f lavfi -i testsrc2=size=64x48:rate={rate} -frames:v 8"
        yield good(
            f"{rate} a second",
            "a.mp4",
            write=make("a.mp4", X264, source=source),
            frames=8,
            rate=rate,
        )
    for scale in (0, 1, 0xFFFFFFFF):
        yield Case(
            name=f"a time scale of {scale}",
            words=("a.mp4",),
            write=_poked(b"mdhd", 16, scale),
            codes=frozenset((0, 1)),
            said=("a.mp4",),
        )
    for delta in (0, 0xFFFFFFFF, 0x7FFFFFFF):
        yield Case(
            name=f"steps of {delta} ticks",
            words=("a.mp4",),
            write=_poked(b"stts", 16, delta),
            codes=frozenset((0, 1)),
            said=("a.mp4",),
        )
    for count in (0xFFFFFFFF, 0x10000000):
        yield Case(
            name=f"a table of {count} samples",
            words=("a.mp4",),
            write=_poked(b"stsz", 12, count),
            codes=frozenset((0, 1)),
            said=("a.mp4",),
        )
    late = "-itsoffset 100000 " + PICTURE
    yield good("begins after a day", "a.mkv", write=make("a.mkv", X264, source=late), frames=FRAMES)
    yield good(
        "below zero",
        "a.mkv",
        write=make(
            "a.mkv", f"{X264} -avoid_negative_ts disabled", source="-itsoffset -1 " + PICTURE
        ),
    )
    stuck = "-c:v mpeg4 -bsf:v setts=pts=floor(N/2)*2:dts=N"
    yield Case(
        name="times in pairs",
        words=("a.mkv",),
        write=make("a.mkv", stuck),
        said=("a.mkv",),
        codes=frozenset((0, 1)),
        frames=FRAMES,
    )


def _poked(box: bytes, offset: int, value: int) -> Write:
    """The good mp4 with four bytes after a box's name set."""

    def write(folder: Path, goods: Path) -> None:
        data = bytearray(make_good(goods, "fast.mp4").read_bytes())
        struct.pack_into(">I", data, data.index(box) + offset, value)
        (folder / "a.mp4").write_bytes(data)

    return write
