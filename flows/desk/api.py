"""The desk's HTTP API, /api/v1: what the pages show and do, for programs. Described in OpenAPI at
/api/v1/openapi.json; errors are `{"error": …}` with 401, 403, 404, 409 or 422."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from cluster.errors import DougaError, RefusedError, StoreError, UsageError
from flows.desk.access import Person, Role
from flows.desk.desk import Desk, Verdict
from flows.desk.farm import NodeOrder, Order
from flows.desk.library import Shelf
from flows.desk.shots import Episode, Shot, Version, decisions_on, versions_of
from flows.desk.views import provenance, takes

StoreKey = Annotated[str, InPath(pattern="^[0-9a-f]{8}$")]
Name = Annotated[str, InPath(min_length=1, max_length=180)]
STROKES = r"^[MLZ0-9 .,-]*$"
"""An SVG path of moves and lines: nothing else is drawn."""


class Decide(BaseModel):
    """A verdict on what was seen of a shot."""

    model_config = ConfigDict(extra="forbid")

    shot: str = Field(min_length=1, max_length=180)
    seen: str = Field(pattern="^[0-9a-f]{40}$")
    of: Literal["segment", "preview"] = "segment"
    verdict: Literal["approved", "retake"]
    note: str = Field(default="", max_length=4000)
    frame: int | None = Field(default=None, ge=0, le=1 << 30)
    strokes: str = Field(default="", max_length=40_000, pattern=STROKES)


class Decisions(BaseModel):
    """Verdicts that are put together, or none of them."""

    model_config = ConfigDict(extra="forbid")

    decisions: list[Decide] = Field(min_length=1, max_length=2000)


def desk_of(request: Request) -> Desk:
    """The desk that a request is for."""
    desk: Desk = request.app.state.desk
    return desk


def person_of(request: Request) -> Person:
    """Who asks."""
    person: Person = request.state.person
    return person


def find_shelf(desk: Desk, store: str) -> Shelf:
    """A store by its short name, or 404."""
    shelf = desk.library.shelf(store)
    if shelf is None:
        raise HTTPException(404, "no such store")
    return shelf


def find_episode(desk: Desk, store: str, name: str) -> tuple[Shelf, Episode]:
    """An episode, or 404."""
    shelf = find_shelf(desk, store)
    episode = desk.episode(shelf, name) if name in shelf.episodes() else None
    if episode is None:
        raise HTTPException(404, "no such episode")
    return shelf, episode


def find_shot(episode: Episode, name: str) -> Shot:
    """A shot of an episode, or 404."""
    for shot in episode.shots:
        if shot.id == name:
            return shot
    raise HTTPException(404, "no such shot")


def find_version(desk: Desk, shelf: Shelf, episode: Episode, shot: str, key: str = "") -> Version:
    """The newest version of a shot, or the one of a key; or 404."""
    found = versions_of(desk.library, shelf, episode.name, find_shot(episode, shot).id)
    for version in found:
        if not key or version.key == key:
            return version
    raise HTTPException(404, "no such version")


def episode_document(episode: Episode) -> dict[str, Any]:
    """An episode without its shots."""
    document = episode.run.document
    return {
        "store": episode.store,
        "episode": episode.name,
        "run": episode.run.run,
        "state": episode.run.state,
        "live": episode.live,
        "shots": len(episode.shots),
        "counts": {state.value: count for state, count in episode.counts.items()},
        "film": document.get("film"),
        "began_at": document.get("began_at", ""),
        "ended_at": document.get("ended_at", ""),
        "error": episode.run.error,
    }


def decide(desk: Desk, store: str, name: str, asked: Decisions, person: Person) -> dict[str, Any]:
    """Put verdicts, and say what became of the episode."""
    for each in asked.decisions:
        needed = Role.SUPERVISOR if each.verdict == "approved" else Role.ARTIST
        if person.role < needed:
            raise HTTPException(403, f"only for a {needed.name.lower()}: {each.verdict}")
    shelf, episode = find_episode(desk, store, name)
    verdicts = [Verdict(**each.model_dump()) for each in asked.decisions]
    try:
        made = desk.decide(shelf, episode, verdicts, by=person)
    except RefusedError as error:
        raise HTTPException(409, str(error)) from error
    return {"decisions": [asdict(each) for each in made]}


router = APIRouter(prefix="/api/v1")


@router.get("/episodes")
def list_all(request: Request) -> list[dict[str, Any]]:
    """Every episode of every store."""
    return [episode_document(episode) for episode in desk_of(request).episodes()]


@router.get("/episodes/{store}/{episode}")
def one_episode(request: Request, store: StoreKey, episode: Name) -> dict[str, Any]:
    """An episode with its shots in film order."""
    _, found = find_episode(desk_of(request), store, episode)
    return {**episode_document(found), "shots": [asdict(shot) for shot in found.shots]}


@router.get("/episodes/{store}/{episode}/shots/{shot}")
def one_shot(request: Request, store: StoreKey, episode: Name, shot: Name) -> dict[str, Any]:
    """A shot, its versions and every decision on it, the newest first."""
    desk = desk_of(request)
    shelf, found = find_episode(desk, store, episode)
    one = find_shot(found, shot)
    decisions = decisions_on(desk.library, shelf, episode, shot)
    versions = takes(versions_of(desk.library, shelf, episode, shot), decisions)
    return {
        **asdict(one),
        "versions": [asdict(each) for each in versions],
        "decisions": [asdict(each) for each in decisions],
    }


@router.get("/episodes/{store}/{episode}/shots/{shot}/drawings")
def drawings(request: Request, store: StoreKey, episode: Name, shot: Name) -> dict[str, Any]:
    """The frames of a shot at which another drawing begins, counted from 0; none where its frames
    are gone from the store."""
    desk = desk_of(request)
    shelf, found = find_episode(desk, store, episode)
    version = find_version(desk, shelf, found, shot)
    try:
        return {"frames": version.frames, "starts": desk.media.drawings(shelf.store, version)}
    except StoreError:
        return {"frames": version.frames, "starts": []}


@router.get("/episodes/{store}/{episode}/shots/{shot}/frames/{frame}")
def frame_provenance(
    request: Request,
    store: StoreKey,
    episode: Name,
    shot: Name,
    frame: Annotated[int, InPath(ge=0, le=1 << 30)],
) -> dict[str, Any]:
    """Where a frame of a shot, counted from 0, comes from."""
    desk = desk_of(request)
    shelf, found = find_episode(desk, store, episode)
    version = find_version(desk, shelf, found, shot)
    run = desk.library.status(shelf, f"runs/{episode}/{version.run}")
    about = provenance(version, frame, run, decisions_on(desk.library, shelf, episode, shot))
    if about is None:
        raise HTTPException(404, f"the shot has {version.frames} frames")
    return asdict(about)


@router.post("/episodes/{store}/{episode}/decisions", status_code=201)
def put_decisions(
    request: Request, store: StoreKey, episode: Name, asked: Decisions
) -> dict[str, Any]:
    """Decide on shots. 409 where one is not what was seen any more; then none is put."""
    return decide(desk_of(request), store, episode, asked, person_of(request))


@router.post("/episodes/{store}/{episode}/runs", status_code=202)
def run_again(request: Request, store: StoreKey, episode: Name) -> dict[str, Any]:
    """Run an episode's last command again; what is stored is not made again."""
    desk, person = desk_of(request), person_of(request)
    if person.role < Role.ADMIN:
        raise HTTPException(403, "only an admin may start a run")
    _, found = find_episode(desk, store, episode)
    if found.live:
        raise HTTPException(409, "a run of it goes on")
    try:
        return {"started": desk.go_on(found, by=person.name, again=True)}
    except DougaError as error:
        raise HTTPException(409, str(error)) from error


