"""Has cases judged by a few processes at once, each with a limit on its silence."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.corpus.case import Case
from tests.corpus.judge import Verdict

LIMIT_S = 60.0
"""Longest a case may take; most take a tenth of a second."""


class Court:
    """Judges for cases; `close` ends them."""

    def __init__(
        self, folder: Path, *, root: Path, environment: dict[str, str], judges: int = 2
    ) -> None:
        self._folder = folder
        self._goods = folder / "goods"
        self._goods.mkdir(parents=True)
        self._start = {"cwd": root, "env": {**environment, "PYTHONPATH": str(root)}}
        self._pool = ThreadPoolExecutor(judges)
        self._own = threading.local()
        self._judges: list[subprocess.Popen[str]] = []
        self._making = threading.Lock()

    def hear(self, cases: Iterable[Case]) -> dict[str, Future[Verdict]]:
        """Every case's verdict, when there is one."""
        return {case.name: self._pool.submit(self._hear, case) for case in cases}

    def close(self) -> None:
        """End the judges."""
        self._pool.shutdown(cancel_futures=True)
        for judge in self._judges:
            judge.kill()
            judge.wait()

    def lay_down(self, case: Case, folder: Path) -> None:
        """A case's files, in a folder of its own."""
        folder.mkdir(parents=True)
        with self._making:  # good films are made when first asked for
            case.write(folder, self._goods)

    def _hear(self, case: Case) -> Verdict:
        place = self._folder / f"{abs(hash(case.name)):x}"
        self.lay_down(case, place)
        judge = self._judge()
        answers: queue.Queue[str] = self._own.answers
        assert judge.stdin
        print(json.dumps({"folder": str(place), "words": case.words}), file=judge.stdin, flush=True)
        try:
            line = answers.get(timeout=LIMIT_S)
        except queue.Empty:
            line = ""
        if not line:
            judge.kill()
            self._own.judge = None
            return Verdict(code=-1, err=f"no verdict within {LIMIT_S:g} s, code {judge.wait()}")
        found: dict[str, Any] = json.loads(line)
        for name in ("digests", "left", "size"):
            found[name] = tuple(found[name])
        return Verdict(**found)

    def _judge(self) -> subprocess.Popen[str]:
        judge: subprocess.Popen[str] | None = getattr(self._own, "judge", None)
        if judge is None:
            judge = subprocess.Popen(
                [sys.executable, "-m", "tests.corpus.judge"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                **self._start,  # type: ignore[call-overload]
            )
            self._judges.append(judge)
            self._own.judge, self._own.answers = judge, queue.Queue()
            threading.Thread(
                target=_pass_on, args=(judge.stdout, self._own.answers), daemon=True
            ).start()
        return judge


def _pass_on(lines: Any, answers: queue.Queue[str]) -> None:
    for line in lines:
        answers.put(line)
    answers.put("")
