"""A wrong variable is one line with its name and the exit code of wrong input."""

from __future__ import annotations

import pytest

from cluster.errors import Exit, UsageError
from cluster.settings import Settings, settings
from tests.conftest import Douga


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOUGA_CHUNK", "abc"),
        ("DOUGA_WORKERS", "-1"),
        ("DOUGA_CELL", "gold"),
        ("DOUGA_DECODE_TIMEOUT_S", "inf"),
        ("DOUGA_DECODE_MEMORY_GIB", "1e300"),
        ("DOUGA_GC_GRACE_H", "inf"),
        ("DOUGA_PREFECT", "sometimes"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    try:
        with pytest.raises(UsageError) as caught:
            settings()
    finally:
        settings.cache_clear()
    assert caught.value.where == name
    assert caught.value.remedy


def test_the_command_says_it_in_a_line(douga: Douga) -> None:
    ended = douga("gc", "--dry-run", DOUGA_CHUNK="abc")
    assert (ended.code, ended.out) == (Exit.USAGE, "")
    assert ended.err.splitlines()[-1].startswith("douga: DOUGA_CHUNK: ")


def test_defaults_are_within_their_own_bounds() -> None:
    assert Settings(**Settings().model_dump()) == Settings()
