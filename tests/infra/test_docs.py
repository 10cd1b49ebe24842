"""What the docs say of the code is so: the map, every path named, commands, exit codes, stages."""

import re
import runpy
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cluster.errors import Exit
from flows.cli import app
from tasks.stages.registry import STAGES

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT, *(ROOT / name for name in ("docs", "flows", "tasks", "cluster", "infra")))
PAGES = [
    page
    for folder in FOLDERS
    for page in sorted(folder.glob("*.md" if folder == ROOT else "**/*.md"))
    if page.name != "CHANGELOG.md"  # names what was there then
]
PATH = re.compile(r"(?<![\w/.:-])(?:flows|tasks|cluster|tests|infra|docs)/[\w./*-]*[\w*/]")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
FREE = {"tasks/stages/sharpen.py", "tests/tasks/stages/test_sharpen.py"}
"""What docs/adding-a-stage.md has its reader make."""


def test_map_is_of_the_rooms_as_they_are() -> None:
    drawing = runpy.run_path(str(ROOT / "docs/map.py"))
    assert drawing["PICTURE"].read_text() == drawing["draw"](), "make map draws it anew"
    assert drawing["PAGE"].read_text() == drawing["describe"](), "make map writes it anew"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_named_is_there(page: Path) -> None:
    text = page.read_text()
    gone = [name for name in PATH.findall(text) if name not in FREE and not any(ROOT.glob(name))]
    gone += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not gone


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table after a heading."""
    _, text = (ROOT / "docs" / page).read_text().split(f"\n{heading}\n", 1)
    lines = [line for line in text.split("\n\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_exit_codes_are_those_of_the_code() -> None:
    told = [
        int(code) for row in table("commands.md", "## For programs") for code in row[0].split(",")
    ]
    assert told == sorted(Exit)


def test_every_command_is_told_of() -> None:
    told = (ROOT / "docs/commands.md").read_text()
    names = get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in names if f"`douga {name}" not in told] == []


def test_every_stage_is_told_of() -> None:
    assert {row[0].strip("`") for row in table("episode.md", "## Stages")} == set(STAGES)


def test_every_promise_when_things_break_has_its_proof() -> None:
    rows = table("promises.md", "## What happens when…")
    assert len(rows) >= 15
    assert all(PATH.search(proof) for _, _, proof in rows)


def test_contributors_find_every_room() -> None:
    told = set(re.findall(r"\w+", (ROOT / "CONTRIBUTING.md").read_text().split("## Recipes")[0]))
    rooms = runpy.run_path(str(ROOT / "docs/map.py"))["read_rooms"]()
    assert {room.split(".")[1] for room in rooms} - told == set()


def test_douga_says_its_version() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"douga {version('douga')}\n")
