"""moto's S3 in this process: quick, in memory, takes any key. For the fast half of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

from tests.servers.swift import S3Server


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """moto on a free port, from its start to the end of the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(endpoint=f"http://{host}:{port}", access_key="any", secret_key="any")
    finally:
        server.stop()
