"""An episode's page for people outside: a folder with one HTML file, its pictures and proxies, that
opens from disk without a network and without scripts."""

from __future__ import annotations

import shutil
from pathlib import Path

from cluster.errors import DougaError, UsageError, unwritable
from flows.desk.catalogue import translator
from flows.desk.desk import Desk
from flows.desk.library import Shelf
from flows.desk.pages import FIRST_FRAMES, FOLDER, render_page
from flows.desk.shots import Episode, Shot, decisions_on, versions_of

PAGE, STYLE = "index.html", "desk.css"


def find_exported(desk: Desk, name: str) -> tuple[Shelf, Episode]:
    """The episode of that name in the desk's stores. UsageError for one that is in none of them, or
    in several."""
    desk.library.refresh()
    found = [shelf for shelf in desk.library.shelves if name in shelf.episodes()]
    if len(found) != 1:
        known = sorted({each for shelf in desk.library.shelves for each in shelf.episodes()})
        raise UsageError(
            f"{'several stores have' if found else 'no store has'} an episode {name[:80]!r}",
            where="douga desk export",
            remedy="name one with --store" if found else f"known are {', '.join(known) or 'none'}",
        )
    episode = desk.episode(found[0], name)
    if episode is None:
        raise DougaError("its newest run cannot be read", where=name)
    return found[0], episode


def export_episode(
    desk: Desk, shelf: Shelf, episode: Episode, folder: Path, *, language: str = "en"
) -> Path:
    """Write the page of an episode into a folder; its path. A shot whose pictures are gone from the
    store is shown without. EncodeError where the folder cannot be written."""
    try:
        (folder / "media").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FOLDER / "static" / STYLE, folder / STYLE)
        shown = {shot.id: _media(desk, shelf, episode, shot, folder) for shot in episode.shots}
        text = render_page(
            "export.html.j2",
            t=translator(language),
            language=language,
            first=FIRST_FRAMES[0],
            episode=episode,
            media=shown,
            decisions=decisions_on(desk.library, shelf, episode.name),
        )
        page = folder / PAGE
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error, remedy="name another with -o") from error
    return page


def _media(
    desk: Desk, shelf: Shelf, episode: Episode, shot: Shot, folder: Path
) -> tuple[str, str] | None:
    """Copies of a shot's picture and proxy: their paths as the page names them."""
    versions = versions_of(desk.library, shelf, episode.name, shot.id) if shot.segment else []
    if not versions:
        return None
    try:
        thumbnail = desk.media.thumbnail(shelf.store, versions[0].key)
        proxy = desk.media.proxy(shelf.store, versions[0].key, versions[0].rate)
    except DougaError:
        return None
    # By number, not by the shot's name, which may be none for a file system of theirs.
    number = [each.id for each in episode.shots].index(shot.id)
    named = (f"media/{number:04}.webp", f"media/{number:04}.mp4")
    for source, name in zip((thumbnail, proxy), named, strict=True):
        shutil.copyfile(source, folder / name)
    return named
