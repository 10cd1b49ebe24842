"""`douga farm`: who is there, who is out and why, what was said of a node and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from cluster.node.records import Here, leave, name_of
from cluster.store.base import Store
from cluster.store.open import open_store
from cluster.store.records import record_text
from flows.cli import app
from flows.commands.schemas import document_schema
from flows.farm.shares import member


@pytest.fixture
def farm(tmp_path: Path, set_variables: Callable[..., None]) -> Store:
    """A farm's store, with a node that told of itself just now."""
    url = (tmp_path / "farm").as_uri()
    set_variables(DOUGA_FARM=url, DOUGA_RAY="")
    store = open_store(url)
    ws3 = Here(
        name="ws3",
        host="ws3.studio",
        state="on the farm at head:6379",
        cpus=8,
        memory_bytes=32 << 30,
        cards=("rtx-a6000",),
        tags=("workstation",),
        licences={"nuke": 2},
        load=0.5,
        mac="00:11:22:aa:bb:cc",
        broadcast="127.0.0.1",
        sleeps=True,
    )
    for here in (ws3, Here(name="ws4", host="ws4.studio", state="away")):
        store.put(name_of(here.name, "here"), record_text(asdict(here)).encode())
    return store


def douga(*words: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["farm", *words])
    if ended.exception and not isinstance(ended.exception, SystemExit):
        return ended.exception.exit_code, str(ended.exception)  # type: ignore[attr-defined]
    return ended.exit_code, ended.output


def nodes() -> dict[str, dict[str, Any]]:
    """What `--json` says of each node."""
    code, text = douga("--json")
    assert code == 0, text
    document = json.loads(text)
    jsonschema.validate(document, document_schema("farm"))
    return {node["name"]: node for node in document["nodes"]}


def test_a_farm_lists_its_nodes_and_what_they_do(farm: Store) -> None:
    with member("run1", "ep07", pool="cpu", size=1, wants=8) as part:
        assert part is not None
        part.share(8, wants=8, holds=3, seconds=5, on={"ws3": 3})
        ws3 = nodes()["ws3"]
        assert ws3["doing"] == [{"episode": "ep07", "run": "run1", "workers": 3}]
        assert (ws3["out"], ws3["here"], ws3["cards"]) == (None, True, ["rtx-a6000"])
        _, text = douga()
    assert "ep07 (3)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_drained_node_is_out_until_undrain(farm: Store) -> None:
    assert douga("drain", "ws3", "--why", "new disk")[0] == 0
    out = nodes()["ws3"]["out"]
    assert (out["kind"], out["why"]) == ("drain", "new disk")
    assert out["by"]
    assert "new disk" in douga()[1]
    assert douga("undrain", "ws3")[0] == 0
    assert nodes()["ws3"]["out"] is None
    assert douga("undrain", "ws3")[0] == 0


def test_a_quarantine_wants_a_reason(farm: Store) -> None:
    assert douga("quarantine", "ws3")[0] != 0
    assert nodes()["ws3"]["out"] is None
    assert douga("quarantine", "ws3", "--why", "torn frames")[0] == 0
    assert nodes()["ws3"]["out"]["kind"] == "quarantine"


def test_a_node_that_left_by_itself_says_why_and_until_when(farm: Store) -> None:
    leave(farm, "ws4", why="lent 20:00-08:00 only", until="20:00")
    assert "20:00" in nodes()["ws4"]["out"]["said"]
    douga("undrain", "ws4")
    assert nodes()["ws4"]["out"], "that is its owner's word"


def test_a_node_that_nobody_knows_is_named_with_the_nearest(farm: Store) -> None:
    code, text = douga("drain", "ws33")
    assert code == 64
    assert "ws3" in text


def test_a_head_that_does_not_answer_hides_no_node(
    farm: Store, set_variables: Callable[..., None]
) -> None:
    set_variables(DOUGA_RAY="127.0.0.1:9")
    code, text = douga()
    assert code == 0
    assert "127.0.0.1:9" in text
    assert "ws3" in text


def test_only_a_node_with_a_command_for_it_is_put_to_sleep(farm: Store) -> None:
    code, text = douga("sleep", "ws4")
    assert code == 64
    assert "--sleep-command" in text
    assert douga("sleep", "ws3", "--why", "the weekend")[0] == 0
    assert nodes()["ws3"]["out"]["kind"] == "sleep"
    assert douga("wake", "ws3")[0] == 0
    assert nodes()["ws3"]["out"] is None
    assert douga("wake", "ws4")[0] == 64, "its card is not known"


@pytest.mark.parametrize(
    "words", [(), ("drain", "ws3"), ("undrain", "ws3"), ("sleep", "ws3"), ("wake", "ws3")]
)
def test_without_a_farm_one_line_says_what_to_set(
    words: tuple[str, ...], set_variables: Callable[..., None]
) -> None:
    set_variables(DOUGA_FARM="")
    code, text = douga(*words)
    assert code == 64
    assert "DOUGA_FARM" in text
