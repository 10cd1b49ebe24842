"""What commands do with what was typed."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest
import typer

from cluster.errors import UsageError
from flows.commands.options import check_folder


class Terminal(StringIO):
    """What a person types into a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_folder_that_is_not_there_is_refused_where_nobody_can_be_asked(tmp_path: Path) -> None:
    film = tmp_path / "new" / "film.mkv"
    with pytest.raises(UsageError, match=f"mkdir -p {film.parent}"):
        check_folder(str(film), option="-o")
    assert not film.parent.exists()
    film.parent.mkdir()
    for named in (str(film), "film.mkv", ""):
        check_folder(named, option="-o")


@pytest.mark.parametrize(("answer", "made"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_is_asked_for_it(
    answer: str, made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "new" / "film.mkv"
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    if made:
        check_folder(str(film), option="-o")
    else:
        with pytest.raises(typer.Abort):
            check_folder(str(film), option="-o")
    assert film.parent.is_dir() is made
