"""Wakes a machine that sleeps, by the packet that its network card listens for."""

from __future__ import annotations

import re
import socket

from cluster.errors import UsageError

PORT = 9
"""Discard: nobody answers; the card looks at the packet, whatever its port."""
MAC = re.compile(r"[0-9a-fA-F]{2}([:-]?[0-9a-fA-F]{2}){5}")


def magic_packet(mac: str) -> bytes:
    """Six bytes of ones, then the address sixteen times (AMD, Magic Packet Technology, 1995).
    UsageError where it is no address of a network card."""
    if not MAC.fullmatch(mac):
        raise UsageError(f"expected a MAC address such as 00:11:22:aa:bb:cc, got {mac[:40]!r}")
    return b"\xff" * 6 + bytes.fromhex(re.sub("[:-]", "", mac)) * 16


def wake(mac: str, *, broadcast: str, port: int = PORT) -> None:
    """Send the packet to everybody on a network. OSError where it cannot be sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(magic_packet(mac), (broadcast or "255.255.255.255", port))
