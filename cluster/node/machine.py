"""What there is on this machine: cards, memory, the address that wakes it, how busy it is."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import UsageError

PROC = Path("/proc")
NET = Path("/sys/class/net")
BROADCAST_OF, ADDRESS_OF = 0x8919, 0x8915  # SIOCGIFBRDADDR, SIOCGIFADDR of netdevice(7)
ASK_S = 30.0
ACTOR = b"ray::_Host"
"""How Ray titles the process of a render's worker, by the class of `cluster/pool/ray_actors.py`."""
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
"""What Ray takes as a label's value (Kubernetes' rule)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is; memory in bytes. `mac` and `broadcast` are of the network towards the head, ""
    where they cannot be known."""

    host: str
    cpus: int
    memory_bytes: int
    cards: tuple[str, ...]
    mac: str = ""
    broadcast: str = ""


def this_machine(head: str) -> Machine:
    """What there is here, for a cluster whose head is at `host:port`."""
    mac, broadcast = _network_towards(head)
    return Machine(
        host=platform.node(),
        cpus=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        cards=tuple(card_label(name) for name in _cards()),
        mac=mac,
        broadcast=broadcast,
    )


def node_name(name: str) -> str:
    """A node's name: as given, or the host's. UsageError for one that Ray takes as no label."""
    name = name or platform.node().partition(".")[0]
    if not NAME.fullmatch(name):
        raise UsageError(
            f"expected a name of letters, digits and dashes, 63 at the most, got {name[:80]!r}",
            where="--name",
        )
    return name


def card_label(name: str) -> str:
    """A card's name as a label: `NVIDIA RTX A6000` is `rtx-a6000`."""
    words = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
    return words.removeprefix("nvidia-")[:63].strip("-.") or "gpu"


def load_share() -> float:
    """How busy the machine is: its load over the last minute, per core."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def free_bytes() -> int:
    """Room on the disk of temporary files."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def workers_below(pid: int) -> list[int]:
    """Process ids of renders' workers that came of a process of ours."""
    return [each for each in _below(pid) if _title(each).startswith(ACTOR)]


def _below(pid: int) -> Iterator[int]:
    try:
        listed = [path.read_text() for path in (PROC / f"{pid}/task").glob("*/children")]
    except OSError:  # it ended
        return
    for child in (int(word) for words in listed for word in words.split()):
        yield child
        yield from _below(child)


def _title(pid: int) -> bytes:
    try:
        return (PROC / f"{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _cards() -> list[str]:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return []
    try:
        listed = subprocess.run(
            [smi, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=ASK_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # Ray finds no card either
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def _network_towards(head: str) -> tuple[str, str]:
    """MAC and broadcast address of the network card on the way to `host:port`."""
    host, _, port = head.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.connect((host, int(port)))  # sends nothing
            here = asked.getsockname()[0]
            for _, card in socket.if_nameindex():
                if _address(asked, card, ADDRESS_OF) == here:
                    mac = (NET / card / "address").read_text().strip()
                    return (mac if mac.strip("0:") else ""), _address(asked, card, BROADCAST_OF)
    except (OSError, ValueError):  # no IPv4, no Linux
        pass
    return "", ""


def _address(asked: socket.socket, card: str, which: int) -> str:
    try:
        told = fcntl.ioctl(asked.fileno(), which, struct.pack("256s", card.encode()[:15]))
    except OSError:  # a card without an address
        return ""
    return socket.inet_ntoa(told[20:24])
