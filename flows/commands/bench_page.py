"""`make bench`: `douga bench speed` on several films, as a page and its figures beside it.

python -m flows.commands.bench_page docs/bench
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cluster.files import open_plain
from cluster.scratch import scratch_folder
from flows.commands.bench_speed import ALL_WAYS, Way, draw_film, measure_film
from flows.progress import Reporter, make_reporter
from flows.words import duration_words, moment_words, number_words, size_words
from tasks.encode.ffmpeg import run_ffmpeg

DRAWN_S = 6
BUSY_LOAD = 0.5
"""Load average a core at the start from which the page says that the machine was busy."""
BEFORE = 7 / 22
"""The whole command as a share of the exact tight loop on six seconds of 320x180 before this page
was kept: 22 s beside 7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film to measure: `times` the drawn seconds over and over."""

    size: str
    times: int
    rounds: int
    ways: tuple[Way, ...]

    @property
    def words(self) -> str:
        """Size and length."""
        return f"{self.size}, {duration_words(DRAWN_S * self.times)}"


FILMS = (
    Film(size="320x180", times=1, rounds=2, ways=ALL_WAYS),
    Film(
        size="640x360",
        times=1,
        rounds=1,
        ways=(("tight", "exact"), ("whole", "exact"), ("tight", "fast"), ("whole", "fast")),
    ),
    Film(size="320x180", times=10, rounds=1, ways=(("tight", "fast"), ("whole", "fast"))),
)
"""What two cores measure in ten minutes: long and large films only beside their limit, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A share of the tight loop with the same engine that a way is to reach, on films so long."""

    way: str
    precision: str
    share: float
    seconds: tuple[int, ...]


AIMS = (
    Aim(way="render", precision="exact", share=0.95, seconds=(6, 60)),
    Aim(way="whole", precision="exact", share=0.9, seconds=(60,)),
    Aim(way="whole", precision="exact", share=0.5, seconds=(6,)),
    Aim(way="render", precision="fast", share=0.8, seconds=(6, 60)),
    Aim(way="whole", precision="fast", share=0.75, seconds=(60,)),
    Aim(way="whole", precision="fast", share=0.3, seconds=(6,)),
    Aim(way="default", precision="", share=3 * BEFORE, seconds=(6,)),
)


def measure_films(reporter: Reporter, films: Sequence[Film] = FILMS) -> dict[str, Any]:
    """The figures of the page: what was measured where, each film as in `bench speed --json`."""
    began, load = datetime.now(UTC), os.getloadavg()[0]
    made = []
    with scratch_folder("bench") as name:
        drawn: dict[str, Path] = {}
        for at, film in enumerate(films):
            folder = Path(name, str(at))
            folder.mkdir()
            if film.size not in drawn:
                drawn[film.size] = draw_film(
                    folder / "sample", reporter, seconds=DRAWN_S, size=film.size
                )
            path = _repeated(drawn[film.size], film.times, folder)
            document = measure_film(
                path, folder, reporter, size=film.size, rounds=film.rounds, ways=film.ways
            )
            made.append({"film_s": DRAWN_S * film.times, **document})
    return {
        "began_at": began.isoformat(timespec="seconds"),
        "took_s": (datetime.now(UTC) - began).total_seconds(),
        "load": load,
        "cores": os.cpu_count(),
        "machine": _processor(),
        "versions": {name: version(name) for name in ("torch", "ray", "prefect", "numpy", "av")},
        "films": made,
    }


def page(figures: dict[str, Any]) -> str:
    """The page of the figures, in Markdown; pure."""
    return "\n".join(_lines(figures)) + "\n"


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    yield "# The latest bench"
    yield ""
    yield (
        "Made by `make bench`, from the figures [beside it](latest.json). What counts are the "
        "shares of the tight loop with the same engine in the same run: decode thread, network on "
        "every core, encode thread, with the product's exact colours and encoder options, and "
        "nothing stored or checked. Seconds are of this machine alone."
    )
    yield ""
    yield f"- {figures['machine']}, {figures['cores']} cores, no GPU used"
    busy = figures["load"] / figures["cores"] > BUSY_LOAD
    note = ": **the machine was busy**, so that seconds say little" if busy else ""
    yield (
        f"- {moment_words(figures['began_at'])} UTC, {duration_words(figures['took_s'])} in all; "
        f"load average {figures['load']:.2f} at the start{note}"
    )
    yield f"- {', '.join(f'{name} {number}' for name, number in figures['versions'].items())}"
    yield (
        "- every render on an empty store and home; rounds interleaved, medians; peers without "
        "imports and model load; CPU, memory (shared pages shared out) and bytes moved (through "
        "reads and writes of files and pipes) of all processes, Ray's and Prefect's too"
    )
    for film in figures["films"]:
        yield from _table(film)
    yield from _aims(figures["films"])


def _table(film: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"## {_title(film)}"
    yield ""
    rounds = f"{film['rounds']} rounds" if film["rounds"] > 1 else "one round, no median"
    yield f"{film['frames']} frames upscaled 2x, {rounds}; fast is {film['engine']}."
    yield ""
    yield "| way | engine | of tight | frames/s | seconds | CPU s | peak | moved | stored |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for way in film["ways"]:
        cells = (
            *(way["name"], way["precision"], _share(way["of_tight"])),
            *(f"{way['fps']:.1f}", f"{way['seconds']:.1f}", number_words(way["cpu_s"], 1)),
            *(size_words(way[name]) for name in ("peak_bytes", "moved_bytes", "stored_bytes")),
        )
        yield f"| {' | '.join(cells)} |"


def _aims(films: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield ""
    yield "## Aims"
    yield ""
    yield "| of the tight loop | film | aim | came | |"
    yield "|---|---|---|---|---|"
    for aim in AIMS:
        name = {"render": "render phase", "whole": "whole command", "default": "by default"}[
            aim.way
        ]
        found = [
            (film, way)
            for film in films
            for way in film["ways"]
            if (way["way"], way["precision"]) == (aim.way, aim.precision)
            and film["film_s"] in aim.seconds
        ]
        for film, way in found:
            met = "met" if way["of_tight"] >= aim.share else "not met"
            yield (
                f"| {name}, {aim.precision or 'three times .32'} | {_title(film)} "
                f"| {_share(aim.share)} | {_share(way['of_tight'])} | {met} |"
            )
        for length in set(aim.seconds) - {film["film_s"] for film, _ in found}:
            yield (
                f"| {name}, {aim.precision} | {duration_words(length)} | {_share(aim.share)} "
                f"| | not measured: `douga bench speed --seconds {length}` does |"
            )


def _title(film: dict[str, Any]) -> str:
    return f"{film['size']}, {duration_words(film['film_s'])}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.2f}".removeprefix("0")


def _repeated(film: Path, times: int, folder: Path) -> Path:
    """A film over and over, its frames at exact times."""
    if times == 1:
        return film
    rate = "24000/1001"
    longer = folder / "longer.mkv"
    run_ffmpeg(
        [
            *("-stream_loop", str(times - 1), "-i", str(film), "-an", "-r", rate),
            *("-vf", f"setpts=N/({rate})/TB", "-c:v", "libx264", "-crf", "17", str(longer)),
        ]
    )
    return longer


def _processor() -> str:
    """The processor's name as Linux has it."""
    try:
        with open_plain(Path("/proc/cpuinfo")) as file:
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    into = Path(sys.argv[1])
    with make_reporter() as reporter:
        figures = measure_films(reporter)
    into.mkdir(parents=True, exist_ok=True)
    (into / "latest.json").write_text(json.dumps(figures, indent=1) + "\n")
    (into / "latest.md").write_text(page(figures))
