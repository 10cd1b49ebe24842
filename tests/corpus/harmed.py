"""Films, animations and pictures cut short, flipped, overwritten: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.corpus.case import FAILED, GOOD, Case, Write
from tests.corpus.damage import cut_at, fill, flip_bits, take_out
from tests.corpus.films import GOOD as FILMS
from tests.corpus.films import make_good

CUTS = (0.01, 0.2, 0.5, 0.8, 0.95, 0.995)
WAYS = ("one bit", "eight bits", "forty bits", "its head", "noise", "zeros", "bytes gone")


def cuts() -> Iterator[Case]:
    """Every good film broken off at six places: each lacks something, and says so."""
    for film in FILMS:
        for part in CUTS:
            name = f"{film} cut at {part:.1%}"
            yield _case(name, film, lambda data, part=part: cut_at(data, part))


def harmed(seeds: Iterable[int]) -> Iterator[Case]:
    """Every good film harmed in one of the ways, for every seed another place."""
    for film in FILMS:
        for seed in seeds:
            way = WAYS[(seed + sum(film.encode())) % len(WAYS)]
            name = f"{film} {way} seed {seed}"
            yield _case(name, film, lambda data, way=way, seed=seed: _harm(data, way, seed))


def _harm(data: bytes, way: str, seed: int) -> bytes:
    chance = random.Random(f"{way} {seed}")
    at, size = chance.random(), chance.choice((16, 300, 3000))
    match way:
        case "one bit":
            return flip_bits(data, seed=seed, count=1)
        case "eight bits":
            return flip_bits(data, seed=seed, count=8)
        case "forty bits":
            return flip_bits(data, seed=seed, count=40)
        case "its head":
            return flip_bits(data, seed=seed, count=4, high=0.08)
        case "noise":
            return fill(data, seed=seed, at=at, size=size)
        case "zeros":
            return fill(data, seed=seed, at=at, size=size, zeros=True)
        case _:
            return take_out(data, at=at, size=chance.choice((1, 16, 500, 3000)))


def _case(name: str, film: str, harm: object) -> Case:
    """A damaged film is refused, or read with every frame, or read with what it lacks noted."""

    def write(folder: Path, goods: Path) -> None:
        data = harm(make_good(goods, film).read_bytes())  # type: ignore[operator]
        target = folder / film if film != "one.png" else folder / "frames" / "0001.png"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)

    words: tuple[str, ...] = (film,) if film != "one.png" else ("frames", "--fps", "24")
    laid: Write = write
    return Case(
        name=name,
        words=words,
        write=laid,
        codes=frozenset((GOOD, FAILED)),
        said=(film if film != "one.png" else "0001.png",),
        truth=film,
    )
