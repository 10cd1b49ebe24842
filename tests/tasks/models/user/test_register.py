"""Adding models: what is measured, what is kept, what is refused, and that nothing is left then."""

import functools
import hashlib
import http.server
import io
import json
import pickle
import threading

import numpy as np
import pytest
import torch

from cluster.errors import ClusterError, InputError, StageError, UsageError
from tasks.models.shelf import find_card, list_cards, read_card
from tasks.models.user.register import licence_text, remove_model, weights_bytes
from tests.tasks.models.user import onnx_nets as nets


@pytest.mark.parametrize(
    ("data", "scale", "multiple", "reach"),
    [
        (nets.upscaler(scale=1, convs=2), 1, 1, 2),
        (nets.upscaler(scale=2, convs=3), 2, 1, 3),
        (nets.upscaler(scale=3, convs=5), 3, 1, 5),
        (nets.upscaler(scale=4, convs=3), 4, 1, 3),
        (nets.upscaler(scale=2, convs=4, dtype=np.float16), 2, 1, 4),
        (nets.blockwise(block=4), 1, 4, 7),
    ],
    ids=["1x", "2x", "3x", "4x", "fp16", "blocks"],
)
def test_what_a_network_needs_is_measured(add, data, scale, multiple, reach):
    card = add("net", data)
    assert (card.verb, card.scale, card.multiple) == ("upscale", scale, multiple)
    assert reach <= card.halo <= reach + 2 + 2 * multiple
    assert card.halo % card.multiple == 0
    assert card.frames == 1


def test_precision_and_parameters_are_read(add):
    assert add("full", nets.upscaler(convs=2)).precisions == ("fp32",)
    card = add("half", nets.upscaler(convs=2, dtype=np.float16))
    assert card.precisions == ("fp16",)
    learned = (8 * 3 * 9 + 8) + (12 * 8 * 9 + 12) + 12 * 3 + 1
    assert card.parameters == learned


def test_memory_grows_with_the_scale(add):
    cards = [add(f"x{scale}", nets.upscaler(scale=scale, convs=2)) for scale in (1, 4)]
    assert cards[0].memory_bytes_per_megapixel < cards[1].memory_bytes_per_megapixel
    assert cards[1].memory_bytes_per_megapixel > 1e6 * 12 * 17


def test_a_network_that_sees_everything_is_not_tiled(add):
    assert add("mean", nets.whole_picture()).halo is None


def test_what_was_added_is_found_listed_and_forgotten(add, own_models, tmp_path):
    licence = tmp_path / "terms.txt"
    licence.write_text("\n# MIT License\nDo as you like.\n")
    data = nets.upscaler(convs=2)
    card = add("mine", data, licence=licence, kind="restore")
    assert find_card("mine") == card == read_card("mine", verb="upscale")
    assert card in list_cards()
    assert card.licence == "MIT License"
    assert card.kind == "restore"
    assert card.origin == str(tmp_path / "mine.weights")
    assert licence_text(card) == licence.read_text()
    assert weights_bytes(card) == len(data)
    assert card.folder == str(own_models / "mine")
    remove_model("mine")
    assert not (own_models / "mine").exists()
    with pytest.raises(UsageError, match="unknown model 'mine'"):
        find_card("mine")


def test_a_digest_is_taken_in_capitals_and_with_its_name(add):
    data = nets.upscaler(convs=2)
    digest = hashlib.sha256(data).hexdigest()
    assert add("mine", data, sha256=f"sha256:{digest.upper()}").sha256 == digest


