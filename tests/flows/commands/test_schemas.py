"""JSON Schemas: as the code says, of every document, taken by the documents that the docs show.

`Ended.document` in tests/conftest.py holds what commands print against them.
"""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from flows.commands.samples import EPISODE, SCHEMA
from flows.commands.schemas import (
    DOCUMENTS,
    FOLDER,
    all_schemas,
    document_schema,
    episode_schema,
    nightly_schema,
)

ROOT = Path(__file__).parents[3]


def test_schemas_are_those_of_the_code() -> None:
    written = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert written == all_schemas(), "make schemas writes them anew"


def test_every_document_has_a_schema() -> None:
    calls = [
        words
        for path in (ROOT / "flows").rglob("*.py")
        for words in re.findall(r"[^f] print_json\((.*)", path.read_text())
    ]
    named = {name for words in calls for name in re.findall(r'"([\w-]+)"', words)}
    assert named & set(DOCUMENTS) == set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_says_which_it_is(name: str) -> None:
    schema = document_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"] == {"const": f"douga/{name}-1"}


def shown(page: str, *, begin: str) -> object:
    """The document that a page shows."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
    return yaml.safe_load(next(block for block in blocks if begin in block))


@pytest.mark.parametrize(
    ("page", "begin"),
    [
        ("episode.md", "source:"),
        ("timelines.md", "sources:"),
        ("colorize.md", "source:"),
        ("interpolate.md", "recipe:"),
    ],
)
def test_episodes_of_the_docs_are_good(page: str, begin: str) -> None:
    document = shown(page, begin=begin)
    assert isinstance(document, dict)
    jsonschema.validate(
        {"source": "ep01.mkv"} | document if begin == "recipe:" else document, episode_schema()
    )


def test_nightly_of_the_docs_is_good() -> None:
    jsonschema.validate(shown("nightly.md", begin="episodes:"), nightly_schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipe": ["hold"]},
        {"source": "a.mkv", "recepi": []},
        {"source": "a.mkv", "recipe": ["upscail"]},
        {"source": "a.mkv", "recipe": [{"upscale": {"skale": 2}}]},
        {"source": "a.mkv", "cut": "edit.txt"},
        {"source": "a.mkv", "delivery": {"encoder": "h264"}},
    ],
)
def test_editors_mark_what_is_wrong(wrong: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, episode_schema())


def test_sample_begins_with_the_line_that_editors_read() -> None:
    text = EPISODE.format(schema=SCHEMA, name="episode.yaml", film="film.mkv")
    assert text.startswith("# yaml-language-server: $schema=episode.schema.json\n")
    jsonschema.validate(yaml.safe_load(text), episode_schema())
