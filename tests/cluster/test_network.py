"""What listens beyond this machine asks who comes; what douga starts for itself never does."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import proxy_bypass

import httpx
import pytest

from cluster.connect.driver_node import driver_node
from cluster.connect.local import TOKEN_VARIABLES, require_token
from cluster.errors import Exit, RefusedError
from cluster.network import around_proxies, check_listening, is_loopback
from cluster.settings import settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_this_machine_may_be_listened_on_by_anything(host: str) -> None:
    assert is_loopback(host)
    check_listening(host, authenticated=False, what="it", remedy="")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "fd00::1", "localhost.example", ""])
def test_elsewhere_only_with_authentication(host: str) -> None:
    assert not is_loopback(host)
    check_listening(host, authenticated=True, what="it", remedy="")
    with pytest.raises(RefusedError, match="let in whoever reaches it; set A_PASSWORD") as refused:
        check_listening(host, authenticated=False, what="it", remedy="set A_PASSWORD")
    assert refused.value.exit_code == Exit.REFUSED


@pytest.mark.parametrize(
    ("given", "without"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "", "no_proxy": ""}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.example, 10.0.0.0/8"}, "a.example,10.0.0.0/8,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a", "no_proxy": "b,127.0.0.1"}, "a,b,127.0.0.1,localhost,::1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_no_proxy_stands_between_this_machine_and_itself(
    given: dict[str, str], without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are reached through it as before."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**given, **around_proxies(given)}.items():
        monkeypatch.setenv(name, value)
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == without
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    chosen = httpx_proxy("http://127.0.0.1:4200"), httpx_proxy("http://[::1]:4200")
    assert chosen == (False, False)
    assert proxy_bypass("127.0.0.1:4200")
    assert proxy_bypass("localhost")
    assert httpx_proxy("http://s3.example/bucket") == (without != "*")


def httpx_proxy(url: str) -> bool:
    """Whether httpx, as Prefect's client uses it, takes the proxy of the environment for a URL."""
    with httpx.Client() as client:
        return client._transport_for_url(httpx.URL(url)) is not client._transport


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What this process is told of a cluster elsewhere."""
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def join(folder: Path) -> list[str]:
    """What becomes of a node of a cluster that has none on this machine."""
    steps: list[str] = []

    def start(address: str, _: str) -> Callable[[], None]:
        steps.append(address)
        return lambda: steps.append("ended")

    with driver_node("192.0.2.7:6379", folder=str(folder), has_node=lambda _: False, start=start):
        assert steps == ["192.0.2.7:6379"]
    return steps


def test_an_open_cluster_is_not_joined_from_outside_unless_asked_to(
    elsewhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A driver needs a node of its own there, and every node can be reached by all."""
    elsewhere.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(RefusedError, match=r"RAY_AUTH_MODE=token.*DOUGA_RAY_OPEN=1"):
        join(tmp_path)


@pytest.mark.parametrize(
    "setting", [("RAY_AUTH_MODE", "token"), ("RAY_USE_TLS", "1"), ("DOUGA_RAY_OPEN", "1")]
)
def test_a_cluster_that_asks_or_a_network_called_private_is_joined(
    setting: tuple[str, str], elsewhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere.setenv("RAY_AUTH_MODE", "disabled")
    elsewhere.setenv(*setting)
    assert join(tmp_path) == ["192.0.2.7:6379", "ended"]


def test_a_token_is_made_for_the_run_and_forgotten_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another cluster's")
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    tokens = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with require_token(tmp_path / name):
            assert os.environ["RAY_AUTH_MODE"] == "token"
            assert "RAY_AUTH_TOKEN" not in os.environ, "Ray would take it before the file"
            token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
            assert stat.S_IMODE(token.stat().st_mode) == 0o600
            tokens.add(token.read_text())
    assert len(tokens) == 2
    assert all(len(token) == 64 for token in tokens)
    left = [os.environ.get(name) for name in TOKEN_VARIABLES]
    assert left == ["disabled", "another cluster's", None]


def test_the_node_that_is_joined_with_inherits_no_secret_but_rays_own(
    elsewhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = {
        "DOUGA_S3_SECRET_KEY": "plum",
        "DOUGA_SMTP_PASSWORD": "pear",
        "RAY_AUTH_TOKEN": "fig",
    }
    for name, value in {**secrets, "RAY_AUTH_MODE": "token"}.items():
        elsewhere.setenv(name, value)
    seen: dict[str, str] = {}

    def start(*_: str) -> Callable[[], None]:
        seen.update(os.environ)
        return lambda: None

    with driver_node("192.0.2.7:1", folder=str(tmp_path), has_node=lambda _: False, start=start):
        assert secrets.items() <= os.environ.items(), "this process keeps them"
    assert [name for name in secrets if name in seen] == ["RAY_AUTH_TOKEN"]
