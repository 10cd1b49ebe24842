"""Judges cases: each is planned by the command's entry point and read to its last frame.

`python -m tests.corpus.judge` reads one case's folder and words a line and answers with a verdict a
line. It stands for a hundred starts of the command: sources are indexed and analysed in it, under
the limits of the sandbox's own child. A case that ends it, or makes it silent, has no verdict, and
so fails its test.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tasks.analysis.sandbox import run as sandbox
from tasks.analysis.sandbox.child import answer
from tasks.analysis.sandbox.limits import apply_limits, configured_limits


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Exit code and both outputs of the door; after a success, what reading every frame gave."""

    code: int
    out: str = ""
    err: str = ""
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    rate: str = ""
    digests: tuple[str, ...] = ()
    left: tuple[str, ...] = field(default=())
    wall_s: float = 0.0
    peak_mib: int = 0

    @property
    def line(self) -> str:
        """What is said last."""
        return self.err.splitlines()[-1] if self.err else ""


def main() -> None:
    """Judge case after case, until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for asked in sys.stdin:
        case = json.loads(asked)
        print(
            json.dumps(asdict(judge(Path(case["folder"]), case["words"]))), file=answers, flush=True
        )


def judge(folder: Path, words: list[str]) -> Verdict:
    """`douga plan` with these words in this folder, then every frame as a worker reads it."""
    before = names(folder)
    out, err = io.StringIO(), io.StringIO()
    begun = time.monotonic()
    with (
        contextlib.chdir(folder),
        patch.object(sandbox, "run_in_sandbox", _run_here),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code, prepared = _plan(["plan", "--json", *words])
        found: dict[str, Any] = {}
        if prepared is not None and code == 0:
            code, found = _door(lambda: _read(prepared))
    return Verdict(
        code=code,
        out=out.getvalue(),
        err=err.getvalue(),
        left=tuple(sorted(set(names(folder)) ^ set(before))),
        wall_s=time.monotonic() - begun,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        **found,
    )


def names(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _plan(words: list[str]) -> tuple[int, Any]:
    """The command's entry point with these words: its exit code, and what it had prepared."""
    from flows import cli
    from flows.plan import prepare

    kept: list[Any] = []
    real = prepare.prepare

    def keep(*given: Any) -> Any:
        kept.append(real(*given))
        return kept[-1]

    with patch.object(prepare, "prepare", keep), patch.object(sys, "argv", ["douga", *words]):
        try:
            cli.main()
        except SystemExit as end:
            return int(end.code or 0), kept[-1] if kept else None
    return 0, None


def _door(work: Callable[[], dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    from flows.cli import _explain

    try:
        return 0, work()
    except Exception as error:
        return _explain(error), {}


def _read(prepared: Any) -> dict[str, Any]:
    """Every frame of every shot by number, the last first, as workers read in any order."""
    from tasks.decode import FrameReader

    count, digests = 0, []
    for entry in prepared.inputs:
        index = prepared.indices[entry.shot.source]
        with FrameReader(index) as reader:
            last = reader.read([entry.shot.end - 1])
            assert last.shape[1:] == (index.picture.height, index.picture.width, 3)
            for number in range(entry.shot.start, entry.shot.end):
                planes = reader.read_planes(number)
                digests.append(hashlib.sha1(b"".join(p.tobytes() for p in planes)).hexdigest()[:12])
                count += 1
    first = prepared.indices[0]
    return {
        "frames": count,
        "size": (first.picture.width, first.picture.height),
        "rate": str(first.rate),
        "digests": tuple(digests),
    }


class _NoReporter:
    def heartbeat(self) -> None: ...

    def progress(self, part: float) -> None: ...


def _run_here(request: dict[str, str], *, where: str, **_: Any) -> str:
    """What the sandbox's child would answer, computed in this process."""
    line = json.loads(json.dumps(answer(request, _NoReporter())))
    return sandbox.read_answer(line, where, configured_limits())


if __name__ == "__main__":
    apply_limits(configured_limits())
    main()
