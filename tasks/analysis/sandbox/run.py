"""Index or analyse a source in a child process, and read the result."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from cluster import errors
from cluster.cache import read_cached, write_cached
from cluster.errors import DougaError, InputError
from cluster.keys import Digest, make_key
from cluster.settings import child_environment
from tasks.analysis.analyse import Analysis, join_parts
from tasks.analysis.part import Part, plan_parts
from tasks.analysis.sandbox.limits import Limits, configured_limits
from tasks.decode.content import decoder_build
from tasks.decode.digest import file_digest
from tasks.decode.source import INDEX_VERSION, SourceIndex
from tasks.models.shelf import Kind, ModelCard

INDEX_CACHE_VERSION = 3
"""Raised when the same file gives another index, so that cached ones are not used."""
LINE_BYTES = 1 << 30
"""The longest line that is read: an index has some 20 bytes a frame."""
MOST_PARTS = 16
"""Each takes some 200 MB; with so many, the cuts of an episode are a minute's work."""
STOP_POLL_S = 0.1
ENVIRONMENT = {
    # Threads that the child does not need would count against its memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """How messages call what a child looks at: what cannot be done with it, what runs in the child,
    and what to do about it."""

    done: str
    runs: str
    remedy: str


FILM = Subject("read", "decoder", "check that the film plays, and export it again")
NETWORK = Subject("used", "network", "ask who published it for another export")
LIBRARIES_BYTES = 8 << 30
"""Address space that torch and ONNX Runtime take before a network is opened."""


def index_in_sandbox(path: str, *, cache_dir: Path, fps: Fraction | None = None) -> SourceIndex:
    """`index_source` in a child process; a film's index is cached in `cache_dir` by content.

    Errors: those of `index_source`, and InputError if the decoder crashed, sent no heartbeat in
    time, or exceeded its memory.
    """
    file = _cached_index(path, cache_dir=cache_dir, fps=fps)
    known = read_cached(file, SourceIndex.from_json) if file else None
    if known is not None:
        return replace(known, path=path)
    text = run_in_sandbox(
        {
            "task": "index",
            "path": path,
            "fps": str(fps) if fps is not None else "",
            "cache_dir": str(cache_dir),
        },
        where=path,
    )
    index = SourceIndex.from_json(text)
    if file and file == _cached_index(path, cache_dir=cache_dir, fps=fps):
        write_cached(file, text)  # else the file is another one than it was before
    return index


def analyse_in_sandbox(
    index: SourceIndex,
    *,
    progress: Callable[[float], None] | None = None,
    cache_dir: Path | None = None,
    most: int = 0,
) -> Analysis:
    """`analyse` in child processes, a part of the source in each: `most` of them, 0: as there are
    cores, up to `MOST_PARTS`. Errors: as `analyse` and `index_in_sandbox`; those of the earliest
    part."""
    parts = plan_parts(index, most=most or min(os.cpu_count() or 1, MOST_PARTS))
    done = [0.0] * len(parts)
    children: list[subprocess.Popen[bytes]] = []
    telling = threading.Lock()

    def analyse(number: int) -> Part:
        start, end = parts[number]

        def tell(part: float) -> None:
            with telling:
                done[number] = part * (end - start)
                if progress:
                    progress(sum(done) / len(index))

        request = {
            "task": "analyse",
            "index": index.to_json(),
            "span": [start, end],
            "threads": 2 if len(parts) == 1 else 1,
            "cache_dir": str(cache_dir or ""),
        }
        text = run_in_sandbox(request, where=index.path, progress=tell, children=children)
        return Part.from_json(text)

    with ThreadPoolExecutor(len(parts)) as threads:
        answers = [threads.submit(analyse, number) for number in range(len(parts))]
        try:
            return join_parts([answer.result() for answer in answers])
        finally:
            # After an error, or Ctrl-C, nobody waits for the others; one may be about to start.
            while not all(answer.done() for answer in answers):
                for child in children:
                    child.kill()
                wait(answers, timeout=STOP_POLL_S)


def examine_in_sandbox(weights: Path, *, name: str, kind: Kind, sha256: Digest) -> ModelCard:
    """`tasks.models.user.examine` of a file of weights in a child process, in the file's folder.

    Errors: those of `examine`, and InputError if the network crashed, did not end in time, or
    wanted more memory than there is for it.
    """
    limits = configured_limits()
    text = run_in_sandbox(
        {
            "task": "examine",
            "path": str(weights.absolute()),
            "name": name,
            "kind": kind,
            "sha256": sha256,
        },
        where=f"model {name}",
        limits=replace(limits, memory_bytes=limits.memory_bytes + LIBRARIES_BYTES),
        subject=NETWORK,
    )
    return ModelCard.model_validate_json(text)


def run_in_sandbox(
    request: dict[str, Any],
    *,
    where: str,
    subject: Subject = FILM,
    progress: Callable[[float], None] | None = None,
    limits: Limits | None = None,
    children: list[subprocess.Popen[bytes]] | None = None,
) -> str:
    """Runs one request in a child process and returns its result. The child never outlives it; it
    is added to `children`, for whoever wants to end it sooner."""
    limits = limits or configured_limits()
    with _child() as child:
        if children is not None:
            children.append(child)
        lines: queue.Queue[bytes] = queue.Queue()
        assert child.stdin
        assert child.stdout
        reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
        reader.start()
        _ask(child.stdin, {**request, "limits": asdict(limits)})
        while True:
            try:
                line = lines.get(timeout=limits.heartbeat_timeout_s)
            except queue.Empty:
                raise _silent(where, limits, subject) from None
            if not line:
                raise _ended(child.wait(), where, limits, subject)
            answer = _parse(line, where, subject)
            if "progress" in answer and progress:
                progress(float(answer["progress"]))
            if answer and "progress" not in answer:
                return read_answer(answer, where, limits, subject)


def _cached_index(path: str, *, cache_dir: Path, fps: Fraction | None) -> Path | None:
    """Where a film's index is cached; None if it is not a plain file."""
    file = Path(path)
    try:
        if not file.is_file() or not file.stat().st_size:
            return None
    except OSError:  # the child says what is wrong with it
        return None
    about = {
        "digest": file_digest(path, cache_dir=cache_dir),
        "suffix": file.suffix.lower(),  # libav weighs it when it guesses the format
        "fps": fps,
        "build": decoder_build(),
        "version": [INDEX_VERSION, INDEX_CACHE_VERSION],
    }
    return cache_dir / "indices" / f"{make_key(about)}.json"


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        # -P: never import an av.py of the current folder.
        [sys.executable, "-P", "-m", "tasks.analysis.sandbox.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(ENVIRONMENT),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ask(pipe: IO[bytes], request: dict[str, Any]) -> None:
    # A child that is gone already shows it by the end of its output.
    with suppress(BrokenPipeError):
        pipe.write(json.dumps(request).encode() + b"\n")
        pipe.flush()


def _read(pipe: IO[bytes], lines: queue.Queue[bytes]) -> None:
    with suppress(ValueError):  # closed meanwhile: nobody waits any more
        while line := pipe.readline(LINE_BYTES):
            lines.put(line)
    lines.put(b"")


def _parse(line: bytes, where: str, subject: Subject) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise _broken(where, "its answer makes no sense", subject) from error
    if not isinstance(answer, dict):
        raise _broken(where, "its answer makes no sense", subject)
    return answer


def read_answer(answer: dict[str, Any], where: str, limits: Limits, subject: Subject = FILM) -> str:
    """The result in a child's last line; raises the error that it holds instead."""
    if error := answer.get("error"):
        cls = getattr(errors, str(error.pop("kind")), None)
        if isinstance(cls, type) and issubclass(cls, DougaError):
            raise cls(error.pop("what"), **error)
    if "memory" in answer:
        raise _too_large(where, limits, subject)
    if "bug" in answer:
        bug = RuntimeError(f"{where}: {answer['bug']}")
        bug.add_note(str(answer["trace"]))
        raise bug
    return str(answer["result"])


def _ended(code: int, where: str, limits: Limits, subject: Subject) -> InputError:
    if -code == signal.SIGXCPU:
        return _silent(where, limits, subject)
    if code < 0:
        return _broken(where, f"its {subject.runs} crashed, {signal.Signals(-code).name}", subject)
    return _broken(where, f"its {subject.runs} ended with code {code}", subject)


def _broken(where: str, why: str, subject: Subject) -> InputError:
    return InputError(f"cannot be {subject.done} ({why})", where=where, remedy=subject.remedy)


def _silent(where: str, limits: Limits, subject: Subject) -> InputError:
    return InputError(
        f"cannot be {subject.done} (no heartbeat from its {subject.runs} for "
        f"{limits.heartbeat_timeout_s:g} s)",
        where=where,
        remedy=f"{subject.remedy}, or raise DOUGA_DECODE_TIMEOUT_S",
    )


def _too_large(where: str, limits: Limits, subject: Subject) -> InputError:
    return InputError(
        f"cannot be {subject.done} in {limits.memory_bytes / 2**30:g} GiB of memory",
        where=where,
        remedy=f"{subject.remedy}, or raise DOUGA_DECODE_MEMORY_GIB and ulimit -v",
    )
