"""A folder of models of one's own for every test here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.settings import settings
from tasks.models.shelf import ModelCard
from tasks.models.user.register import add_model


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where models are registered, empty at first."""
    monkeypatch.setenv("DOUGA_MODELS", str(tmp_path / "models"))
    settings.cache_clear()
    yield tmp_path / "models"
    settings.cache_clear()


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., ModelCard]:
    """Registers bytes as a user would register a file."""

    def add_bytes(name: str, data: bytes, **more: Any) -> ModelCard:
        path = tmp_path / f"{name}.weights"
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return add_model(name, **{"file": str(path), "sha256": digest, **more})

    return add_bytes
