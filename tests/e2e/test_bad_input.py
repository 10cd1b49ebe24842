"""Whatever is wrong, the command says so in one line, soon, and leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.encode.ffmpeg import run_ffmpeg
from tests.conftest import ROOT, Ended
from tests.servers.forking import forking_douga

PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=24:duration=2", "-pix_fmt", "yuv420p"]


@dataclass(frozen=True)
class Case:
    """A command that must end with `code`, its last line holding every one of `words`."""

    arguments: tuple[str, ...]
    code: int
    words: tuple[str, ...]
    files: Callable[[Path], object] = lambda folder: None
    environment: tuple[tuple[str, str], ...] = ()


def render(*arguments: str) -> tuple[str, ...]:
    """A render of a good film with something wrong beside it."""
    return ("render", "good.mp4", *arguments)


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def write_sound(folder: Path) -> None:
    run_ffmpeg(["-f", "lavfi", "-i", "sine=duration=1", str(folder / "sound.mp4")])


def flip_middle(folder: Path) -> None:
    """A film with bits flipped in the middle of its pictures, all of its index intact."""
    film = folder / "flipped.mp4"
    data = bytearray((folder / "good.mp4").read_bytes())
    begin = data.find(b"mdat")
    size = int.from_bytes(data[begin - 4 : begin], "big")
    for place in range(begin + size * 3 // 4, begin + size * 7 // 8, 61):
        data[place] ^= 0x55
    film.write_bytes(data)


def cut_short(folder: Path) -> None:
    (folder / "half.mkv").write_bytes((folder / "good.mkv").read_bytes()[:400])


def frames(folder: Path) -> None:
    (folder / "frames").mkdir()
    (folder / "frames" / "notes.txt").write_text("no frame")


def folder(name: str) -> Callable[[Path], object]:
    return lambda parent: (parent / name).mkdir()


USAGE, WORLD = 64, 1
S3 = (
    ("DOUGA_S3_ACCESS_KEY", "a"),
    ("DOUGA_S3_SECRET_KEY", "b"),
    ("DOUGA_S3_ENDPOINT", "http://127.0.0.1:9"),
    ("DOUGA_S3_ATTEMPTS", "2"),
)
CASES = {
    # what is not there, or is not what it claims to be
    "no such file": Case(("render", "none.mkv"), WORLD, ("none.mkv", "no such file", "check")),
    "text": Case(
        ("render", "a.txt"), WORLD, ("a.txt", "not a video"), text("a.txt", "Dear diary\n")
    ),
    "text called mp4": Case(
        ("render", "a.mp4"), WORLD, ("a.mp4", "not a video"), text("a.mp4", "Dear diary\n" * 500)
    ),
    "zero bytes": Case(("render", "a.mp4"), WORLD, ("a.mp4", "0 bytes"), text("a.mp4", "")),
    "only sound": Case(
        ("render", "sound.mp4"), WORLD, ("sound.mp4", "no video, only audio"), write_sound
    ),
    "bits flipped": Case(
        ("render", "flipped.mp4"), WORLD, ("flipped.mp4 frame", "damaged"), flip_middle
    ),
    "cut short": Case(("render", "half.mkv"), WORLD, ("half.mkv",), cut_short),
    "folder without frames": Case(
        ("render", "frames", "--fps", "24"), WORLD, ("frames", "notes.txt"), frames
    ),
    "no such episode": Case(
        ("render", "ep.yaml"), WORLD, ("ep.yaml", "no such file", "check the path")
    ),
    "no such recipe": Case(render("--recipe", "r.yaml"), WORLD, ("r.yaml", "no such file")),
    # what was typed
    "unknown command": Case(("rendre", "good.mp4"), USAGE, ("rendre", "--help")),
    "unknown option": Case(render("--stages", "upscale"), USAGE, ("--stages", "--stage")),
    "no source": Case(("render",), USAGE, ("source", "--help")),
    "unknown stage": Case(
        render("--stage", "upscal"), USAGE, ("unknown stage 'upscal'", "'upscale'")
    ),
    "unknown parameter": Case(
        render("--stage", "upscale:scal=2"), USAGE, ("stage upscale", "'scal'", "'scale'")
    ),
    "wrong value": Case(
        render("--stage", "upscale:scale=banana"), USAGE, ("stage upscale", "scale", "'banana'")
    ),
    "parameter without value": Case(
        render("--stage", "upscale:scale"), USAGE, ("--stage upscale:scale", "upscale:scale=2")
    ),
    "unreadable value": Case(render("--stage", "upscale:scale=["), USAGE, ("--stage", "'['")),
    "rate of a film": Case(render("--fps", "24"), USAGE, ("good.mp4", "leave --fps out")),
    "rate in words": Case(render("--fps", "banana"), USAGE, ("--fps", "24000/1001", "'banana'")),
    "unknown encoder": Case(render("--encoder", "x264"), USAGE, ("'x264'", "libx264")),
    "no frames in a chunk": Case(render("--chunk", "0"), USAGE, ("--chunk",)),
    "unknown shot": Case(render("--shots", "sh999"), USAGE, ("good", "'sh999'", "douga plan")),
    "frame of unknown shot": Case(render("--frames", "sh999:1"), USAGE, ("'sh999'",)),
    "frame past the end": Case(
        render("--frames", "sh010:1000"), USAGE, ("--frames", "sh010", "1000", "from 0")
    ),
    "frames backwards": Case(render("--frames", "sh010:9-3"), USAGE, ("--frames", "9-3")),
    "frames in words": Case(render("--frames", "all"), USAGE, ("--frames", "sh010:7,12-14")),
    "suffix": Case(render("-o", "film.avi"), USAGE, ("-o", "'.avi'", ".mkv")),
    "no suffix": Case(render("-o", "film"), USAGE, ("-o", "'film'", ".mkv")),
    "store of another kind": Case(render("--store", "ftp://a/b"), USAGE, ("ftp://", "--store")),
    "store without bucket": Case(render("--store", "s3://"), USAGE, ("s3://bucket/prefix",)),
    "not a Ray address": Case(render("--ray", "banana"), USAGE, ("--ray", "'banana'", "host:port")),
    # what was written
    "YAML": Case(
        ("render", "ep.yaml"),
        USAGE,
        ("ep.yaml:4", "not valid YAML", "begins in line 3"),
        text("ep.yaml", "source: good.mp4\nrecipe:\n  - upscale: {scale: 2\ncut: auto\n"),
    ),
    "unknown key": Case(
        ("render", "ep.yaml"),
        USAGE,
        ("ep.yaml:2", "'recipie'", "did you mean 'recipe'?"),
        text("ep.yaml", "source: good.mp4\nrecipie: []\n"),
    ),
    "unknown nested key": Case(
        ("render", "ep.yaml"),
        USAGE,
        ("ep.yaml:4", "'qualty'", "did you mean 'quality'?"),
        text("ep.yaml", "source: good.mp4\n\ndelivery:\n  qualty: 3\n"),
    ),
    "cut in words": Case(
        ("render", "ep.yaml"),
        USAGE,
        ("ep.yaml:2", "cut", "list of frames"),
        text("ep.yaml", "source: good.mp4\ncut: [3, banana]\n"),
    ),
    "cut past the end": Case(
        ("render", "ep.yaml"),
        USAGE,
        ("cut", "400", "0 to 47"),
        text("ep.yaml", "source: good.mp4\ncut: [400]\n"),
    ),
    # where the film goes
    "over its own source": Case(
        render("-o", "./good.mp4"), USAGE, ("good.mp4", "its own source", "-o")
    ),
    "over a folder": Case(render("-o", "a.mkv"), USAGE, ("a.mkv", "folder"), folder("a.mkv")),
    "output not writable": Case(
        render("-o", "/proc/films/film.mkv"), WORLD, ("/proc/films/film.mkv", "-o")
    ),
    "output below a file": Case(render("-o", "good.mkv/film.mkv"), WORLD, ("film.mkv", "-o")),
    # the world around it
    "store not writable": Case(
        render("--store", "/proc/store"), WORLD, ("/proc/store", "another folder with --store")
    ),
    "store is a file": Case(render("--store", "good.mkv"), WORLD, ("good.mkv", "--store")),
    "home not writable": Case(
        render(), WORLD, ("/proc/home", "DOUGA_HOME"), environment=(("DOUGA_HOME", "/proc/home"),)
    ),
    "no S3 keys": Case(render("--store", "s3://b/p"), WORLD, ("s3://b/p", "DOUGA_S3_ACCESS_KEY")),
    "no S3 service": Case(
        render("--store", "s3://b/p"), WORLD, ("s3://b/p", "DOUGA_S3_ENDPOINT"), environment=S3
    ),
    "no Ray there": Case(render("--ray", "127.0.0.1:9"), WORLD, ("127.0.0.1:9", "--ray")),
    "no Prefect there": Case(
        render(),
        WORLD,
        ("http://127.0.0.1:9/api", "PREFECT_API_URL"),
        environment=(("PREFECT_API_URL", "http://127.0.0.1:9/api"), ("DOUGA_PREFECT", "embedded")),
    ),
    "plan of nothing": Case(("plan", "none.mkv"), WORLD, ("none.mkv", "no such file")),
    "status of nothing": Case(("status", "none.mkv"), WORLD, ("none.mkv", "no such file")),
    "verify what is not rendered": Case(("verify", "good.mkv"), WORLD, ("good.douga.mkv", "-o")),
    "approve what is not rendered": Case(("approve", "good.mp4"), 3, ("sh010", "render it")),
    "retake nothing": Case(("retake", "good.mp4"), USAGE, ("douga retake",)),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good films, to be copied."""
    films = tmp_path_factory.mktemp("films")
    for name in ("good.mp4", "good.mkv"):
        run_ffmpeg([*PICTURE, "-c:v", "libx264", "-crf", "20", str(films / name)])
    return films


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Ended]]:
    """The command, in a process of its own.

    A Ray, a torch and a Prefect that cannot be imported lie before the real ones: no error here
    needs any of them.
    """
    traps = tmp_path_factory.mktemp("traps")
    for name in ("ray", "torch", "prefect"):
        (traps / f"{name}.py").write_text("raise SystemExit('imported for nothing')\n")
    home = tmp_path_factory.mktemp("home")
    own = {"PYTHONPATH": f"{traps}:{ROOT}", "DOUGA_HOME": str(home)}
    with forking_douga(own) as douga:
        yield douga


