"""Who may listen where: anything on 127.0.0.1, elsewhere only what authenticates its clients."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping

from cluster.errors import RefusedError


def check_listening(host: str, *, authenticated: bool, what: str, remedy: str) -> None:
    """RefusedError if `what` would listen beyond this machine without authentication; `remedy`
    names the setting to give."""
    if not authenticated and not is_loopback(host):
        raise RefusedError(
            f"{what} would listen on {host} and let in whoever reaches it", remedy=remedy
        )


LOOPBACK = ("127.0.0.1", "localhost", "::1")


def around_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables with which clients go to this machine itself without a proxy, and to whom they went
    so before; both spellings, since programs differ in which one they read."""
    given = [environment.get(name, "") for name in ("NO_PROXY", "no_proxy")]
    hosts = [host.strip() for names in given for host in names.split(",") if host.strip()]
    without = ",".join(dict.fromkeys([*hosts, *LOOPBACK])) if "*" not in hosts else "*"
    return {"NO_PROXY": without, "no_proxy": without}


def free_port(host: str) -> int:
    """A port of `host` that nobody has at this moment; another may take it at the next."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address. Names other than localhost do not count."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
