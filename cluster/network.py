"""Who may listen where: 127.0.0.1 for everybody, elsewhere only what asks who comes."""

from __future__ import annotations

import ipaddress

from cluster.errors import RefusedError


def check_listening(host: str, *, authenticated: bool, what: str, remedy: str) -> None:
    """RefusedError where `what` would listen beyond this machine and let anybody in; `remedy` names
    the setting to give."""
    if not authenticated and not is_loopback(host):
        raise RefusedError(
            f"{what} would listen on {host} and let in whoever reaches it", remedy=remedy
        )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's alone. A name other than localhost counts as outer."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
