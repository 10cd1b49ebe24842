"""What the docs say of the code is so: the map is drawn from it, and every path named is there."""

import re
import runpy
from pathlib import Path

import pytest

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
