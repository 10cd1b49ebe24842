"""The stores that this home has rendered into, so that one command and one desk show all episodes
though each may have a store of its own: a file for each under the home, with its URL."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from cluster.errors import DougaError
from cluster.keys import make_key
from cluster.settings import home_folder, settings
from cluster.store.base import Store
from cluster.store.open import open_store
from cluster.store.records import note_damage
from flows.runs.state import RUNS, RunStatus, known_status, places

FOLDER = "stores"
AT_ONCE = 16
"""Records read at once: most of the time of each is the way there and back."""
FINISHED = ("rendered", "stored")
"""States of a shot of which nothing is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeLine:
    """An episode as its newest run left it, or has it: `shots` in all of which `finished` are
    rendered; `at` is when that run began (ISO 8601, UTC)."""

    episode: str
    store: str
    run: str
    state: str
    shots: int
    finished: int
    waiting: int
    at: str
    film: str | None


def remember_store(url: str) -> None:
    """Note a store that a run uses. A home that cannot be written remembers nothing."""
    with suppress(DougaError, OSError):
        file = home_folder(FOLDER) / make_key(url)
        if not file.exists():
            file.write_text(url)


def known_stores() -> tuple[str, ...]:
    """The URL of the store to use when none is named, then of all that runs of this home used."""
    found = {settings().store_url: None}
    with suppress(OSError):
        for file in sorted((settings().home / FOLDER).iterdir()):
            found[file.read_text().strip()] = None
    return tuple(url for url in found if url)


def list_episodes(urls: Sequence[str]) -> list[EpisodeLine]:
    """Every episode of some stores by its newest run, the newest first. A store that cannot be read
    is noted and left out."""
    found: list[EpisodeLine] = []
    for url in urls:
        try:
            found += read_episodes(open_store(url))
        except DougaError as error:
            note_damage(error, then="its episodes are not listed")
    return sorted(found, key=lambda line: line.at, reverse=True)


def read_episodes(store: Store) -> list[EpisodeLine]:
    """The episodes of a store. StoreError where it cannot be read."""
    newest = {place.split("/")[1]: place for place in places(store, RUNS)}

    def read(place: str) -> EpisodeLine | None:
        status = known_status(store, place)
        return episode_line(status, store.url) if status else None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return [line for line in threads.map(read, newest.values()) if line]


def episode_line(status: RunStatus, url: str) -> EpisodeLine:
    """An episode by its newest run."""
    document = status.document
    shots = document["shots"]
    return EpisodeLine(
        episode=status.name,
        store=url,
        run=status.run,
        state=status.state,
        shots=len(shots) or int(document.get("shots_to_render", 0)),
        finished=sum(shot["state"] in FINISHED for shot in shots),
        waiting=len(document["waiting"]),
        at=document.get("began_at", ""),
        film=document["film"],
    )
