"""A wrong variable is one line with its name and the exit code of wrong input."""

from __future__ import annotations

import ast
import getpass
import os
from pathlib import Path

import pytest

from cluster.errors import Exit, UsageError
from cluster.settings import Settings, settings, user_name
from tests.conftest import Douga

HOUSES = ("flows", "tasks", "cluster")
PUT_BACK = ("cluster/connect/local.py", "flows/commands/self_test/proofs.py")


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


def test_the_settings_alone_read_the_environment() -> None:
    """Others may set variables, for children, and put back what they found."""
    root = Path(__file__).parents[2]
    readers = []
    for file in (file for house in HOUSES for file in (root / house).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            source = ast.unparse(node) if isinstance(node, ast.Call) else ""
            if source.startswith(("os.environ.get(", "os.getenv(")):
                readers.append(file.relative_to(root).as_posix())
    assert set(readers) <= {"cluster/settings.py", *PUT_BACK}


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user_name() == f"user {os.getuid()}"


def test_a_user_without_a_home_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUGA_HOME", "~nobody-of-this-name/douga")
    settings.cache_clear()
    try:
        with pytest.raises(UsageError, match="no home folder"):
            settings()
    finally:
        settings.cache_clear()
