"""A Ray head is asked before Ray is: what is no address, no Ray, or wants another token."""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest

from cluster.connect.head_check import check_head
from cluster.errors import ClusterError, UsageError


class Head(grpc.GenericRpcHandler):
    """Answers as Ray's head does, here with a token of its own."""

    def __init__(self, *, token: str = "", ray: str = version("ray")) -> None:
        self._token = token
        self._ray = ray

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        came = dict(details.invocation_metadata).get("authorization", "")

        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            if self._token and came != f"Bearer {self._token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
            return b"\n\x00\x12\x06" + self._ray.encode() + b" \x01"

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    servers: list[grpc.Server] = []
    monkeypatch.setenv("RAY_AUTH_MODE", "unset")
    monkeypatch.setenv("HOME", str(tmp_path))

    def start(head: Head) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[head])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None)


@pytest.mark.parametrize(
    "wrong",
    [
        "banana",
        "127.0.0.1",
        "ray://head:10001",
        "head:",
        ":6379",
        "head:99999",
        "me:word@head:6379",
    ],
)
def test_what_is_no_address_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(UsageError, match="expected host:port") as refused:
        check_head(wrong)
    assert "word" not in str(refused.value)


def test_auto_is_left_to_ray() -> None:
    check_head("auto")


def test_a_silent_port_and_one_that_is_no_ray_are_told_apart() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ClusterError, match=r"no Ray cluster answers at 127.*refused"):
            check_head(f"127.0.0.1:{free.getsockname()[1]}")
    web = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with pytest.raises(ClusterError, match="what listens there is no Ray head"):
            check_head(f"127.0.0.1:{web.server_address[1]}")
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def test_an_open_head_is_joined_without_a_token(serve: Any) -> None:
    check_head(serve(Head()))
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_head_with_a_token_is_joined_with_the_same(
    serve: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = serve(Head(token="a" * 64))
    with pytest.raises(ClusterError, match=r"wants a token; .*RAY_AUTH_TOKEN_PATH"):
        check_head(address)
    path = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    path.write_text("b" * 64)
    with pytest.raises(ClusterError, match="refused the token"):
        check_head(address)
    path.write_text("a" * 64 + "\n")
    check_head(address)
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_another_version_of_ray_is_told(serve: Any) -> None:
    with pytest.raises(ClusterError, match=r"runs Ray 1\.2\.3, this is"):
        check_head(serve(Head(ray="1.2.3")))
