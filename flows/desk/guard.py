"""Every request passes here first: which host was asked for, who asks, whether a page of ours sent
it, and what a browser may do with the answer."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.desk.access import LONGEST_NAME, Person, Role, is_in, is_loopback
from flows.desk.desk import Desk

COOKIE = "douga_session"
CSRF = "x-csrf-token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
OPEN = ("/static/", "/login", "/healthz")
"""What is answered before anybody has said who they are."""
SAFE = ("GET", "HEAD", "OPTIONS")
LARGEST_BYTES = 1 << 20
"""Of what is sent to the desk; strokes and words are far smaller."""


class Guard:
    """The middleware around the desk's routes; `request.state.person` is who asks."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that goes no further; None for one that does."""
        headers, path = Headers(scope=scope), scope["path"]
        if self._desk.access.local and not _asks_loopback(headers):
            # A page of another site whose name was turned to 127.0.0.1 (DNS rebinding).
            return _error(421, "asked for by another name than this machine's")
        if int(headers.get("content-length") or 0) > LARGEST_BYTES:
            return _error(413, "too much")
        person = self._person(scope, headers)
        scope.setdefault("state", {})["person"] = person
        # Before anything is read: what changes while a page is made is heard when it listens.
        scope["state"]["since"] = self._desk.feed.position
        scope["state"]["csrf"] = self._desk.sessions.csrf(person) if person else ""
        if person is None and not path.startswith(OPEN):
            if path.startswith(("/api/", "/media/", "/events")):
                return _error(401, "log in, or send a bearer token")
            return RedirectResponse("/login", status_code=303)
        if scope["method"] not in SAFE and "authorization" not in headers:
            return self._forged(scope, headers)
        return None

    def _person(self, scope: Scope, headers: Headers) -> Person | None:
        desk = self._desk
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind:
            return desk.accounts.with_token(token.strip()) if kind.lower() == "bearer" else None
        if desk.access.local:
            return desk.local_person
        client = scope.get("client")
        if desk.networks and client and is_in(client[0], desk.networks):
            name = headers.get(desk.access.header, "")[:LONGEST_NAME]
            account = desk.accounts.all().get(name)
            role = Role.named(account.role) if account else Role.VIEWER
            return Person(name=name, role=role, session="proxy") if name else None
        return desk.sessions.person(cookie(headers, COOKIE), desk.accounts)

    def _forged(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a change that no page of ours has sent."""
        site = headers.get("sec-fetch-site", "same-origin")
        origin = headers.get("origin")
        own = not origin or urlsplit(origin).netloc == headers.get("host")
        if site not in ("same-origin", "none") or not own:
            return _error(403, "sent from another site")
        if scope["path"] in ("/login",):
            return None  # nobody is logged in yet; a form cannot be sent from elsewhere
        known = scope["state"]["csrf"]
        if not known or not hmac.compare_digest(headers.get(CSRF, ""), known):
            return _error(403, "without the token of a page of this desk; reload the page")
        return None


def cookie(headers: Headers, name: str) -> str:
    """A cookie's value, empty where there is none."""
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def _asks_loopback(headers: Headers) -> bool:
    host = urlsplit(f"//{headers.get('host', '')}").hostname
    return bool(host) and is_loopback(str(host))


def _error(status: int, what: str) -> Response:
    return JSONResponse({"error": what}, status_code=status)
