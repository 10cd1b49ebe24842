"""Servers that live as long as the session; started when the first test asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.moto_server import moto_server
from tests.servers.swift import SWIFT_PYTHON, S3Server, swift_server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def swift() -> Iterator[S3Server]:
    if not SWIFT_PYTHON.exists():
        pytest.skip("no Swift here: run `make .venv-swift`")
    with swift_server() as server:
        yield server