BAD = {
    "garbage": (b"not a network at all", InputError, "cannot open it"),
    "empty": (b"", InputError, "empty"),
    "two inputs": (nets.two_inputs(), InputError, r"has 2 input\(s\) and 1 output"),
    "grey": (nets.upscaler(convs=2, channels=1), InputError, r"1 channel\(s\), expected 3"),
    "grey out": (nets.grey_out(), InputError, r"output has 1 channel\(s\), expected 3"),
    "fixed": (nets.upscaler(convs=2, size=(64, 96)), InputError, "takes 96x64 pictures only"),
    "8x": (nets.upscaler(convs=2, scale=8), InputError, "expected 1 to 4 times"),
    "weights beside it": (nets.external(), InputError, "lie in other files"),
    "weights beside a node": (nets.external(in_node=True), InputError, "lie in other files"),
    "terabytes": (nets.endless(largely=True), InputError, "fails on"),
    "cut": (nets.upscaler()[:-900], InputError, "cannot open it"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(add, own_models, what):
    data, kind, message = BAD[what]
    with pytest.raises(kind, match=message) as error:
        add("net", data)
    assert "model net" in str(error.value)
    assert not list(own_models.iterdir())


def test_a_wrong_digest_is_named_with_both(add, own_models):
    data = nets.upscaler(convs=2)
    with pytest.raises(InputError, match=f"expected sha256 {'0' * 64}, got {'[0-9a-f]' * 64}"):
        add("net", data, sha256="0" * 64)
    assert not list(own_models.iterdir())


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("upscale2x", {}, "is built in"),
        ("../evil", {}, "cannot be a name"),
        ("Caps", {}, "cannot be a name"),
        (".hidden", {}, "cannot be a name"),
        ("net", {"sha256": "12ab"}, "is no SHA-256"),
        ("net", {"file": "ftp://host/net.onnx"}, r"expected a path or an http\(s\) URL"),
        ("net", {"file": "file:///etc/passwd"}, r"expected a path or an http\(s\) URL"),
    ],
)
def test_words_that_cannot_be_are_usage_errors(add, own_models, tmp_path, name, more, message):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"x")
    from tasks.models.user.register import add_model

    given = {"file": str(path), "sha256": hashlib.sha256(b"x").hexdigest(), **more}
    with pytest.raises(UsageError, match=message):
        add_model(name, **given)
    assert not own_models.exists() or not list(own_models.iterdir())


def test_a_name_is_given_once(add):
    add("net", nets.upscaler(convs=2))
    with pytest.raises(UsageError, match="there is a model 'net' already"):
        add("net", nets.upscaler(convs=2))


def test_the_verb_can_be_asked_for(add, own_models):
    with pytest.raises(InputError, match="a network for upscale, not interpolate"):
        add("net", nets.upscaler(convs=2), verb="interpolate")
    assert not list(own_models.iterdir())


def test_built_in_models_cannot_be_removed():
    with pytest.raises(UsageError, match="'upscale2x' is built in"):
        remove_model("upscale2x")


@pytest.mark.parametrize("name", ["..", ".", "nope", ""])
def test_only_models_are_removed(add, own_models, name):
    add("net", nets.upscaler(convs=2))
    with pytest.raises(UsageError, match="added models are net"):
        remove_model(name)
    assert own_models.exists()


def test_weights_come_from_the_web_too(add, tmp_path):
    data = nets.upscaler(convs=2)
    (tmp_path / "far.onnx").write_bytes(data)
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        card = add("net", data, file=f"{url}/far.onnx?token=secret")
        assert card.origin == f"{url}/far.onnx"
        with pytest.raises(InputError, match="answered 404"):
            add("other", data, file=f"{url}/nowhere.onnx")
        server.shutdown()


class Evil:
    """Unpickling it would run a program."""

    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('evil').touch()",))


def pickled(thing):
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [pickled({"params": Evil()}), pickled(Evil()), pickle.dumps(Evil())],
    ids=["inside", "outside", "bare pickle"],
)
def test_no_program_runs_from_weights(add, own_models, tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"could run any program|no PyTorch file"):
        add("evil", data)
    assert not (tmp_path / "evil").exists()
    assert not list(own_models.iterdir())


@pytest.mark.parametrize("thing", [[1, 2], {"params": {"a": 3}}, {}, "words"])
def test_a_pth_without_tensors_is_refused(add, thing):
    with pytest.raises(InputError, match="expected tensors by name"):
        add("net", pickled(thing))


def test_pytorch_upscalers_need_the_extra(add, own_models):
    with pytest.raises(ClusterError, match=r"pip install 'douga\[zoo\]'"):
        add("net", pickled({"conv.weight": torch.zeros(3)}))
    assert not list(own_models.iterdir())


def test_a_bad_card_says_how_to_mend_it(add, own_models):
    add("net", nets.upscaler(convs=2))
    path = own_models / "net/card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scale": 0}))
    with pytest.raises(StageError, match=r"bad card: scale.*douga models remove net"):
        find_card("net")
