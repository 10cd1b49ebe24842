"""After the last approval the film goes on by itself: the command on record is run again, as a
process of its own that outlives the desk, under a job key, so that several desks start it once."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from cluster.errors import Exit, RefusedError
from cluster.settings import child_environment, store_secrets
from flows.desk.shots import Episode
from flows.spec.allowed_paths import check_allowed

PREFECT = ("PREFECT_", "RAY_", "DOUGA_")
"""Variables of secrets that a render needs beside the store's."""


class Renders:
    """Starts renders by their commands on record. `tell` hears of one that ended otherwise than
    well: the episode, and the last line of its log."""

    def __init__(self, logs: Path, *, tell: Callable[[str, str], None]) -> None:
        self._logs = logs
        self._tell = tell
        self._after: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def go_on(self, episode: Episode, *, again: bool = False) -> bool:
        """Start an episode's last command again, unless this desk has done so after that run; with
        `again` also then, once that has ended.

        RefusedError, with what to type instead, where it cannot be run here.
        """
        words, folder = command_of(episode)
        with self._lock:
            before = self._after.get(episode.run.run)
            if before is not None and (not again or before.poll() is None):
                return False
            process = self._start(episode, words, folder)
            self._after[episode.run.run] = process
        follow = threading.Thread(target=self._follow, args=(episode, process), daemon=True)
        follow.start()
        return True

    def _start(self, episode: Episode, words: list[str], folder: Path) -> subprocess.Popen[bytes]:
        with self._log(episode).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flows.cli", "render", *words],
                cwd=folder,
                env=child_environment(secrets=(*store_secrets(), *PREFECT)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _follow(self, episode: Episode, process: subprocess.Popen[bytes]) -> None:
        if process.wait() not in (Exit.GOOD, Exit.REFUSED):
            lines = self._log(episode).read_text(encoding="utf-8", errors="replace").split("\n")
            self._tell(episode.name, next(filter(None, reversed(lines)), ""))

    def _log(self, episode: Episode) -> Path:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self._logs / f"{episode.run.run}.log"


def command_of(episode: Episode) -> tuple[list[str], Path]:
    """What to give `douga render` for an episode's newest run again, and the folder to do it in.

    RefusedError where the record does not say, is of another machine, or names a path that this
    one's DOUGA_ROOTS leave out.
    """
    document = episode.run.document
    command, folder = str(document.get("command", "")), str(document.get("folder", ""))
    remedy = f"type it there: {command}" if command else "render it again"
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if len(words) < 3 or words[1] != "render" or not folder or "***" in command:
        raise RefusedError(
            "its record does not say how to go on", where=episode.name, remedy=remedy
        )
    if document.get("host") != socket.gethostname() or not Path(folder).is_dir():
        raise RefusedError(
            f"was rendered on {document.get('host') or 'another machine'} in {folder}",
            where=episode.name,
            remedy=remedy,
        )
    words = words[2:]
    for word in words:
        if not word.startswith("-") and "://" not in word and (Path(folder) / word).exists():
            check_allowed(str(Path(folder) / word))
    if not any(word == "--job" or word.startswith("--job=") for word in words):
        words += ["--job", f"after-{episode.run.run}"]
    return words, Path(folder)
