"""The pages' routes: each reads through the desk, makes a view and renders a template."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import (
    HTMLResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from cluster.settings import settings
from flows.desk.api import (
    desk_of,
    find_episode,
    find_shot,
    person_of,
)
from flows.desk.audit import join_entries
from flows.desk.catalogue import LANGUAGES, choose_language, translator
from flows.desk.downloads import film_of
from flows.desk.guard import COOKIE, cookie
from flows.desk.pages import FIRST_FRAMES, render_page
from flows.desk.shots import State, decisions_on, versions_of
from flows.desk.views import (
    board,
    last_good,
    neighbours,
    next_waiting,
    nights,
    review_queue,
    takes,
)
from flows.report.night.words import regression_words

LOOKS = ("auto", "light", "dark")
NIGHTS_SHOWN = 30
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def page(request: Request, template: str, **values: Any) -> HTMLResponse:
    """A page of this desk for whoever asks, in their language."""
    desk, person = desk_of(request), request.state.person
    language = choose_language(
        request.cookies.get("douga_language", ""), request.headers.get("accept-language", "")
    )
    first = request.cookies.get("douga_first", "")
    look = request.cookies.get("douga_look", "")
    return HTMLResponse(
        render_page(
            template,
            t=translator(language),
            language=language,
            languages=LANGUAGES,
            first=int(first) if first in map(str, FIRST_FRAMES) else FIRST_FRAMES[0],
            first_frames=FIRST_FRAMES,
            look=look if look in LOOKS else "auto",
            looks=LOOKS,
            person=person,
            csrf=request.state.csrf,
            since=request.state.since,
            local=desk.access.local,
            here=request.url.path,
            currency=settings().currency,
            States=State,
            **values,
        )
    )


@router.get("/")
def show_board(request: Request) -> Response:
    return page(request, "board.html.j2", **_board(request))


@router.get("/part/board")
def part_board(request: Request) -> Response:
    return page(request, "board_rows.html.j2", **_board(request))


def _board(request: Request) -> dict[str, Any]:
    desk = desk_of(request)
    return {
        "rows": board(desk.episodes(), now=datetime.now(UTC)),
        "troubles": [shelf for shelf in desk.library.shelves if shelf.trouble],
        "several": len(desk.library.shelves) > 1,
        "stores": {shelf.key: shelf.store.url for shelf in desk.library.shelves},
    }


@router.get("/reviews")
def show_reviews(request: Request) -> Response:
    return page(request, "reviews.html.j2", **_reviews(request))


@router.get("/part/reviews")
def part_reviews(request: Request) -> Response:
    return page(request, "reviews_rows.html.j2", **_reviews(request))


def _reviews(request: Request) -> dict[str, Any]:
    desk = desk_of(request)
    return {"queue": review_queue(desk.episodes(), desk.measured())}


@router.get("/e/{store}/{episode}")
def show_episode(request: Request, store: str, episode: str) -> Response:
    return page(request, "episode.html.j2", **_episode(request, store, episode))


@router.get("/part/e/{store}/{episode}/{part}")
def part_episode(request: Request, store: str, episode: str, part: str) -> Response:
    if part not in ("head", "grid"):
        raise HTTPException(404)
    return page(request, f"episode_{part}.html.j2", **_episode(request, store, episode))


@router.get("/part/e/{store}/{episode}/card/{shot}")
def part_card(request: Request, store: str, episode: str, shot: str) -> Response:
    _, found = find_episode(desk_of(request), store, episode)
    one = find_shot(found, shot)
    return page(request, "card.html.j2", episode=found, shot=one, live=True)


def _episode(request: Request, store: str, name: str) -> dict[str, Any]:
    _, episode = find_episode(desk_of(request), store, name)
    sheet = episode.run.document.get("sheet") if episode.previewed else None
    return {"episode": episode, "row": board([episode], now=datetime.now(UTC))[0], "sheet": sheet}


@router.get("/e/{store}/{episode}/s/{shot}")
def show_shot(request: Request, store: str, episode: str, shot: str) -> Response:
    desk = desk_of(request)
    shelf, found = find_episode(desk, store, episode)
    one = find_shot(found, shot)
    decisions = decisions_on(desk.library, shelf, episode, shot)
    versions = versions_of(desk.library, shelf, episode, shot)
    shown = takes(versions, decisions)
    queue = review_queue(desk.episodes(), desk.measured())
    onward = next_waiting(queue, found, shot)
    before, after = neighbours(found, shot)
    base = f"/e/{store}/{quote(episode, safe='')}/s/"
    return page(
        request,
        "shot.html.j2",
        episode=found,
        shot=one,
        takes=shown,
        other=last_good(shown),
        decisions=decisions,
        previous_url=f"{base}{quote(before, safe='')}" if before else "",
        next_url=f"{base}{quote(after, safe='')}" if after else "",
        onward_url=(
            f"/e/{onward.episode.store}/{quote(onward.episode.name, safe='')}"
            f"/s/{quote(onward.shot.id, safe='')}"
            if onward
            else "/reviews"
        ),
        waiting=len(queue),
    )


@router.get("/e/{store}/{episode}/deliver")
def show_deliver(request: Request, store: str, episode: str) -> Response:
    desk = desk_of(request)
    _, found = find_episode(desk, store, episode)
    film = film_of(found.run.document.get("film"))
    size = film.stat().st_size if film else 0
    return page(request, "deliver.html.j2", episode=found, film=film, size=size)


@router.get("/queue")
def show_queue(request: Request) -> Response:
    return page(request, "queue.html.j2", view=None)


@router.get("/part/queue")
def part_queue(request: Request) -> Response:
    view = desk_of(request).queue.look()
    return page(request, "queue_rows.html.j2", view=view, now=datetime.now(UTC))


@router.get("/farm")
def show_farm(request: Request) -> Response:
    return page(request, "farm.html.j2")


@router.get("/part/farm")
def part_farm(request: Request) -> Response:
    return page(request, "farm_rows.html.j2", **desk_of(request).nodes.look())


@router.get("/nights")
def show_nights(request: Request) -> Response:
    desk = desk_of(request)
    found = [
        (shelf, nightly, nights(desk.past_nights(shelf, nightly, most=NIGHTS_SHOWN)))
        for shelf in desk.library.shelves
        for nightly in desk.nightlies(shelf)
    ]
    return page(request, "nights.html.j2", nightlies=found, words=regression_words)


@router.get("/audit")
def show_audit(request: Request) -> Response:
    desk = desk_of(request)
    decisions, runs = [], []
    for shelf in desk.library.shelves:
        for name in shelf.episodes():
            decisions += decisions_on(desk.library, shelf, name)
            runs += [desk.library.status(shelf, place) for place in shelf.runs(name)[-20:]]
    entries = join_entries(desk.audit.read(), decisions, [run for run in runs if run])
    return page(request, "audit.html.j2", entries=entries)


@router.get("/events")
async def get_events(request: Request) -> Response:
    since = request.headers.get("last-event-id") or request.query_params.get("since", "")
    stream = desk_of(request).feed.stream(since)
    return StreamingResponse(
        stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


@router.get("/healthz")
def healthz() -> Response:
    return Response("well\n", media_type="text/plain")


@router.get("/login")
def show_login(request: Request) -> Response:
    return page(request, "login.html.j2", wrong="")


@router.post("/login")
async def log_in(request: Request) -> Response:
    desk, form = desk_of(request), await _form(request)
    name, password = form.get("name", ""), form.get("password", "")
    address = request.client.host if request.client else ""
    keys = (f"name {name}", f"address {address}")
    if not desk.attempts.may_try(*keys):
        answer = page(request, "login.html.j2", wrong="Too many tries. Wait a minute.")
        answer.status_code = 429
        return answer
    account = await run_in_threadpool(desk.accounts.with_password, name, password)
    if account is None:
        desk.attempts.was_wrong(*keys)
        desk.audit.add(name[:80], "login refused", where=address)
        answer = page(request, "login.html.j2", wrong="Wrong name or password.")
        answer.status_code = 403
        return answer
    desk.audit.add(name, "login", where=address)
    entered = RedirectResponse("/", status_code=303)
    entered.set_cookie(
        COOKIE,
        desk.sessions.begin(name, account),
        httponly=True,
        samesite="lax",
        # Behind a proxy that ends TLS the browser says it: it sends its own Origin with a form.
        secure="https" in (request.url.scheme, request.headers.get("origin", "")[:5]),
    )
    return entered


@router.post("/logout")
def log_out(request: Request) -> Response:
    desk = desk_of(request)
    if desk.sessions.person(cookie(request.headers, COOKIE), desk.accounts):
        desk.audit.add(person_of(request).name, "logout")
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE)
    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; pages send no files."""
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
