"""After the last approval the film goes on by itself: the command on record is run again, as a
process of its own that outlives the desk, under a job key, so that several desks start it once."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path

from cluster.errors import RefusedError
from cluster.settings import child_environment, store_secrets
from flows.desk.shots import Episode
from flows.spec.allowed_paths import check_allowed

PREFECT = ("PREFECT_", "RAY_", "DOUGA_")
"""Variables of secrets that a render needs beside the store's."""


class Renders:
    """Starts renders by their commands on record; each run is followed once by this desk."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._followed: set[str] = set()
        self._lock = threading.Lock()

    def go_on(self, episode: Episode) -> bool:
        """Start an episode's last command again, unless this desk has done so after that run.

        RefusedError, with what to type instead, where it cannot be run here.
        """
        with self._lock:
            if episode.run.run in self._followed:
                return False
            self._followed.add(episode.run.run)
        words, folder = command_of(episode)
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{episode.run.run}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", "render", *words],
                cwd=folder,
                env=child_environment(secrets=(*store_secrets(), *PREFECT)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=process.wait, name="render", daemon=True).start()
        return True


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