def names(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


@pytest.mark.parametrize("name", CASES)
def test_one_line_says_what_where_and_what_next(
    name: str, films: Path, forked: Callable[..., Ended], tmp_path: Path
) -> None:
    case = CASES[name]
    shutil.copytree(films, tmp_path, dirs_exist_ok=True)
    case.files(tmp_path)
    before = names(tmp_path)
    ended = forked(*case.arguments, cwd=tmp_path, **dict(case.environment))
    lines = ended.err.splitlines()
    assert ended.code == case.code, ended.err
    assert all(line.startswith("douga: ") for line in lines), ended.err
    assert "a bug" not in lines[-1]
    assert [word for word in case.words if word not in lines[-1]] == [], lines[-1]
    assert ended.out == ""
    assert names(tmp_path) == before, "nothing may be left behind"


HOSTILE = (
    "-i",
    "two words, 動画 é",
    "~a|b:c%d[x]{y}'q\";$HOME&*",
    "new\nline",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_file_names_mean_nothing_but_themselves(
    name: str, tiny_film: Path, tiny_render: Any, douga: Any, tmp_path: Path
) -> None:
    source, film = tmp_path / f"{name}.mkv", tmp_path / f"{name}.mp4"
    source.write_bytes(tiny_film.read_bytes())
    words = ("render", "--store", tiny_render.store, "--json", "-o", film.name, "--", source.name)
    ended = douga(*words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert all(line.startswith("douga: ") for line in ended.err.splitlines())
    assert names(tmp_path) == sorted([source.name, film.name])
    assert ended.document["film"] == str(film)
    assert ended.document["chunks_computed"] == 0
