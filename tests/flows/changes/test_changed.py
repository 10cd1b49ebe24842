"""`plan --changed` lists exactly the shots that something touches, as if it had changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.errors import UsageError
from flows.changes.changed import as_if_changed
from flows.commands.tables.plan import plan_document
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request


@pytest.fixture(scope="module")
def episode(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Four shots: mika in two of them, a crowd in one; everything is stored."""
    folder = tmp_path_factory.mktemp("changed")
    (folder / "mika.png").write_bytes(b"mika")
    spec = folder / "ep.yaml"
    spec.write_text(
        f"""
source: {tiny_film}
name: ep
cut: [12, 24, 36]
store: {folder / "store"}
recipe:
  - interpolate: {{factor: 2, keep: true}}
  - upscale: {{scale: 2}}
cast: {{mika: {{references: [mika.png]}}, crowd: {{}}, nobody: {{}}}}
shots:
  sh010: {{cast: [mika]}}
  sh020: {{cast: [crowd]}}
  sh030: {{cast: [crowd, mika]}}
  sh040: {{recipe: [{{interpolate: {{factor: 2}}}}, {{upscale: {{scale: 2, model: restore2x}}}}]}}
"""
    )
    prepared = prepare(make_request(str(spec), output=str(folder / "f.mkv"), chunk=12), Silent())
    for name in prepared.plan.names():
        prepared.store.put(name, b"as if rendered")
    return prepare(prepared.request, Silent())


def listed(prepared: Prepared, thing: str) -> dict[str, int]:
    """The shots that are listed, with how many of their chunks are to be made."""
    changed = as_if_changed(prepared, thing)
    document = plan_document(prepared, changed=changed)
    assert document["changed"] == thing
    assert document["to_compute"] == sum(shot["to_compute"] for shot in document["shots"])
    for shot in document["shots"]:
        assert shot["why"] == [f"{thing} changed"]
    return {shot["id"]: shot["to_compute"] for shot in document["shots"]}


@pytest.mark.parametrize(
    ("thing", "shots"),
    [
        ("char:mika", {"sh010": 4, "sh030": 4}),
        ("char:crowd", {"sh020": 4, "sh030": 4}),
        ("char:nobody", {}),
        ("source:tiny.mkv", dict.fromkeys(("sh010", "sh020", "sh030", "sh040"), 4)),
        ("source:tiny", dict.fromkeys(("sh010", "sh020", "sh030", "sh040"), 4)),
        ("stage:interpolate", dict.fromkeys(("sh010", "sh020", "sh030", "sh040"), 4)),
        ("stage:upscale", {"sh010": 2, "sh020": 2, "sh030": 2, "sh040": 2}),
        ("model:restore2x", {"sh040": 2}),
    ],
)
def test_exactly_what_depends_on_it_is_listed(
    episode: Prepared, thing: str, shots: dict[str, int]
) -> None:
    assert listed(episode, thing) == shots


def test_nothing_is_to_be_made_of_the_plan_itself(episode: Prepared) -> None:
    as_if_changed(episode, "char:mika")
    document = plan_document(episode)
    assert (document["to_compute"], document["cached"]) == (0, 16)
    assert {shot["reason"] for shot in document["shots"]} == {"stored"}


def test_only_shots_asked_for_are_supposed_to_be_made(episode: Prepared) -> None:
    some = prepare(episode.request.model_copy(update={"shots": ("sh030",)}), Silent())
    assert listed(some, "char:mika") == {"sh030": 4}


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ("char:mikka", "unknown character 'mikka'.*did you mean 'mika'"),
        ("char:MIKA", "did you mean 'mika'"),
        ("char:x", "the cast is mika, crowd, nobody"),
        ("chars:mika", "char:NAME.*did you mean 'char'"),
        ("mika", "expected char:NAME"),
        ("char:", "expected char:NAME"),
        ("source:other.mkv", "sources are tiny.mkv"),
        ("stage:upscal", "did you mean 'upscale'"),
        ("model:restore", "unknown model 'restore'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    episode: Prepared, thing: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        as_if_changed(episode, thing)
    assert "\n" not in str(raised.value)
