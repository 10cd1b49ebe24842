"""A webhook's receiver in this process, that answers as a test tells it to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True)
class Reply:
    """What is answered: a status with headers; or nothing while `held`, or a body without end."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    held: bool = False
    endless: bool = False


@dataclass(frozen=True)
class Posted:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """`replies` are used up one by one, the last one for good; `posted` is what came."""

    url: str = ""
    replies: list[Reply] = field(default_factory=lambda: [Reply()])
    posted: list[Posted] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    """Set when the test ends: who is held is let go."""

    def read(self, secret: str, place: int = -1) -> Any:
        """The document of a request, its signature checked as receivers do."""
        request = self.posted[place]
        return Webhook(secret).verify(request.body, request.headers)

    def next_reply(self) -> Reply:
        """The reply for the next request."""
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port of 127.0.0.1, for the length of a `with`."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.posted.append(Posted(self.path, headers, body, time.monotonic()))
            reply = state.next_reply()
            if reply.held:
                state.released.wait()
                return
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            if not reply.endless:
                self.send_header("content-length", "0")
            self.end_headers()
            while reply.endless and not state.released.wait(0.05):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
