"""Which networks enlarge a picture: by scale and kind from the shelf, or the one that is named."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.errors import UsageError
from tasks.models.choose import choose_models
from tasks.models.shelf import SHELF, Kind


@dataclass(frozen=True)
class Shelf:
    """A shelf that has nothing but what is put there."""

    folder: Path

    def put(self, **cards: tuple[int, str]) -> None:
        """Cards by name, as (scale, kind)."""
        given = json.loads((SHELF / "upscale2x/card.json").read_text())
        for name, (scale, kind) in cards.items():
            (self.folder / name).mkdir()
            card = given | {"name": name, "scale": scale, "kind": kind}
            (self.folder / name / "card.json").write_text(json.dumps(card))

    def names(
        self, *, scale: int | None = None, kind: Kind = "faithful", model: str = ""
    ) -> list[str]:
        """The chosen models."""
        chosen = choose_models(scale=scale, kind=kind, model=model, shelf=self.folder)
        return [card.name for card in chosen]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with one 2x network."""
    made = Shelf(tmp_path)
    made.put(plain2=(2, "faithful"))
    return made


def test_two_is_the_usual_scale(shelf: Shelf) -> None:
    assert shelf.names() == ["plain2"]


def test_scale_and_kind_choose_the_model(shelf: Shelf) -> None:
    shelf.put(clean2=(2, "restore"), plain3=(3, "faithful"))
    assert shelf.names(scale=2) == ["plain2"]
    assert shelf.names(scale=2, kind="restore") == ["clean2"]
    assert shelf.names(scale=3) == ["plain3"]


def test_four_is_two_passes_the_second_faithful(shelf: Shelf) -> None:
    shelf.put(clean2=(2, "restore"))
    assert shelf.names(scale=4) == ["plain2", "plain2"]
    assert shelf.names(scale=4, kind="restore") == ["clean2", "plain2"]
    assert shelf.names(scale=4, model="clean2") == ["clean2", "plain2"]


def test_a_model_of_the_whole_scale_goes_before_two_passes(shelf: Shelf) -> None:
    shelf.put(plain4=(4, "faithful"))
    assert shelf.names(scale=4) == ["plain4"]
    assert shelf.names(model="plain4") == ["plain4"]


@pytest.mark.parametrize(
    "asked", [{"scale": 3}, {"scale": 2, "kind": "restore"}, {"scale": 4, "kind": "restore"}]
)
def test_what_the_shelf_has_not_is_an_error(shelf: Shelf, asked: dict) -> None:
    with pytest.raises(UsageError, match=r"has no .* model; it has 2x faithful \(plain2\)"):
        shelf.names(**asked)


def test_a_scale_that_a_named_model_does_not_divide_is_an_error(
    shelf: Shelf,
) -> None:
    shelf.put(plain3=(3, "faithful"))
    with pytest.raises(UsageError, match="scales by 3, which does not go into 4"):
        shelf.names(scale=4, model="plain3")
    with pytest.raises(UsageError, match="scales by 3, which does not go into 2"):
        shelf.names(scale=2, model="plain3")


def test_a_model_that_does_something_else_is_refused(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="unknown model 'plain9'; did you mean 'plain2'"):
        shelf.names(model="plain9")
