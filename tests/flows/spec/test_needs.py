"""What work needs of a node: as it is written, narrowed by a shot, of several stages at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cluster.errors import UsageError
from flows.commands.schemas import episode_schema
from flows.runs.job import asked_of
from flows.spec.documents import EpisodeSpec
from flows.spec.needs import NONE, Needs, NeedsSpec, together
from flows.spec.request import RenderRequest
from flows.spec.yaml_file import read_episode


def episode(tmp_path: Path, text: str) -> EpisodeSpec:
    path = tmp_path / "ep01.yaml"
    path.write_text(f"source: film.mkv\n{text}")
    return read_episode(path)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"tag": "a6000"}, Needs(tags=("a6000",))),
        ({"tag": ["spot", "a6000"]}, Needs(tags=("a6000", "spot"))),
        ({"memory": "24GB"}, Needs(memory_bytes=24 * 10**9)),
        ({"memory": "1.5 GiB"}, Needs(memory_bytes=3 << 29)),
        ({"card": "rtx-a6000", "soft": True}, Needs(card="rtx-a6000", soft=True)),
        ({"licence": "nuke"}, Needs(licences=("nuke",))),
        ({}, NONE),
    ],
)
def test_needs_are_read_and_described(written: dict[str, Any], expected: Needs) -> None:
    assert NeedsSpec.model_validate(written).settled() == expected
    document = {"source": "a.mkv", "needs": written, "recipe": [{"upscale": {"needs": written}}]}
    jsonschema.validate(document, episode_schema())


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("needs:\n  memory: plenty\n", 3, "24GB"),
        ("needs:\n  tags: a6000\n", 3, "did you mean 'tag'"),
        ("needs: {tag: 'a 6000'}\n", 2, "letters"),
        ("recipe:\n  - upscale: {needs: {memory: 3}}\n", 3, "24GB"),
    ],
)
def test_needs_that_are_none_are_named_with_their_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        episode(tmp_path, text)
    assert f"ep01.yaml:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_needs_travel_with_a_request(tmp_path: Path) -> None:
    spec = episode(tmp_path, "needs: {tag: a6000, memory: 24GB}\n")
    sent = RenderRequest(episode=spec, output="o.mkv", store="s").model_dump(mode="json")
    assert RenderRequest.model_validate(sent).episode.needs == spec.needs


def test_what_a_shot_says_replaces_what_the_episode_says_of_it(tmp_path: Path) -> None:
    spec = episode(
        tmp_path,
        "needs: {tag: a6000, licence: nuke}\nshots:\n  sh010: {needs: {tag: h200}}\n"
        "  sh020: {needs: {tag: [], memory: 24GB}}\n",
    )
    assert spec.needs_for("sh010") == Needs(tags=("h200",), licences=("nuke",))
    assert spec.needs_for("sh020") == Needs(memory_bytes=24 * 10**9, licences=("nuke",))
    assert spec.needs_for("sh030") == Needs(tags=("a6000",), licences=("nuke",))


def test_a_worker_of_several_stages_has_what_each_needs() -> None:
    soft = Needs(tags=("a6000",), memory_bytes=8, soft=True)
    assert together([soft, NONE], where="") == soft
    hard = Needs(tags=("spot",), memory_bytes=9, licences=("nuke",))
    both = together([soft, hard], where="")
    assert both == Needs(tags=("a6000", "spot"), memory_bytes=9, licences=("nuke",))
    with pytest.raises(UsageError, match=r"h200.*rtx-a6000"):
        together([Needs(card="rtx-a6000"), Needs(card="h200")], where="ep01/sh010")


def test_where_an_episode_is_made_is_no_part_of_what_is_asked_for(tmp_path: Path) -> None:
    """A job that was submitted by an earlier douga, or is moved to other nodes, is the same job."""
    plain, placed = (
        RenderRequest(episode=episode(tmp_path, text), output="o.mkv", store="s")
        for text in (
            "recipe: [hold, upscale]\nshots: {sh010: {cast: []}}\n",
            "needs: {tag: a6000}\nrecipe: [hold, {upscale: {needs: {memory: 8GB}}}]\n"
            "shots: {sh010: {cast: [], needs: {licence: nuke}}}\n",
        )
    )
    assert asked_of(plain) == asked_of(placed)
    assert "needs" not in str(asked_of(plain))
