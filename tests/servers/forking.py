"""The command in processes forked off one that has imported it: most of a short run is imports.

with forking_douga(environment) as douga:
    ended = douga("plan", "film.mkv", cwd=folder)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from tests.conftest import ROOT, Ended


@contextmanager
def forking_douga(environment: Mapping[str, str]) -> Iterator[Callable[..., Ended]]:
    """What the `douga` fixture gives, but for what is imported: that is as `environment` has it."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.forking"],
        cwd=ROOT,
        env={**given, "PYTHONPATH": f"{given['PYTHONPATH']}:{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    with server, TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")

        def douga(*words: str | Path, cwd: Path, **more: str) -> Ended:
            asked = {
                "words": ["douga", *map(str, words)],
                "folder": str(cwd),
                "environment": {**given, **more},
                "output": [os.devnull, str(out), str(err)],
            }
            print(json.dumps(asked), file=server.stdin, flush=True)
            code = int(server.stdout.readline())
            return Ended(code, out.read_text(), err.read_text())

        yield douga
        server.stdin.close()


def serve() -> None:
    """Fork off a command for every line that comes in; say its exit code."""
    import flows.changes.changed
    import flows.cli
    import flows.commands.tables.plan
    import flows.farm.farm
    import flows.plan.prepare  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(asked: dict[str, Any]) -> NoReturn:
    from cluster.settings import settings
    from flows.cli import main

    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    settings.cache_clear()
    for number, name in enumerate(asked["output"]):
        flags = os.O_RDWR | (os.O_CREAT | os.O_TRUNC if number else 0)
        os.dup2(os.open(name, flags, 0o600), number)
    sys.argv = asked["words"]
    code = 70
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
