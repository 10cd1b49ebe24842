"""The child process, `python -m tasks.analysis.sandbox.child`: reads one request from stdin, writes
JSON lines to stdout.

The lines: `{}` is a heartbeat, `{"progress": 0.5}`, and last `{"result": TEXT}` or
`{"error": {…}}`. The child exits when its stdin closes: nobody waits for it any more.
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
from typing import Any, Protocol, TextIO

from cluster.errors import DougaError
from tasks.analysis.sandbox.limits import Limits, apply_limits, extend_cpu_time

REPORT_EVERY_S = 0.2


def main() -> None:
    """Answers the request within its limits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who kills us
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints must not mix with the answer
    request = json.loads(sys.stdin.readline())
    limits = Limits(**request.pop("limits"))
    apply_limits(limits)
    threading.Thread(target=_exit_with_stdin, daemon=True).start()
    result = answer(request, _Reporter(out, limits))
    # libav may crash when it is torn down half-way, and nothing is left to clean up: no atexit.
    print(json.dumps(result), file=out, flush=True)
    os._exit(0)


class Reporter(Protocol):
    """What a running request calls."""

    def heartbeat(self) -> None: ...

    def progress(self, part: float) -> None: ...


class _Reporter:
    """Sends heartbeats and progress, each at most every REPORT_EVERY_S; extends the CPU time."""

    def __init__(self, out: TextIO, limits: Limits) -> None:
        self._out = out
        self._limits = limits
        self._sent_at = {"heartbeat": 0.0, "progress": 0.0}
        extend_cpu_time(limits)

    def heartbeat(self) -> None:
        self._send("heartbeat", {})

    def progress(self, part: float) -> None:
        self._send("progress", {"progress": part})

    def _send(self, what: str, line: dict[str, float]) -> None:
        now = time.monotonic()
        if now - self._sent_at[what] > REPORT_EVERY_S:
            self._sent_at[what] = now
            extend_cpu_time(self._limits)
            print(json.dumps(line), file=self._out, flush=True)


def answer(request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """The last line: the result, or what went wrong."""
    try:
        return {"result": _run(request, reporter)}
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
    except Exception as error:  # top level of this process: the parent shows the bug
        return {"bug": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}


def _run(request: dict[str, Any], reporter: Reporter) -> str:
    from tasks.decode.heartbeat import on_heartbeat

    on_heartbeat(reporter.heartbeat)
    if request["task"] == "index":
        return _index(request)
    if request["task"] == "analyse":
        from tasks.analysis.part import analyse_part
        from tasks.decode.source import SourceIndex

        return analyse_part(
            SourceIndex.from_json(request["index"]),
            *request["span"],
            progress=reporter.progress,
            threads=request["threads"],
            cache_dir=Path(request["cache_dir"]) if request["cache_dir"] else None,
        ).to_json()
    if request["task"] == "examine":
        return _examine(request)
    raise ValueError(f"no such task: {request['task']}")


def _examine(request: dict[str, Any]) -> str:
    from tasks.models.user.examine import examine

    weights = Path(request["path"])
    os.chdir(weights.parent)  # where nothing else lies that a network could name
    card = examine(
        weights.read_bytes(),
        name=request["name"],
        kind=request["kind"],
        sha256=request["sha256"],
    )
    return card.model_dump_json()


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
        # The render's own process probes the other streams later: a file that would crash it
        # crashes this child now. Their errors are reported then, if the streams are used.
        with suppress(DougaError):
            probe_source(Path(request["path"]))
    return index.to_json()


def _exit_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
