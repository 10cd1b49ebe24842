"""A real Ray that wants a token: who has it is let in, who has not is told in a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cluster.connect.head_check import check_head


@pytest.fixture
def guarded(local_ray: None) -> tuple[str, Path]:
    """The address and the token's file of a Ray that was started as douga starts its own."""
    import ray

    return ray.get_runtime_context().gcs_address, Path(os.environ["RAY_AUTH_TOKEN_PATH"])


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "wants a token; copy the head's ~/.ray/auth_token here, or name it in"),
        ("0" * 64, "refused the token; copy the head's ~/.ray/auth_token here, or name it in"),
    ],
    ids=["none", "another"],
)
def test_who_has_not_the_token_is_told_in_a_line(
    token: str, said: str, guarded: tuple[str, Path], douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    words = ("render", tiny_film, "--ray", guarded[0], "--store", tmp_path / "s", "-o", "f.mkv")
    mine = {"HOME": str(tmp_path), "RAY_AUTH_MODE": "", "RAY_AUTH_TOKEN_PATH": ""}
    ended = douga(*words, cwd=tmp_path, **mine, RAY_AUTH_TOKEN=token)
    assert ended.code == 1
    assert f"the Ray cluster at {guarded[0]} {said}" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert not token or token not in ended.err


def test_who_has_the_token_is_let_in(
    guarded: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(guarded[1]))
    check_head(guarded[0])
    assert os.environ["RAY_AUTH_MODE"] == "token"
