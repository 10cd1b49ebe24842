"""The model shelf: cards are checked, weights are what their card says."""

import json
import shutil

import pytest

from cluster.errors import StageError, UsageError
from tasks.models.shelf import SHELF, list_cards, load_model, model_names, read_card


@pytest.fixture
def shelf(tmp_path):
    """A copy of the shelf with one model, to damage."""
    (tmp_path / "upscale2x").mkdir()
    for name in ("card.json", "weights.safetensors"):
        shutil.copy(SHELF / "upscale2x" / name, tmp_path / "upscale2x" / name)
    return tmp_path


def rewrite(shelf, **changes):
    path = shelf / "upscale2x/card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", model_names())
def test_every_model_is_what_its_card_says(name):
    document = json.loads((SHELF / name / "card.json").read_text())
    card = read_card(name, verb=document["verb"])
    net = load_model(card)
    assert card.name == name
    assert sum(tensor.numel() for tensor in net.parameters()) == card.parameters
    assert not net.training


def test_a_flipped_bit_in_the_weights_is_found(shelf):
    path = shelf / "upscale2x/weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(StageError, match="expected sha256"):
        load_model(read_card("upscale2x", verb="upscale", shelf=shelf), shelf=shelf)


def test_missing_weights_are_named(shelf):
    (shelf / "upscale2x/weights.safetensors").unlink()
    with pytest.raises(StageError, match=r"no weights at weights\.safetensors"):
        load_model(read_card("upscale2x", verb="upscale", shelf=shelf), shelf=shelf)


def test_weights_of_another_shape_do_not_fit(shelf):
    rewrite(shelf, shape={"channels": 16, "layers": 8})
    with pytest.raises(StageError, match="does not fit the network"):
        load_model(read_card("upscale2x", verb="upscale", shelf=shelf), shelf=shelf)


def test_a_bad_card_names_the_field(shelf):
    rewrite(shelf, halo=-1)
    with pytest.raises(StageError, match="bad card: halo"):
        read_card("upscale2x", verb="upscale", shelf=shelf)


def test_a_model_for_another_verb_is_refused(shelf):
    with pytest.raises(UsageError, match="does upscale, not colorize"):
        read_card("upscale2x", verb="colorize", shelf=shelf)


def test_an_unknown_model_lists_the_shelf(shelf):
    with pytest.raises(UsageError, match=r"models are .*upscale2x"):
        read_card("zzz", verb="upscale", shelf=shelf)


def test_no_two_upscalers_answer_to_one_scale_and_kind():
    asked = [(card.scale, card.kind) for card in list_cards(shelf=SHELF) if card.verb == "upscale"]
    assert len(asked) == len(set(asked)), asked
