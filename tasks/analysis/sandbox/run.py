"""Have a source looked at by a process apart, and read what it found."""

from __future__ import annotations

import json
import queue
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

from cluster import errors
from cluster.errors import DougaError, InputError
from cluster.keys import make_key
from cluster.settings import child_environment
from tasks.analysis.analyse import Analysis
from tasks.analysis.sandbox.limits import Limits, limits
from tasks.decode.content import decoder_build
from tasks.decode.digest import file_digest
from tasks.decode.source import INDEX_VERSION, SourceIndex

LOOK_VERSION = 3
"""Raised when the same file gives another index, so that remembered ones are not used."""
LINE_BYTES = 1 << 30
"""The longest answer that is read: an index has some 20 bytes a frame."""
ENVIRONMENT = {
    # Threads that the look does not need would count against its memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
_EXPORT = "check that the film plays, and export it again"


def index_apart(path: str, *, cache_dir: Path, fps: Fraction | None = None) -> SourceIndex:
    """`index_source` in a process apart; a film's index is remembered in `cache_dir` by content.

    Errors: those of `index_source`, and InputError where the decoder crashed, showed no sign of
    life for so long, or wanted more memory than it may have.
    """
    note = _note(path, cache_dir=cache_dir, fps=fps)
    if note is not None:
        with suppress(OSError, InputError):
            return replace(SourceIndex.from_json(note.read_text(encoding="ascii")), path=path)
    text = look_apart(
        {
            "look": "index",
            "path": path,
            "fps": str(fps) if fps is not None else "",
            "cache_dir": str(cache_dir),
        },
        where=path,
    )
    if note is not None:
        _remember(note, text)
    return SourceIndex.from_json(text)


def analyse_apart(
    index: SourceIndex, *, progress: Callable[[float], None] | None = None
) -> Analysis:
    """`analyse` in a process apart. Errors: as `analyse` and `index_apart`."""
    request = {"look": "analysis", "index": index.to_json()}
    return Analysis.from_json(look_apart(request, where=index.path, progress=progress))


def look_apart(
    request: dict[str, str],
    *,
    where: str,
    progress: Callable[[float], None] | None = None,
    within: Limits | None = None,
) -> str:
    """What a child found, as the text it gave. Whatever ends this function ends the child."""
    given = within or limits()
    with _child() as child:
        lines: queue.Queue[bytes] = queue.Queue()
        assert child.stdin
        assert child.stdout
        reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
        reader.start()
        _ask(child.stdin, {**request, "limits": asdict(given)})
        while True:
            try:
                line = lines.get(timeout=given.quiet_s)
            except queue.Empty:
                raise _silent(where, given) from None
            if not line:
                raise _ended(child.wait(), where, given)
            answer = _parse(line, where)
            if "progress" in answer and progress:
                progress(float(answer["progress"]))
            if answer and "progress" not in answer:
                return _found(answer, where, given)


def _note(path: str, *, cache_dir: Path, fps: Fraction | None) -> Path | None:
    """Where a film's index is remembered; None for what is no plain file."""
    file = Path(path)
    try:
        if not file.is_file() or not file.stat().st_size:
            return None
    except OSError:  # the look says what is wrong with it
        return None
    about = {
        "digest": file_digest(path, cache_dir=cache_dir),
        "suffix": file.suffix.lower(),  # libav weighs it when it guesses the format
        "fps": fps,
        "build": decoder_build(),
        "version": [INDEX_VERSION, LOOK_VERSION],
    }
    return cache_dir / "indices" / f"{make_key(about)}.json"


def _remember(note: Path, text: str) -> None:
    # A cache that cannot be written costs time, nothing else.
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh = note.with_name(f"{note.name}.{secrets.token_hex(4)}")
        fresh.write_text(text, encoding="ascii")
        fresh.replace(note)


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        # -P: an av.py in the folder where a person happens to be is not meant.
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
    # A child that is gone already says so by the end of its answers.
    with suppress(BrokenPipeError):
        pipe.write(json.dumps(request).encode() + b"\n")
        pipe.flush()


def _read(pipe: IO[bytes], lines: queue.Queue[bytes]) -> None:
    with suppress(ValueError):  # closed meanwhile: nobody waits any more
        while line := pipe.readline(LINE_BYTES):
            lines.put(line)
    lines.put(b"")


def _parse(line: bytes, where: str) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise _broken(where, "its answer makes no sense") from error
    if not isinstance(answer, dict):
        raise _broken(where, "its answer makes no sense")
    return answer


def _found(answer: dict[str, Any], where: str, given: Limits) -> str:
    if told := answer.get("error"):
        kind = getattr(errors, str(told.pop("kind")), None)
        if isinstance(kind, type) and issubclass(kind, DougaError):
            raise kind(told.pop("what"), **told)
    if "memory" in answer:
        raise _too_large(where, given)
    if "bug" in answer:
        bug = RuntimeError(f"{where}: {answer['bug']}")
        bug.add_note(str(answer["trace"]))
        raise bug
    return str(answer["found"])


def _ended(code: int, where: str, given: Limits) -> InputError:
    if -code == signal.SIGXCPU:
        return _silent(where, given)
    if code < 0:
        return _broken(where, f"its decoder crashed, {signal.Signals(-code).name}")
    return _broken(where, f"its decoder ended with code {code}")


def _broken(where: str, why: str) -> InputError:
    return InputError(f"cannot be read ({why})", where=where, remedy=_EXPORT)


def _silent(where: str, given: Limits) -> InputError:
    return InputError(
        f"cannot be read (no sign of life from its decoder for {given.quiet_s:g} s)",
        where=where,
        remedy=f"{_EXPORT}, or raise DOUGA_DECODE_TIMEOUT_S",
    )


def _too_large(where: str, given: Limits) -> InputError:
    return InputError(
        f"cannot be read in {given.memory_bytes / 2**30:g} GiB of memory",
        where=where,
        remedy=f"{_EXPORT}, or raise DOUGA_DECODE_MEMORY_GIB",
    )
