"""The process apart: `python -m tasks.analysis.sandbox.child`, one request on stdin, JSON lines on
stdout.

Lines out: `{}` is a sign of life, `{"progress": 0.5}`, and last `{"found": TEXT}` or
`{"error": {…}}`. It ends with its stdin: nobody is waiting any more.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, TextIO

from cluster.errors import DougaError
from tasks.analysis.sandbox.limits import Limits, allow_more, confine

TELL_EVERY_S = 0.2


def main() -> None:
    """Do what the request says, within its limits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who ends us
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a library prints is no answer
    request = json.loads(sys.stdin.readline())
    given = Limits(**request.pop("limits"))
    confine(given)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    answer = _answer(request, _Pulse(out, given))
    # libav may lose its footing when it is taken down half-way: nothing is left to clean up.
    print(json.dumps(answer), file=out, flush=True)
    os._exit(0)


class _Pulse:
    """Tells of progress, not more often than is of use, and prolongs the time allowed."""

    def __init__(self, out: TextIO, given: Limits) -> None:
        self._out = out
        self._given = given
        self._told = 0.0
        allow_more(given)

    def beat(self) -> None:
        self._tell({})

    def progress(self, part: float) -> None:
        self._tell({"progress": part})

    def _tell(self, line: dict[str, float]) -> None:
        now = time.monotonic()
        if now - self._told > TELL_EVERY_S:
            self._told = now
            allow_more(self._given)
            print(json.dumps(line), file=self._out, flush=True)


def _answer(request: dict[str, Any], pulse: _Pulse) -> dict[str, Any]:
    try:
        return {"found": _look(request, pulse)}
    except DougaError as error:
        return {
            "error": {
                "kind": type(error).__name__,
                "what": error.what,
                "where": error.where,
                "remedy": error.remedy,
                "retryable": error.retryable,
            }
        }
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # the door of this process: a bug is told where it can be shown
        return {"bug": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}


def _look(request: dict[str, Any], pulse: _Pulse) -> str:
    from tasks.decode.heartbeat import on_beat

    on_beat(pulse.beat)
    if request["look"] == "index":
        return _index(request)
    if request["look"] == "analysis":
        from tasks.analysis.analyse import analyse
        from tasks.decode.source import SourceIndex

        return analyse(SourceIndex.from_json(request["index"]), progress=pulse.progress).to_json()
    raise ValueError(f"no such look: {request['look']}")


def _index(request: dict[str, Any]) -> str:
    from tasks.assemble import probe_source
    from tasks.decode.index import index_source

    fps = request["fps"]
    index = index_source(
        request["path"],
        fps=Fraction(fps) if fps else None,
        cache_dir=Path(request["cache_dir"]),
    )
    if index.kind != "folder":
        # Tried out: the render's own process looks at the other streams later, and what has
        # been survived here is survived there. What is wrong with them is told then, if used.
        with suppress(DougaError):
            probe_source(Path(request["path"]))
    return index.to_json()


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
