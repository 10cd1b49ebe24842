"""The one place that starts ffmpeg: found, fed, drained, timed and stopped."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import IO

import ffmpeg
import imageio_ffmpeg
from ffmpeg.nodes import OutputStream

from cluster.errors import EncodeError
from cluster.keys import digest_bytes
from cluster.settings import child_environment, settings

_QUEUED_BLOCKS = 4
"""Blocks of input that may wait for ffmpeg while the next is being made."""

_STDERR_LINES = 200

_CONSEQUENCES = re.compile(
    r"Task finished|Terminating thread|Nothing was written|Error sending frames"
    r"|Error while opening encoder|Could not open encoder|Error opening (?:in|out)put file"
    r"|Error opening input files|Error applying encoder options|Error selecting an encoder"
    r"|Error writing trailer|Error closing file|Error muxing a packet|Conversion failed"
    r"|Last message repeated"
)
"""Lines that only repeat, further out, that something before them went wrong."""

_WHO = re.compile(r"^(?:\[[^\]]*\]\s*)*")
_NAME = re.compile(r"\[([^\]@]*?)(?: @ 0x[0-9a-f]+)?\]\s*$")


@cache
def ffmpeg_path() -> str:
    """The ffmpeg in use: `DOUGA_FFMPEG`, else the imageio-ffmpeg wheel's. EncodeError if none."""
    if named := settings().ffmpeg:
        if not Path(named).is_file():
            raise EncodeError(f"no ffmpeg at {named}", remedy="correct DOUGA_FFMPEG")
        return named
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise EncodeError(
            "the imageio-ffmpeg package has no ffmpeg for this machine",
            remedy="set DOUGA_FFMPEG to an ffmpeg of your own",
        ) from error


@cache
def ffmpeg_build() -> str:
    """What identifies the build in keys: version, and a digest of its configuration and size."""
    text = run_ffmpeg(["-version"]).decode(errors="replace")
    version = text.split()[2]
    size = Path(ffmpeg_path()).stat().st_size
    return f"{version}-{digest_bytes(f'{text}{size}'.encode())[:12]}"


@cache
def encoders_available() -> frozenset[str]:
    """Names of every encoder (video, sound, subtitles) in this ffmpeg."""
    listing = run_ffmpeg(["-encoders"]).decode(errors="replace").partition("------")[2]
    return frozenset(re.findall(r"^ [VAS][.FSXBD]{5} (\S+)", listing, re.MULTILINE))


def local_url(path: Path | str) -> str:
    """A file name that ffmpeg takes for neither an option (`-x`) nor a protocol (`a:b`)."""
    return f"file:{path}"


def run_ffmpeg(
    command: OutputStream | Sequence[str],
    *,
    input: Iterable[bytes] | None = None,
    on_progress: Callable[[int], None] | None = None,
    timeout_s: float | None = None,
    where: str = "",
) -> bytes:
    """Run ffmpeg to its end and give back what it wrote to standard output.

    `command` is an ffmpeg-python output or plain arguments (without the program). `input` is
    iterated in the caller's thread while another writes, so that making the next block overlaps
    with ffmpeg's work; without it ffmpeg reads nothing. `on_progress` is told the number of frames
    written so far, from another thread; standard output is then taken and the result empty.
    Whatever ends this function ends the process. EncodeError: ffmpeg failed (with its own last
    telling line) or took longer than `timeout_s`; what iterating `input` raises passes through.
    """
    arguments = (
        ffmpeg.compile(command, overwrite_output=True)[1:]
        if isinstance(command, OutputStream)
        else list(command)
    )
    head = [ffmpeg_path(), "-hide_banner", "-loglevel", "error", "-nostats"]
    head += ["-nostdin"] if input is None else []
    head += ["-progress", "pipe:1"] if on_progress else []
    with subprocess.Popen(
        [*head, *arguments],
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # SVT-AV1 prints its settings whatever ffmpeg's log level is: 1 leaves errors.
        env=child_environment({"SVT_LOG": "1", "AV_LOG_FORCE_NOCOLOR": "1"}),
    ) as process:
        late = threading.Event()
        timer = threading.Timer(timeout_s or 0, _stop, (process, late))
        if timeout_s is not None:
            timer.start()
        assert process.stdout
        assert process.stderr
        errors: deque[str] = deque(maxlen=_STDERR_LINES)
        output: list[bytes] = []
        drains = [
            threading.Thread(target=_drain_lines, args=(process.stderr, errors)),
            threading.Thread(target=_watch, args=(process.stdout, on_progress))
            if on_progress
            else threading.Thread(target=_drain_bytes, args=(process.stdout, output)),
        ]
        for drain in drains:
            drain.start()
        try:
            if input is not None:
                _feed(process, input)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
            timer.cancel()
            for drain in drains:
                drain.join()
    if late.is_set():
        raise EncodeError(f"ffmpeg was stopped after {timeout_s:g} s", where=where, retryable=True)
    if code != 0:
        raise EncodeError(f"ffmpeg: {telling_line(list(errors), code)}", where=where)
    return b"".join(output)


def telling_line(lines: Sequence[str], code: int) -> str:
    """The last line of ffmpeg's that names a cause, with who said it in front."""
    spoken = [line for line in lines if line.strip()]
    causes = [line for line in spoken if not _CONSEQUENCES.search(line)] or spoken
    if not causes:
        return f"ended by signal {-code}" if code < 0 else f"ended with code {code}, in silence"
    prefix = _WHO.match(causes[-1])
    end = prefix.end() if prefix else 0
    who = _NAME.search(causes[-1][:end])
    return f"{who[1]}: {causes[-1][end:]}" if who else causes[-1]


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _feed(process: subprocess.Popen[bytes], blocks: Iterable[bytes]) -> None:
    """Write every block to ffmpeg, from a thread; stop early where it reads no more.

    When making a block fails, ffmpeg is killed before its input ends: a film cut short must not
    look like a film.
    """
    assert process.stdin
    waiting: queue.Queue[bytes | None] = queue.Queue(_QUEUED_BLOCKS)
    broken = threading.Event()
    writer = threading.Thread(target=_write, args=(process.stdin, waiting, broken))
    writer.start()
    try:
        for block in blocks:
            if broken.is_set():
                break
            waiting.put(block)
    except BaseException:
        process.kill()
        raise
    finally:
        waiting.put(None)
        writer.join()


def _write(pipe: IO[bytes], waiting: queue.Queue[bytes | None], broken: threading.Event) -> None:
    while (block := waiting.get()) is not None:
        if not broken.is_set():
            try:
                pipe.write(block)
            except OSError:  # ffmpeg is gone: its exit code and last words say why
                broken.set()
    try:
        pipe.close()
    except OSError:
        broken.set()


def _drain_lines(pipe: IO[bytes], lines: deque[str]) -> None:
    for line in pipe:
        lines.append(line.decode(errors="replace").rstrip())


def _drain_bytes(pipe: IO[bytes], blocks: list[bytes]) -> None:
    while block := pipe.read(1 << 20):
        blocks.append(block)


def _watch(pipe: IO[bytes], tell: Callable[[int], None]) -> None:
    for line in pipe:
        name, _, value = line.decode(errors="replace").strip().partition("=")
        if name == "frame" and value.isdecimal():
            tell(int(value))
