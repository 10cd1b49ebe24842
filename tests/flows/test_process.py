"""Streams that go away end nothing, signals end a command in bounded time."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flows import process, progress
from flows.process import Stream
from flows.progress import Plain

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")


def test_a_stream_drops_what_nobody_reads() -> None:
    reader, writer = os.pipe()
    stream = Stream(writer, "w")
    assert stream.write(b"one\n") == 4
    os.close(reader)
    assert stream.write(b"another\n") == 8
    assert stream.lost.errno == errno.EPIPE


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_stream_drops_what_its_disk_has_no_room_for() -> None:
    stream = Stream(os.open(FULL, os.O_WRONLY), "w")
    assert stream.write(b"text") == 4
    assert stream.lost.errno == errno.ENOSPC


def test_a_full_stream_that_does_not_block_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    block = b"x" * 65536
    while True:
        try:
            os.write(writer, block)
        except BlockingIOError:
            break
    stream = Stream(writer, "w")
    with ThreadPoolExecutor() as threads:
        written = threads.submit(stream.write, b"late\n")
        while not os.read(reader, 1 << 20).endswith(b"late\n"):
            pass
        assert written.result() == 5
    assert stream.lost is None


def full_pipe() -> tuple[int, int]:
    """A pipe that has room for nothing more, and blocks."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    return reader, writer


def test_a_log_waits_once_for_a_reader_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TAKES_WITHIN_S", 0.2)
    reader, writer = full_pipe()
    log = Stream(writer, "w")
    log.hurried = True
    began = time.monotonic()
    for _ in range(50):
        assert log.write(b"line\n") == 5
    assert time.monotonic() - began < 10 * 0.2, "or each of them waits"
    os.read(reader, 1 << 20)
    assert log.write(b"again\n") == 6
    assert os.read(reader, 1 << 20).endswith(b"again\n")


def test_a_result_waits_for_its_reader() -> None:
    reader, writer = full_pipe()
    result = Stream(writer, "w")
    with ThreadPoolExecutor() as threads:
        written = threads.submit(result.write, b"late\n")
        while not os.read(reader, 4096).endswith(b"late\n"):
            pass
        assert written.result() == 5
    assert result.lost is None


def test_a_command_ends_though_nobody_reads_its_log(own_home: Path, tmp_path: Path) -> None:
    _, writer = full_pipe()
    code = "import flows.process as p\np.TAKES_WITHIN_S = 0.1\nfrom flows.cli import main\nmain()"
    words = [sys.executable, "-c", code, "render", str(tmp_path / "none.mkv")]
    assert subprocess.run(words, cwd=ROOT, stderr=writer, timeout=120).returncode == 1


SIGNALS = """
import signal
from flows.process import end_by_signals
signal.signal(signal.SIGHUP, signal.{before})
end_by_signals()
def told(number):
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        return "stop"
    return "-"
print(*(told(signal.Signals[name]) for name in "{names}".split()))
"""


@pytest.mark.parametrize(
    ("before", "names", "said"),
    [
        ("SIG_DFL", "SIGHUP", "stop"),
        ("SIG_DFL", "SIGTERM SIGHUP SIGTERM SIGINT", "stop - - stop"),
        ("SIG_IGN", "SIGHUP SIGTERM", "- stop"),
    ],
    ids=["the terminal closed", "again while it ends", "nohup"],
)
def test_the_first_signal_stops_a_command(before: str, names: str, said: str) -> None:
    code = SIGNALS.format(before=before, names=names)
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.strip() == said, ran.stderr


def test_a_command_that_does_not_end_is_ended() -> None:
    code = (
        "import signal, threading, flows.process as p\n"
        "p.ENDS_WITHIN_S = 0.1\np.end_by_signals()\n"
        "try:\n    signal.raise_signal(signal.SIGTERM)\n"
        "except KeyboardInterrupt:\n    threading.Event().wait()"
    )
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, cwd=ROOT, capture_output=True, timeout=60).returncode == 130


WITH_A_STORE = [
    ("render", "film.mkv"),
    ("status",),
    ("retake", "film.mkv", "sh010"),
    ("wait", "a-job"),
    ("store", "check"),
]


def test_a_signal_ends_a_command_that_waits_for_its_store(
    own_home: Path, tiny_film: Path, tmp_path: Path
) -> None:
    """One that takes connections and never answers."""
    (tmp_path / "film.mkv").symlink_to(tiny_film)
    begun = []
    with contextlib.ExitStack() as stack:
        for number, words in enumerate(WITH_A_STORE):
            door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            door.settimeout(100)
            store = ("s3://b/p",) if words[0] == "store" else ("--store", "s3://b/p")
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", *words, *store],
                cwd=tmp_path,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "DOUGA_S3_ENDPOINT": f"http://127.0.0.1:{door.getsockname()[1]}",
                    "DOUGA_S3_ACCESS_KEY": "key",
                    "DOUGA_S3_SECRET_KEY": "secret",
                },
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.kill)
            begun.append((door, process, process_signal(number)))
        for door, process, number in begun:
            stack.enter_context(door.accept()[0])
            process.send_signal(number)
        for _, process, _ in begun:
            _, err = process.communicate(timeout=60)
            assert process.returncode == 130, (process.args, err)
            assert err.splitlines()[-1].startswith("douga: stopped"), (process.args, err)


def process_signal(number: int) -> signal.Signals:
    return (signal.SIGTERM, signal.SIGHUP)[number % 2]


@pytest.mark.parametrize(
    ("streams", "code"),
    [(">&-", 0), ("2>&-", 0), ("2>/dev/full", 0), (">/dev/full", 1), ("| true", 0)],
)
def test_a_command_outlives_its_streams(
    streams: str, code: int, own_home: Path, tmp_path: Path
) -> None:
    words = f'"{sys.executable}" -m flows.cli status --store "{tmp_path}" {streams}'
    ran = subprocess.run(["sh", "-c", words], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == code, ran.stderr
    said = [line for line in ran.stderr.splitlines() if line]
    assert len(said) == code, said
    assert "bug" not in ran.stderr


@pytest.mark.parametrize("streams", [">/dev/full", "2>/dev/full", ">&- 2>&-"])
def test_a_film_is_good_whoever_reads_of_it(
    streams: str, tiny_film: Path, tiny_render: Any, tmp_path: Path
) -> None:
    film = tmp_path / "film.mkv"
    words = f'"$0" -m flows.cli render "$1" --store "$2" -o "$3" --json {streams}'
    given = [sys.executable, str(tiny_film), tiny_render.store, str(film)]
    assert subprocess.run(["sh", "-c", words, *given], cwd=ROOT).returncode == 0
    assert film.exists()


class Slow(float):
    """A number that others overtake while it is added."""

    def __radd__(self, other: float) -> float:
        time.sleep(0.002)
        return other + float(self)


def test_units_done_by_many_threads_are_all_counted(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    reporter = Plain()
    reporter.whole("ep01")
    reporter.total(20.0, piece=0.0, workers=1)
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(reporter.advance, [Slow(1)] * 20))
    assert "ep01: 90 %" in capsys.readouterr().err, "verifying is still to come"
