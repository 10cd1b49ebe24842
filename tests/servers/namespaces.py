"""A network namespace of its own for a process: a cable to this machine that can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Namespace:
    """What runs by `enter` has `address`, and reaches this machine by the cable only."""

    name: str
    cable: str
    address: str

    @property
    def enter(self) -> tuple[str, ...]:
        """What to put before a command."""
        return ("ip", "netns", "exec", self.name)

    def part(self) -> None:
        """Pull the cable: packets vanish, connections stay open."""
        _ip("link", "set", self.cable, "down")

    def join(self) -> None:
        """Put it back."""
        _ip("link", "set", self.cable, "up")


def why_not() -> str:
    """Why this machine refuses namespaces, empty where it allows them."""
    if shutil.which("ip") is None:
        return "no iproute2 here"
    name = f"dg{os.getpid()}p"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if tried.returncode:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    _ip("netns", "del", name)
    return ""


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace for the length of the block; it wants root."""
    number = os.getpid()
    subnet = f"10.{77 + number // 65536 % 8}.{number // 256 % 256}"
    first = number % 64 * 4
    here, there = f"{subnet}.{first + 1}", f"{subnet}.{first + 2}"
    name, cable, end = f"dg{number}", f"dg{number}a", f"dg{number}b"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", cable, "type", "veth", "peer", "name", end)
        _ip("link", "set", end, "netns", name)
        _ip("addr", "add", f"{here}/30", "dev", cable)
        _ip("link", "set", cable, "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{there}/30", "dev", end),
            ("link", "set", end, "up"),
            ("route", "add", "default", "via", here),
        ):
            _ip("-n", name, *words)
        yield Namespace(name, cable, there)
    finally:
        _ip("netns", "del", name)  # the cable goes with its end


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
