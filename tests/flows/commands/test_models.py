"""`douga models`: what people and programs get to see, and a render with what was added."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.models.shelf import SHELF, model_names
from tests.tasks.models.user import onnx_nets as nets


@pytest.fixture
def models(douga: Any, tmp_path: Path) -> Callable[..., Any]:
    """`douga models …` with a folder of its own."""

    def run(*words: str | Path) -> Any:
        return douga("models", *words, DOUGA_MODELS=str(tmp_path / "models"))

    return run


@pytest.fixture
def given(tmp_path: Path) -> tuple[str | Path, ...]:
    """A small network's file, and the words that add it."""
    data = nets.upscaler(convs=2)
    path = tmp_path / "small.onnx"
    path.write_bytes(data)
    return ("--file", path, "--sha256", hashlib.sha256(data).hexdigest())


def test_the_shelf_is_listed_for_programs(models: Callable[..., Any]) -> None:
    ended = models("--json")
    cards = {card["name"]: card for card in ended.document["models"]}
    assert set(cards) == set(model_names(shelf=SHELF))
    card = cards["upscale2x"]
    assert (card["verb"], card["scale"], card["licence"]) == ("upscale", 2, "Apache-2.0")
    assert card["size_bytes"] == (SHELF / "upscale2x" / card["weights"]).stat().st_size
    assert card["origin"]
    assert models("list", "--json").document == ended.document


def test_a_network_is_added_shown_and_removed(
    models: Callable[..., Any], given: tuple[str | Path, ...], tmp_path: Path
) -> None:
    licence = tmp_path / "LICENSE"
    licence.write_text("MIT License\n\nCopyright somebody [sic]\n")
    added = models("add", "small", *given, "--licence", licence, "--json")
    assert added.code == 0, added.err
    assert "measuring the network" in added.err
    assert added.document["scale"] == 2
    assert "small" in models().out
    shown = models("show", "small")
    assert "Copyright somebody [sic]" in shown.out
    assert str(tmp_path / "small.onnx") in shown.out.replace("\n", "").replace(" ", "")
    assert models("show", "small", "--json").document["licence_text"] == licence.read_text()
    assert models("remove", "small").code == 0
    assert models("show", "small").code == 64
    assert "small" not in models().out


def test_the_table_fits_a_hundred_columns(
    models: Callable[..., Any], given: tuple[str | Path, ...]
) -> None:
    models("add", "a-network-with-rather-a-long-name-that-goes-on", *given)
    ended = models()
    assert max(map(len, ended.out.splitlines())) <= 100
    assert "upscale2x" in ended.out
    assert "not given" in ended.out


def test_errors_are_one_line_with_their_exit_code(
    models: Callable[..., Any], given: tuple[str | Path, ...], tmp_path: Path
) -> None:
    _, path, _, digest = given
    wrong = models("add", "small", "--file", path, "--sha256", "0" * 64)
    assert (wrong.code, wrong.out) == (1, "")
    assert f"expected sha256 {'0' * 64}, got {digest}" in wrong.err
    assert "Traceback" not in wrong.err
    assert models("add", "small", "--file", path).code == 64
    assert models("add", "upscale2x", *given).code == 64
    assert models("remove", "nothing").code == 64
    assert not list((tmp_path / "models").iterdir())


def test_a_shot_is_rendered_with_what_was_added(
    douga: Any,
    models: Callable[..., Any],
    given: tuple[str | Path, ...],
    tiny_film: Path,
    tmp_path: Path,
) -> None:
    models("add", "small", *given)
    own = {"DOUGA_MODELS": str(tmp_path / "models")}
    words = (
        *("render", tiny_film, "-o", tmp_path / "film.mkv", "--shots", "sh010"),
        *("--store", (tmp_path / "store").as_uri(), "--stage", "upscale:model=small", "--json"),
    )
    first = douga(*words, **own)
    assert first.code == 0, first.err
    assert first.document["chunks_computed"] >= 1
    assert first.document["frames_out"] > 0
    (kept,) = (path for path in (tmp_path / "store/assets").rglob("*") if path.is_file())
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == given[-1]
    again = douga(*words, **own)
    assert again.document["chunks_computed"] == 0
    weights = tmp_path / "models/small/weights.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    changed = douga(*words, **own)
    assert changed.code == 1
    assert "the file has changed; douga models remove small, then add it again" in changed.err
    assert "starting workers" not in changed.err
