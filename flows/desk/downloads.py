"""Files that the desk gives out: pictures, proxies, films, shots, the edit, logs of failures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, Response

from cluster.errors import DougaError
from cluster.store.open import open_store
from flows.desk.api import desk_of, find_episode, find_shelf, find_shot, find_version
from flows.desk.edit import edit_of
from flows.spec.allowed_paths import check_allowed
from flows.spec.request import CONTAINERS

IMMUTABLE = {"cache-control": "private, max-age=31536000, immutable"}
"""What is named by what it is made of never changes."""
KEY = re.compile("[0-9a-f]{40}")
router = APIRouter(include_in_schema=False)


@router.get("/e/{store}/{episode}/log/{shot}")
def show_log(request: Request, store: str, episode: str, shot: str) -> Response:
    """What is kept of a failure, tracebacks and all, as text."""
    shelf, found = find_episode(desk_of(request), store, episode)
    name = find_shot(found, shot).failure
    if not name.startswith("failures/"):
        raise HTTPException(404)
    return Response(shelf.store.get(name), media_type="text/plain; charset=utf-8")


@router.get("/e/{store}/{episode}/sheet")
def show_sheet(request: Request, store: str, episode: str) -> Response:
    shelf, found = find_episode(desk_of(request), store, episode)
    name = str(found.run.document.get("sheet") or "")
    if not name.startswith(f"reviews/{episode}/"):
        raise HTTPException(404)
    kind = "image/png" if name.endswith(".png") else "image/jpeg"
    return Response(shelf.store.get(name), media_type=kind, headers=IMMUTABLE)


@router.get("/e/{store}/{episode}/film")
def getfilm_of(request: Request, store: str, episode: str) -> Response:
    _, found = find_episode(desk_of(request), store, episode)
    film = film_of(found.run.document.get("film"))
    if film is None:
        raise HTTPException(404, "no film")
    return FileResponse(film, filename=film.name)


def film_of(named: object) -> Path | None:
    """The film that a record names, if it is one on this machine that may be read."""
    path = Path(str(named or ""))
    try:
        real = path.resolve(strict=True)
        check_allowed(str(real))
    except (OSError, DougaError):
        return None
    return path if real.is_file() and real.suffix.lower() in CONTAINERS else None


@router.get("/e/{store}/{episode}/segment/{shot}")
def get_segment(request: Request, store: str, episode: str, shot: str) -> Response:
    desk = desk_of(request)
    shelf, found = find_episode(desk, store, episode)
    version = find_version(desk, shelf, found, shot)
    name = segment_file(episode, shot)
    told = {"content-disposition": f"attachment; filename*=utf-8''{quote(name)}"}
    data = shelf.store.get(version.segment)
    return Response(data, media_type="video/x-matroska", headers=told)


def segment_file(episode: str, shot: str) -> str:
    """The name of a shot's file when it is downloaded, which the edit goes by."""
    return f"{episode}_{shot}.mkv"


@router.get("/e/{store}/{episode}/edit.otio")
def get_edit(request: Request, store: str, episode: str) -> Response:
    desk = desk_of(request)
    shelf, found = find_episode(desk, store, episode)
    versions = {
        shot.id: find_version(desk, shelf, found, shot.id) for shot in found.shots if shot.segment
    }
    text = edit_of(found, versions, file_of=lambda shot: segment_file(episode, shot.id))
    told = {"content-disposition": f"attachment; filename*=utf-8''{quote(episode)}.otio"}
    return Response(text, media_type="application/json", headers=told)


@router.get("/nights/{store}/{nightly}/{night}/{episode}/{shot}/{at}/{side}.png")
def get_night_picture(
    request: Request,
    store: str,
    nightly: str,
    night: str,
    episode: str,
    shot: str,
    at: int,
    side: Literal["before", "after"],
) -> Response:
    """The worst frame of a shot's regression number `at`, in that night or the last good one."""
    desk = desk_of(request)
    kept = desk.night(find_shelf(desk, store), nightly, night)
    for each in kept.episodes if kept else ():
        for one in each.shots:
            if (each.episode, one.id) == (episode, shot) and 0 <= at < len(one.regressions):
                found = one.regressions[at]
                name = found.before if side == "before" else found.after
                if name:
                    data = open_store(each.store).get(name)
                    return Response(data, media_type="image/png", headers=IMMUTABLE)
    raise HTTPException(404, "no such picture")


@router.get("/media/{store}/{key}/thumb.webp")
def get_thumbnail(request: Request, store: str, key: str) -> Response:
    desk = desk_of(request)
    shelf = find_shelf(desk, store)
    return _media(lambda: desk.media.thumbnail(shelf.store, _key(key)), "image/webp")


@router.get("/media/{store}/{episode}/{shot}/{key}.mp4")
def get_proxy(request: Request, store: str, episode: str, shot: str, key: str) -> Response:
    desk = desk_of(request)
    shelf, found = find_episode(desk, store, episode)
    if key == "source":
        version = find_version(desk, shelf, found, shot)
        return _media(lambda: desk.media.source(shelf.store, version), "video/mp4")
    version = find_version(desk, shelf, found, shot, _key(key))
    return _media(lambda: desk.media.proxy(shelf.store, version.key, version.rate), "video/mp4")


def _key(text: str) -> str:
    if not KEY.fullmatch(text):
        raise HTTPException(404)
    return text


def _media(make: Callable[[], Path], kind: str) -> Response:
    try:
        return FileResponse(make(), media_type=kind, headers=IMMUTABLE)
    except DougaError as error:
        raise HTTPException(404, str(error)) from error
