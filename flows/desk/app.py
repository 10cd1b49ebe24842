"""The desk as a program: its routes put together, and served until it is stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from cluster.errors import ClusterError, DougaError, RefusedError, os_reason
from cluster.settings import home_folder, settings
from flows.desk import api, downloads, web
from flows.desk.access import Accounts, is_loopback
from flows.desk.desk import Access, Desk
from flows.desk.guard import Guard
from flows.runs.stores import known_stores

STATIC = Path(__file__).parent / "static"


def make_app(desk: Desk) -> FastAPI:
    """The web application of a desk; its feed runs as long as it does."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.feed.start()
        yield
        desk.feed.close()

    app = FastAPI(
        title="douga desk",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.desk = desk
    app.include_router(api.router)
    app.include_router(downloads.router)
    app.include_router(web.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, desk=desk)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DougaError, _our_error)
    return app


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, str(error.detail))


def _our_error(request: Request, error: Exception) -> Response:
    """What a store refuses is an answer, not a crash of the desk."""
    return _answer(request, 503, str(error))


def _answer(request: Request, status: int, what: str) -> Response:
    if request.url.path.startswith(("/api/", "/media/", "/part/")) or not hasattr(
        request.state, "person"
    ):
        return JSONResponse({"error": what}, status_code=status)
    answer = web.page(request, "wrong.html.j2", status=status, what=what)
    answer.status_code = status
    return answer


def open_desk(stores: Iterable[str] = (), *, host: str = "") -> Desk:
    """A desk on these stores, or on all that this home knows, asked again while it runs.

    RefusedError where it would listen elsewhere than on this machine and nobody could be told
    apart: there is neither an account nor a proxy that names people.
    """
    chosen, named = settings(), tuple(stores)
    folder = home_folder("desk")
    local = not chosen.desk_proxies and not Accounts(folder).all()
    host = host or chosen.desk_host
    if local and not is_loopback(host):
        raise RefusedError(
            "would let everybody in: it has no accounts and no proxy",
            where=f"douga desk on {host}",
            remedy="douga desk --account NAME --role supervisor, or DOUGA_DESK_PROXIES",
        )
    access = Access(local=local, proxies=chosen.desk_proxies, header=chosen.desk_user_header)
    return Desk(folder, (lambda: named) if named else known_stores, access)


def serve_desk(
    desk: Desk, *, host: str = "", port: int | None = None, tell: Callable[[str], None]
) -> None:
    """Serve a desk until SIGINT or SIGTERM; `tell` hears its address once it answers.

    ClusterError where it cannot listen there.
    """
    chosen = settings()
    host = host or chosen.desk_host
    config = uvicorn.Config(
        make_app(desk),
        host=host,
        port=chosen.desk_port if port is None else port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is behind a proxy is `Guard`'s to decide
        timeout_graceful_shutdown=3,
    )
    try:
        listener = config.bind_socket()
    except (OSError, SystemExit) as error:
        why = os_reason(error) if isinstance(error, OSError) else "is it taken?"
        raise ClusterError(
            f"cannot listen there ({why})",
            where=f"{host}:{config.port}",
            remedy="choose another with --port, or 0 for a free one",
        ) from error
    address = listener.getsockname()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    tell(f"http://{shown}:{address[1]}/")
    uvicorn.Server(config).run(sockets=[listener])