@router.get("/queue")
def queue(request: Request) -> dict[str, Any]:
    """Who holds the farm, what waits and why; `trouble` where it cannot be asked."""
    view = desk_of(request).queue.look()
    return {
        "host": view.host,
        "trouble": view.trouble,
        "runs": [asdict(place) for place in view.places],
    }


@router.post("/queue/{job}/{order}", status_code=202)
def order(request: Request, job: Name, order: Order) -> dict[str, Any]:
    """Pause, resume or cancel a job, put it first in its queue, or into another one."""
    desk, person = desk_of(request), person_of(request)
    if person.role < Role.SUPERVISOR:
        raise HTTPException(403, "only a supervisor may change the queue")
    try:
        desk.queue.order(order, job, by=person.name)
    except UsageError as error:
        raise HTTPException(409, str(error)) from error
    desk.audit.add(person.name, order, where=job)
    return {"job": job, "order": order}


class Why(BaseModel):
    """The reason for an order, for whoever looks."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field(default="", max_length=400)


@router.get("/farm/nodes")
def nodes(request: Request) -> dict[str, Any]:
    """The nodes of the farm: what each does, has and runs, why one is out."""
    return desk_of(request).nodes.look()


@router.post("/farm/nodes/{node}/{order}", status_code=202)
def order_node(request: Request, node: Name, order: NodeOrder, asked: Why) -> dict[str, Any]:
    """Take a node out after the chunks in hand, or back."""
    desk, person = desk_of(request), person_of(request)
    if person.role < Role.ADMIN:
        raise HTTPException(403, "only an admin may take nodes out")
    try:
        desk.nodes.order(order, node, why=asked.why, by=person.name)
    except UsageError as error:
        raise HTTPException(409, str(error)) from error
    desk.audit.add(person.name, order, where=node, words=asked.why)
    return {"node": node, "order": order}
