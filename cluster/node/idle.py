"""For how long nobody has touched this machine: what its desktop and its terminals say.

logind knows every session: of terminals it looks at the last input itself, desktops (X11 and
Wayland) tell it. A desktop that never does is asked by xprintidle, X11's own clock, where that is
installed. What nothing tells is not known: no guess is made.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.settings import foreign

ASK_S = 10.0
DESKTOPS = ("x11", "wayland", "mir")
ASKED = ("Class", "Type", "State", "IdleHint", "IdleSinceHint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """For how many seconds nobody has touched the machine (inf: nobody is logged in), or None and
    why that is not known."""

    seconds: float | None
    why: str = ""


def find_idle() -> Idle:
    """What this machine says now."""
    try:
        listed = _ask("loginctl", "list-sessions", "--no-legend")
        names = [line.split()[0] for line in listed.splitlines() if line.strip()]
        told = [_ask("loginctl", "show-session", name, *_flags()) for name in names]
    except (OSError, subprocess.SubprocessError):
        return _by_x11() or Idle(seconds=None, why="logind does not answer")
    return idle_of([_properties(text) for text in told], now=time.time(), x11=_by_x11())


def idle_of(sessions: Sequence[Mapping[str, str]], *, now: float, x11: Idle | None) -> Idle:
    """The same, of what logind says of its sessions (org.freedesktop.login1(5)) and X11's clock."""
    shortest = math.inf
    for session in sessions:
        if session.get("Class") != "user" or session.get("State") == "closing":
            continue
        since = int(session.get("IdleSinceHint") or 0) / 1e6
        if session.get("IdleHint") == "yes":
            seconds = max(0.0, now - since)
        elif session.get("Type") in DESKTOPS and not since:  # it never told logind anything
            if x11 is None or x11.seconds is None:
                return Idle(seconds=None, why=f"the {session['Type']} desktop tells logind nothing")
            seconds = x11.seconds
        else:
            seconds = 0.0
        shortest = min(shortest, seconds)
    return Idle(seconds=shortest)


def _by_x11() -> Idle | None:
    program = shutil.which("xprintidle")
    if program is None or not foreign("DISPLAY"):
        return None
    try:
        return Idle(seconds=int(_ask(program)) / 1000)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _ask(*words: str) -> str:
    return subprocess.run(
        words, capture_output=True, text=True, timeout=ASK_S, check=True, stdin=subprocess.DEVNULL
    ).stdout


def _flags() -> list[str]:
    return [word for name in ASKED for word in ("-p", name)]


def _properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
