"""A proxy that damages what passes between a client and an S3 server, as a test tells it to."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["none", "drop answer", "cut body", "flip bit", "answer 503", "swallow"]
"""drop answer: the server does its work, the client hears nothing; swallow: nobody hears."""
Plan = Callable[[str, int], Fault]
"""The fault for the n-th request (from 0) of a method."""


@dataclass(slots=True, kw_only=True)
class FaultyProxy:
    """Where the proxy is, and how many requests of each method it has seen."""

    endpoint: str
    seen: dict[str, int] = field(default_factory=dict)


@contextmanager
def faulty_proxy(target: str, plan: Plan) -> Iterator[FaultyProxy]:
    """A proxy in front of `target` for the length of the block; headers pass unchanged."""
    lock = threading.Lock()
    host = urlsplit(target).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            with lock:
                count = proxy.seen.get(self.command, 0)
                proxy.seen[self.command] = count + 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.close_connection = True
            fault = plan(self.command, count)
            if fault == "swallow":
                return
            if fault == "answer 503":
                self.wfile.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                return
            upstream = http.client.HTTPConnection(host)
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            data = answer.read()
            upstream.close()
            if fault == "drop answer":
                return
            if fault == "flip bit" and data:
                data = data[:-1] + bytes([data[-1] ^ 1])
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
            self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if fault == "cut body" else data)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = FaultyProxy(endpoint=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
