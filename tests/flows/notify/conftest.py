"""Settings for a test, and the two servers that are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cluster.settings import settings
from tests.servers.hooks import Receiver, receiver


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets `DOUGA_*` variables for the test: `setting(WEBHOOK_URL=…)`."""

    def change(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"DOUGA_{name}", str(value))
        settings.cache_clear()

    settings.cache_clear()
    yield change
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """A webhook's receiver."""
    with receiver() as server:
        yield server


class Listener:
    """A reporter that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, text: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Kept."""
        self.notes.append(text)

    def fraction(self, done: float) -> None:
        """Nothing."""

    def total(self, units: float) -> None:
        """Nothing."""

    def advance(self, units: float) -> None:
        """Nothing."""


@pytest.fixture
def listener() -> Listener:
    """A reporter that keeps the notes."""
    return Listener()
