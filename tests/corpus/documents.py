"""Episodes, cut lists and timelines that are wrong, hostile, or right in a way nobody expects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.corpus.case import USAGE, Case, Write, good, refused, text
from tests.corpus.films import FRAMES, make_good

HEAD = "source: film.mkv\n"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
WRONG: dict[str, tuple[str, str]] = {
    # name: the document, words of the line
    "a bomb of aliases": (BOMB, "ep.yaml … too many"),
    "a bomb of merges": (
        "a: &a {x: 1}\n"
        + "".join(f"b{n}: &b{n} {{<<: [{', '.join(['*a'] * 99)}]}}\n" for n in range(1200)),
        "ep.yaml",
    ),
    "an alias of itself": ("source: &a [*a]\n", "ep.yaml"),
    "a mapping in itself": ("&a {source: *a}\n", "ep.yaml"),
    "deep brackets": ("source: " + "[" * 5000, "ep.yaml … deep"),
    "deep mappings": ("source: " + "{a: " * 3000 + "1" + "}" * 3000, "ep.yaml … deep"),
    "deep indents": ("".join(" " * n + "a:\n" for n in range(900)), "ep.yaml"),
    "a tag of Python": ("source: !!python/object/apply:os.system [id]\n", "ep.yaml:1"),
    "another tag": ("source: !include /etc/passwd\n", "ep.yaml:1"),
    "a number as film": ("source: 12\n", "ep.yaml:1"),
    "a date as film": ("source: 2026-01-01\n", "ep.yaml:1"),
    "a list as film": ("source: [film.mkv]\n", "ep.yaml:1"),
    "no film": ("source:\n", "ep.yaml:1"),
    "an empty film": ("source: ''\n", "ep.yaml"),
    "no sources": ("sources: []\n", "ep.yaml:1 … sources"),
    "source and sources": (HEAD + "sources: [film.mkv]\n", "not both"),
    "a name that climbs": (HEAD + "name: ../../x\n", "ep.yaml:2 … plain name"),
    "a name of dots": (HEAD + "name: '..'\n", "ep.yaml:2 … plain name"),
    "a name of a line break": (HEAD + 'name: "a\\nb"\n', "ep.yaml:2 … plain name"),
    "an endless name": (HEAD + f"name: {'x' * 5000}\n", "ep.yaml:2"),
    "a key that is a list": (HEAD + "? [a, b]\n: 1\n", "ep.yaml"),
    "a key that is a number": (HEAD + "12: 1\n", "ep.yaml"),
    "a key that is nothing": (HEAD + "~: 1\n", "ep.yaml"),
    "two documents": (HEAD + "---\n" + HEAD, "ep.yaml:2"),
    "tabs": (HEAD + "\tcut: auto\n", "ep.yaml:2"),
    "control characters": (HEAD + "name: a\x01b\n", "ep.yaml"),
    "a recipe in words": (HEAD + "recipe: upscale\n", "ep.yaml:2"),
    "a recipe of numbers": (HEAD + "recipe: [1, 2]\n", "ep.yaml:2"),
    "a recipe of lists": (HEAD + "recipe: [[upscale]]\n", "ep.yaml:2"),
    "a step of two stages": (HEAD + "recipe: [{upscale: {}, hold: {}}]\n", "ep.yaml:2"),
    "parameters in a list": (HEAD + "recipe: [{upscale: [2]}]\n", "ep.yaml:2"),
    "a scale of nan": (HEAD + "recipe: [{upscale: {scale: .nan}}]\n", "ep.yaml:2 … scale"),
    "a scale of infinity": (HEAD + "recipe: [{upscale: {scale: .inf}}]\n", "ep.yaml:2 … scale"),
    "a scale below zero": (HEAD + "recipe: [{upscale: {scale: -2}}]\n", "ep.yaml:2 … scale"),
    "a scale of a million": (HEAD + "recipe: [{upscale: {scale: 1000000}}]\n", "ep.yaml:2 … scale"),
    "a factor of a googol": (
        HEAD + f"recipe: [{{interpolate: {{factor: 1{'0' * 100}}}}}]\n",
        "ep.yaml:2",
    ),
    "a cut below zero": (HEAD + "cut: [-5]\n", "cut … -5"),
    "a cut past the end": (HEAD + "cut: [999999999999]\n", "cut … 0 to 35"),
    "cuts backwards": (HEAD + "cut: [20, 10]\n", "cut … ascend"),
    "a cut twice": (HEAD + "cut: [10, 10]\n", "cut … ascend"),
    "a cut of nan": (HEAD + "cut: [.nan]\n", "ep.yaml:2 … cut"),
    "a cut that is true": (HEAD + "cut: [true]\n", "ep.yaml:2 … cut"),
    "a cut of another film": (HEAD + "cut: other.mkv\n", "ep.yaml:2 … cut"),
    "a quality below zero": (HEAD + "delivery: {quality: -1}\n", "ep.yaml:2 … quality"),
    "a delivery of nothing": (HEAD + "delivery: 3\n", "ep.yaml:2 … delivery"),
    "pixels nobody knows": (HEAD + "delivery: {pix_fmt: yuv999p}\n", "yuv999p"),
    "an encoder with options": (HEAD + "delivery: {encoder: 'libx264 -f null'}\n", "ep.yaml:2"),
    "a preset with options": (HEAD + "delivery: {preset: '-i /etc/passwd'}\n", "preset"),
    "an output that is a folder": (HEAD + "delivery: {output: /}\n", "container"),
    "a shot nobody has": (HEAD + "shots: {sh999: {}}\n", "sh999 … sh010"),
    "a rate of a film": ("source: {path: film.mkv, fps: 24}\n", "film.mkv … fps"),
    "cast with a number": (HEAD + "cast: {mika: 3}\n", "ep.yaml:2"),
    "more than a mebibyte": (HEAD + "# " + "x" * (1 << 20) + "\n", "ep.yaml … 1024 KiB"),
}
EDL = "TITLE: A\nFCM: NON-DROP FRAME\n\n"


def documents() -> Iterator[Case]:
    """Every case."""
    for name, (content, said) in WRONG.items():
        yield refused(name, "ep.yaml", write=_beside("ep.yaml", content), code=USAGE, said=said)
    utf16 = text("ep.yaml", HEAD.encode("utf-16"))
    yield refused("UTF-16", "ep.yaml", write=utf16, code=USAGE, said="ep.yaml … UTF-8")
    binary = text("ep.yaml", bytes(range(256)) * 20)
    yield refused("bytes called yaml", "ep.yaml", write=binary, code=USAGE, said="ep.yaml … UTF-8")
    missing = _beside("ep.yaml", "source: ../../nowhere.mkv\n")
    yield refused(
        "a film that is not there", "ep.yaml", write=missing, said="nowhere.mkv … no such file"
    )
    cast = _beside("ep.yaml", HEAD + "cast: {mika: {references: [none.png]}}\n")
    yield refused(
        "cast that is not there", "ep.yaml", write=cast, said="mika … none.png … no such picture"
    )
    yield good(
        "the same film twice",
        "ep.yaml",
        frames=2 * FRAMES,
        write=_beside("ep.yaml", "sources: [film.mkv, film.mkv]\n"),
    )
    bom = _beside("ep.yaml", "\ufeff" + HEAD)
    yield good("a byte-order mark", "ep.yaml", write=bom, frames=FRAMES)
    yield from _otio()
    yield from _edl()


def _otio() -> Iterator[Case]:
    gap = {
        "OTIO_SCHEMA": "Gap.1",
        "name": "",
        "source_range": _range(0, 5),
        "effects": [],
        "markers": [],
        "metadata": {},
    }
    ran: dict[str, tuple[list[Any], str]] = {
        "nothing but a gap": ([gap], "holds no clip"),
        "a gap for longer than any film": (
            [_clip(0, 5), {**gap, "source_range": _range(0, 10**12)}],
            "gap … at 0.208 s",
        ),
        "a gap of less than nothing": (
            [_clip(0, 5), {**gap, "source_range": _range(0, -5)}],
            "gap … of -5 frames",
        ),
        "a range below zero": ([_clip(-5, 5)], "clip c … [-5, 0)"),
        "a length below zero": ([_clip(5, -5)], "clip c"),
        "a length of zero": ([_clip(5, 0)], "clip c"),
        "past the end": ([_clip(30, 10)], "[30, 40) … [0, 36)"),
        "far past the end": ([_clip(10**15, 10)], "clip c"),
        "a rate of zero": ([_clip(0, 5, rate=0.0)], "cut.otio"),
        "a rate below zero": ([_clip(0, 5, rate=-24.0)], "cut.otio"),
        "another rate": ([_clip(0, 5, rate=30.0)], "30 frames … 24"),
        "a rate of a googol": ([_clip(0, 5, rate=1e100)], "cut.otio"),
        "no range": ([{**_clip(0, 5), "source_range": None}], "range"),
        "nothing": ([], "holds no clip"),
        "half frames": ([_clip(0.5, 4.25)], "cut.otio … whole"),
    }
    for name, (items, said) in ran.items():
        yield refused(
            f"OTIO: {name}",
            "ep.yaml",
            write=_cut("cut.otio", _timeline(items)),
            code=USAGE,
            said=said,
        )
    for name, content, said in (
        ("no JSON", "{{{", "cut.otio"),
        ("empty", "", "cut.otio"),
        ("a list", "[]", "cut.otio"),
        ("null", "null", "cut.otio"),
        ("a number", "7", "cut.otio"),
        ("an unknown schema", '{"OTIO_SCHEMA": "Bomb.1"}', "cut.otio"),
        ("a future schema", _timeline([]).replace("Timeline.1", "Timeline.99"), "cut.otio"),
        ("not a number", _timeline([_clip(float("nan"), 5)]), "cut.otio"),
        ("infinite", _timeline([_clip(float("inf"), 5)]), "cut.otio"),
        ("cut off", _timeline([_clip(0, 5)])[:200], "cut.otio"),
        ("deep", "[" * 100_000, "cut.otio"),
        (
            "words for times",
            _timeline([_clip(0, 5)]).replace('"value": 0', '"value": "zero"'),
            "cut.otio",
        ),
        ("a clip for a timeline", json.dumps(_clip(0, 5)), "cut.otio … not a timeline"),
    ):
        yield refused(
            f"OTIO: {name}", "ep.yaml", write=_cut("cut.otio", content), code=USAGE, said=said
        )
    overlap = _timeline([_clip(0, 20), _clip(10, 20)])
    yield good("OTIO: overlapping ranges", "ep.yaml", write=_cut("cut.otio", overlap), frames=40)
    dark = _timeline([gap, _clip(0, 5), gap, _clip(5, 5)])
    yield good("OTIO: gaps", "ep.yaml", write=_cut("cut.otio", dark), frames=20)
    gone = _timeline([{**_clip(0, 5), "media_reference": {"OTIO_SCHEMA": "MissingReference.1"}}])
    yield good("OTIO: missing media", "ep.yaml", write=_cut("cut.otio", gone), frames=5)
    other = _timeline([_clip(0, 5)], url="file:///elsewhere/none.mkv")
    two = _cut("cut.otio", other, sources="[film.mkv, other.mkv]")
    yield refused(
        "OTIO: media of no source", "ep.yaml", write=two, code=USAGE, said="clip c … sources are"
    )
    absent = _beside("ep.yaml", HEAD + "cut: none.otio\n")
    yield refused(
        "OTIO: none there", "ep.yaml", write=absent, code=USAGE, said="none.otio … no such timeline"
    )


def _edl() -> Iterator[Case]:
    for name, content, said in (
        ("empty", "", "cut.edl"),
        ("words", "Dear diary,\n" * 20, "cut.edl"),
        ("no times", EDL + "001  A  V  C\n", "cut.edl"),
        (
            "nonsense times",
            EDL + "001  A  V  C  99:99:99:99 00:00:00:00 aa:bb:cc:dd 00:00:00:05\n",
            "cut.edl",
        ),
        (
            "backwards",
            EDL + "001  A  V  C  00:00:01:00 00:00:00:10 00:00:00:00 00:00:00:14\n",
            "cut.edl",
        ),
        (
            "past the end",
            EDL + "001  A  V  C  00:00:01:00 00:00:03:00 00:00:00:00 00:00:02:00\n",
            "cut.edl … [0, 36)",
        ),
        (
            "a dissolve",
            EDL + "001  A  V  C  00:00:00:00 00:00:00:10 00:00:00:00 00:00:00:10\n"
            "002  A  V  D 005 00:00:00:10 00:00:01:00 00:00:00:10 00:00:01:00\n",
            "cut.edl",
        ),
        (
            "a speed change",
            EDL + "001  A  V  C  00:00:00:00 00:00:00:10 00:00:00:00 00:00:00:10\n"
            "M2   A  012.0  00:00:00:00\n",
            "cut.edl:5 … retimes reel A",
        ),
        ("M2 alone", EDL + "M2 \n", "cut.edl"),
        ("bytes", EDL + "\x00\x01\x02\n001 \x00 V C 1 2 3 4\n", "cut.edl"),
    ):
        yield refused(
            f"EDL: {name}", "ep.yaml", write=_cut("cut.edl", content), code=USAGE, said=said
        )
    hole = (
        EDL + "001  A  V  C  00:00:00:00 00:00:00:10 00:00:00:00 00:00:00:10\n"
        "002  A  V  C  00:00:00:10 00:00:01:00 00:00:10:00 00:00:10:14\n"
    )
    dark = 10 * 24 - 10
    yield good(
        "EDL: a hole in the record",
        "ep.yaml",
        write=_cut("cut.edl", hole),
        frames=10 + dark + 14,
    )


def _beside(name: str, content: str) -> Write:
    """A document, the good film `film.mkv` beside it, and another."""

    def write(folder: Path, goods: Path) -> None:
        for film in ("film.mkv", "other.mkv"):
            (folder / film).write_bytes(make_good(goods, "h264.mkv").read_bytes())
        (folder / name).write_text(content, encoding="utf-8")

    return write


def _cut(name: str, content: str, *, sources: str = "[film.mkv]") -> Write:
    """An episode that is cut by a timeline file."""

    def write(folder: Path, goods: Path) -> None:
        _beside("ep.yaml", f"sources: {sources}\ncut: {name}\n")(folder, goods)
        (folder / name).write_text(content, encoding="utf-8")

    return write


def _time(value: float, rate: float) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": value}


def _range(start: float, count: float, rate: float = 24.0) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": _time(start, rate),
        "duration": _time(count, rate),
    }


def _clip(start: float, count: float, *, rate: float = 24.0) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "Clip.1",
        "name": "c",
        "source_range": _range(start, count, rate),
        "media_reference": {
            "OTIO_SCHEMA": "ExternalReference.1",
            "target_url": "film.mkv",
            "available_range": None,
        },
    }


def _timeline(items: list[Any], *, url: str = "film.mkv") -> str:
    track = {"OTIO_SCHEMA": "Track.1", "name": "V", "kind": "Video", "children": items}
    stack = {"OTIO_SCHEMA": "Stack.1", "name": "tracks", "children": [track]}
    timeline = {"OTIO_SCHEMA": "Timeline.1", "name": "cut", "tracks": stack}
    return json.dumps(timeline).replace('"film.mkv"', json.dumps(url))
