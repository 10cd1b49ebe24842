"""A cache spares work and never stands in its way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.cache import cached, read_cached, write_cached
from cluster.errors import InputError


def read_number(text: str) -> int:
    """What a user of the cache makes of a text."""
    return int(json.loads(text)["number"])


def refuse(text: str) -> int:
    raise InputError("of another version")


def test_what_is_cached_is_not_made_again(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "x.json"
    assert cached(file, lambda: '{"number": 7}', read_number) == 7
    assert cached(file, lambda: pytest.fail("made again"), read_number) == 7
    assert [each.name for each in file.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    "torn", [b"", b'{"numb', b"{}", b"[]", b"null", b"7", b'{"number": "x"}', b"\xff\xfe"]
)
def test_what_cannot_be_read_is_made_again(torn: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(torn)
    assert read_cached(file, read_number) is None
    assert cached(file, lambda: '{"number": 7}', read_number) == 7
    assert file.read_text() == '{"number": 7}'


def test_what_its_reader_refuses_is_as_good_as_absent(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    write_cached(file, '{"number": 7}')
    assert read_cached(file, refuse) is None


def test_where_nothing_can_be_kept_it_is_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for file in (tmp_path / "file" / "x.json", tmp_path):
        made: list[str] = []

        def make(made: list[str] = made) -> str:
            made.append("once")
            return '{"number": 7}'

        assert [cached(file, make, read_number) for _ in range(2)] == [7, 7]
        assert len(made) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["file"], "nothing half written stays"


def test_an_error_of_the_maker_is_raised_and_nothing_kept(tmp_path: Path) -> None:
    def fail() -> str:
        raise OSError("no such film")

    with pytest.raises(OSError, match="no such film"):
        cached(tmp_path / "x.json", fail, read_number)
    assert list(tmp_path.iterdir()) == []
