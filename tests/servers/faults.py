"""A proxy that damages what passes between a client and an S3 server, as a test tells it to."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal[
    "none",
    "delay",
    "drop answer",
    "swallow",
    "reset",
    "cut body",
    "flip bit",
    "flip sent bit",
    "answer 500",
    "answer 503",
    "slow down",
    "unknown key",
    "bad signature",
    "expired token",
]
"""drop answer: the server does its work, the client hears nothing; swallow: nobody hears;
flip bit: one of what comes back; flip sent bit: one of what is put."""
Plan = Callable[[str, int], Fault]
"""The fault for the n-th request (from 0) of a method, or, `per_path`, of a method and path."""

DELAY_S = 0.15
XML = '<?xml version="1.0"?><Error><Code>{}</Code><Message>planted</Message></Error>'
REFUSALS: dict[str, tuple[int, str, str]] = {
    "answer 500": (500, "InternalError", ""),
    "answer 503": (503, "", ""),
    "slow down": (503, "SlowDown", "Retry-After: 1\r\n"),
    "unknown key": (403, "InvalidAccessKeyId", ""),
    "bad signature": (403, "SignatureDoesNotMatch", ""),
    "expired token": (400, "ExpiredToken", ""),
}
"""Status, code and more headers; S3 gives no code in its answer to HEAD."""
PASSING: tuple[Fault, ...] = (
    *("delay", "drop answer", "swallow", "reset", "cut body", "flip bit", "flip sent bit"),
    *("answer 500", "answer 503", "slow down"),
)


def seeded_plan(seed: int, *, rate: float) -> Plan:
    """Faults that pass, for `rate` of the requests; for `faulty_proxy(…, per_path=True)`.

    The same for a request whatever comes between, and never three in a row for one path.
    """

    def plan(request: str, count: int) -> Fault:
        chance = random.Random(f"{seed} {request} {count}")
        if count % 3 == 2 or chance.random() >= rate:
            return "none"
        return chance.choice(PASSING)

    return plan


@dataclass(slots=True, kw_only=True)
class FaultyProxy:
    """Where the proxy is, how many requests of each method it has seen, how many of each fault it
    has made."""

    endpoint: str
    seen: dict[str, int] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)


@contextmanager
def faulty_proxy(target: str, plan: Plan, *, per_path: bool = False) -> Iterator[FaultyProxy]:
    """A proxy in front of `target` for the length of the block; headers pass unchanged."""
    lock = threading.Lock()
    host = urlsplit(target).netloc
    asked: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            request = f"{self.command} {self.path}" if per_path else self.command
            with lock:
                proxy.seen[self.command] = proxy.seen.get(self.command, 0) + 1
                count = asked.get(request, 0)
                asked[request] = count + 1
            fault = plan(request, count)
            with lock:
                proxy.made[fault] = proxy.made.get(fault, 0) + 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.close_connection = True
            if fault == "swallow":
                return
            if fault == "reset":
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                return
            if fault in REFUSALS:
                self.refuse(*REFUSALS[fault])
                return
            if fault == "delay":
                time.sleep(DELAY_S)
            if fault == "flip sent bit" and self.command == "PUT":
                body = flipped(body)
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
            if fault == "flip bit" and answer.status < 300:
                data = flipped(data)
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
            self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if fault == "cut body" else data)

        def refuse(self, status: int, code: str, more: str) -> None:
            body = XML.format(code) if code and self.command != "HEAD" else ""
            head = f"HTTP/1.1 {status} Refused\r\n{more}Connection: close\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            self.wfile.write((head + body).encode())

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.request_queue_size = 64
    proxy = FaultyProxy(endpoint=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def flipped(data: bytes) -> bytes:
    """Bytes with the lowest bit of the last one flipped."""
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data
