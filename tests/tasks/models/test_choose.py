"""Which networks enlarge a picture: by scale and kind from the shelf, or the one that is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.errors import UsageError
from tasks.models.choose import choose_models
from tasks.models.shelf import SHELF


@pytest.fixture
def shelf(tmp_path: Path) -> Callable[..., None]:
    """Puts cards on a shelf that has nothing else; `name=(scale, kind)`."""
    given = json.loads((SHELF / "upscale2x/card.json").read_text())

    def put(**cards: tuple[int, str]) -> None:
        for name, (scale, kind) in cards.items():
            (tmp_path / name).mkdir()
            card = given | {"name": name, "scale": scale, "kind": kind}
            (tmp_path / name / "card.json").write_text(json.dumps(card))

    put(plain2=(2, "faithful"))
    return put


def names(*, scale: int | None = None, kind: str = "faithful", model: str = "") -> list[str]:
    return [card.name for card in choose_models(scale=scale, kind=kind, model=model)]  # type: ignore[arg-type]


def test_two_is_the_usual_scale(shelf: Callable[..., None]) -> None:
    assert names() == ["plain2"]


def test_scale_and_kind_choose_the_model(shelf: Callable[..., None]) -> None:
    shelf(clean2=(2, "restore"), plain3=(3, "faithful"))
    assert names(scale=2) == ["plain2"]
    assert names(scale=2, kind="restore") == ["clean2"]
    assert names(scale=3) == ["plain3"]


def test_four_is_two_passes_the_second_faithful(shelf: Callable[..., None]) -> None:
    shelf(clean2=(2, "restore"))
    assert names(scale=4) == ["plain2", "plain2"]
    assert names(scale=4, kind="restore") == ["clean2", "plain2"]
    assert names(scale=4, model="clean2") == ["clean2", "plain2"]


def test_a_model_of_the_whole_scale_goes_before_two_passes(shelf: Callable[..., None]) -> None:
    shelf(plain4=(4, "faithful"))
    assert names(scale=4) == ["plain4"]
    assert names(model="plain4") == ["plain4"]


@pytest.mark.parametrize(
    "asked", [{"scale": 3}, {"scale": 2, "kind": "restore"}, {"scale": 4, "kind": "restore"}]
)
def test_what_the_shelf_has_not_is_an_error(shelf: Callable[..., None], asked: dict) -> None:
    with pytest.raises(UsageError, match=r"has no .* model; it has 2x faithful \(plain2\)"):
        names(**asked)


def test_a_scale_that_a_named_model_does_not_divide_is_an_error(
    shelf: Callable[..., None],
) -> None:
    shelf(plain3=(3, "faithful"))
    with pytest.raises(UsageError, match="scales by 3, which does not go into 4"):
        names(scale=4, model="plain3")
    with pytest.raises(UsageError, match="scales by 3, which does not go into 2"):
        names(scale=2, model="plain3")


def test_a_model_that_does_something_else_is_refused(shelf: Callable[..., None]) -> None:
    with pytest.raises(UsageError, match="unknown model 'plain9'; did you mean 'plain2'"):
        names(model="plain9")
