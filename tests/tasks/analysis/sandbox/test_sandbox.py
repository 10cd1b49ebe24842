"""An untrusted file is opened in a child process: what it does there harms nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cluster.errors import InputError, UsageError
from cluster.keys import Digest
from cluster.settings import settings
from tasks.analysis import part
from tasks.analysis.analyse import analyse
from tasks.analysis.sandbox import analyse_in_sandbox, examine_in_sandbox, index_in_sandbox
from tasks.analysis.sandbox.limits import Limits
from tasks.analysis.sandbox.run import run_in_sandbox
from tasks.decode import SourceIndex, index_source
from tests.conftest import ROOT

STAND_INS = {
    "crashes": "os.kill(os.getpid(), signal.SIGSEGV)",
    "aborts": "os.abort()",
    "leaves": "os._exit(7)",
    "turns in circles": "\n    while True: pass",
    "sleeps": "time.sleep(3600)",
    "takes all memory": "\n    kept = []\n    while True: kept.append(bytearray(1 << 26))",
    "has no memory left": "raise MemoryError",
    "says what is not so": "os.write(out, b'nonsense\\n'); time.sleep(3600)",
    "breaks": "1 / 0",
}
SITE = """
import os, signal, time
import av
def open(*_, **__):
    out = int(next(n for n in os.listdir('/proc/self/fd') if n not in '012'
                   and os.readlink('/proc/self/fd/' + n).startswith('pipe:')))
    {body}
av.open = open
"""
NETWORK = """
import os, signal, sys, time, types
def examine(*_, **__):
    {body}
stand_in = types.ModuleType("tasks.models.user.examine")
stand_in.examine = examine
sys.modules["tasks.models.user.examine"] = stand_in
"""
MEMORY_BYTES = 2 << 30


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts another decoder in front of every file that a child opens."""

    def put(kind: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(SITE.format(body=STAND_INS[kind]))
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return put


def index(film: Path, tmp_path: Path, *, heartbeat_timeout_s: float) -> str:
    request = {"task": "index", "path": str(film), "fps": "", "cache_dir": str(tmp_path / "c")}
    limits = Limits(memory_bytes=MEMORY_BYTES, heartbeat_timeout_s=heartbeat_timeout_s)
    return run_in_sandbox(request, where=str(film), limits=limits)


def children() -> list[str]:
    """Command lines of this process's sandboxed children."""
    listed = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if "tasks.analysis.sandbox.child" in line]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("crashes", r"cannot be read \(its decoder crashed, SIGSEGV\)"),
        ("aborts", r"cannot be read \(its decoder crashed, SIGABRT\)"),
        ("leaves", r"cannot be read \(its decoder ended with code 7\)"),
        ("takes all memory", r"cannot be read in 2 GiB of memory; .*DOUGA_DECODE_MEMORY_GIB"),
        ("says what is not so", r"cannot be read \(its answer makes no sense\)"),
    ],
)
def test_what_a_decoder_does_to_itself_is_one_line(
    kind: str, said: str, stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    stand_in(kind)
    with pytest.raises(InputError, match=said) as refused:
        index(tiny_film, tmp_path, heartbeat_timeout_s=60)
    assert str(refused.value).startswith(f"{tiny_film}: ")
    assert "\n" not in str(refused.value)
    assert children() == []


@pytest.mark.parametrize("kind", ["turns in circles", "sleeps"])
def test_a_decoder_that_shows_no_life_is_stopped(
    kind: str, stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    stand_in(kind)
    with pytest.raises(InputError, match=r"no heartbeat .* 3 s.*DOUGA_DECODE_TIMEOUT_S"):
        index(tiny_film, tmp_path, heartbeat_timeout_s=3)
    assert children() == []


def test_a_child_ends_with_the_process_that_waits_for_it(
    stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    """However that ends: here it is killed, while the decoder sleeps."""
    stand_in("sleeps")
    program = (
        f"from tasks.analysis.sandbox import index_in_sandbox as i\nfrom pathlib import Path\n\
i({str(tiny_film)!r}, cache_dir=Path({str(tmp_path)!r}))"
    )
    waits = subprocess.Popen([sys.executable, "-c", program])
    listing = ["ps", "-o", "pid=", "--ppid", str(waits.pid)]
    while not (found := subprocess.run(listing, capture_output=True, text=True).stdout.split()):
        time.sleep(0.1)
    waits.kill()
    waits.wait()
    while Path(f"/proc/{found[0]}/stat").exists() and _state(found[0]) != "Z":
        time.sleep(0.1)


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_a_bug_is_told_with_the_trace_of_the_child(
    stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    stand_in("breaks")
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero") as bug:
        index(tiny_film, tmp_path, heartbeat_timeout_s=60)
    assert "in open_container" in bug.value.__notes__[0]


def test_the_index_and_the_cuts_are_those_of_this_process(
    stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    found = index_in_sandbox(str(tiny_film), cache_dir=tmp_path)
    assert found == index_source(str(tiny_film))
    told: list[float] = []
    assert analyse_in_sandbox(found, progress=told.append) == analyse(found)
    assert told
    assert all(0 <= part <= 1 for part in told)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceIndex:
    """A source that is looked at in three parts, a process each."""
    monkeypatch.setattr(part, "SHORTEST", 4)
    (tmp_path / "frames").mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number // 2).integers(0, 256, (32, 48, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "frames" / f"{number:04}.png"), pixels)
    index = index_source(str(tmp_path / "frames"), fps=Fraction(24))
    assert len(part.plan_parts(index, most=3)) == 3
    return index


def test_the_parts_of_a_film_make_the_whole(
    stand_in: Callable[[str], None], folder: SourceIndex
) -> None:
    told: list[float] = []
    assert analyse_in_sandbox(folder, progress=told.append, most=3) == analyse(folder)
    assert told == sorted(told)


def test_an_error_of_a_part_is_that_of_the_film(
    stand_in: Callable[[str], None], folder: SourceIndex
) -> None:
    (Path(folder.path) / folder.frames[5]).write_bytes(b"no picture")
    with pytest.raises(InputError) as alone:
        analyse(folder)
    with pytest.raises(InputError) as together:
        analyse_in_sandbox(folder, most=3)
    assert (together.value.where, together.value.what) == (alone.value.where, alone.value.what)


def test_who_is_interrupted_waits_for_no_part(
    stand_in: Callable[[str], None], folder: SourceIndex
) -> None:
    stand_in("sleeps")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        analyse_in_sandbox(folder, most=3)
    assert time.monotonic() - began < settings().decode_timeout_s


def test_a_cached_index_is_not_made_again(
    stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    first = index_in_sandbox(str(tiny_film), cache_dir=tmp_path)
    stand_in("crashes")
    assert index_in_sandbox(str(tiny_film), cache_dir=tmp_path) == first
    other = tmp_path / "other.mkv"
    other.write_bytes(tiny_film.read_bytes() + b"\0")
    with pytest.raises(InputError, match="crashed"):
        index_in_sandbox(str(other), cache_dir=tmp_path)


def test_errors_come_back_as_they_were_raised(
    stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    words = tmp_path / "words.mp4"
    words.write_text("once upon a time " * 200)
    for path, fps, kind in (
        (words, None, InputError),
        (tmp_path / "none.mkv", None, InputError),
        (tiny_film, Fraction(24), UsageError),
    ):
        with pytest.raises(kind) as here:
            index_source(str(path), fps=fps)
        with pytest.raises(kind) as sandboxed:
            index_in_sandbox(str(path), fps=fps, cache_dir=tmp_path)
        assert str(sandboxed.value) == str(here.value)


def test_children_at_once_do_not_disturb_one_another(
    stand_in: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda n=n: found.append(
                index_in_sandbox(str(tiny_film), cache_dir=tmp_path / str(n))
            )
        )
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [index_source(str(tiny_film))] * 3


def test_the_command_says_one_line(
    stand_in: Callable[[str], None], douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    """And the command's own process opened nothing: the stand-in would have ended it too."""
    stand_in("crashes")
    more = {"PYTHONPATH": os.environ["PYTHONPATH"], "DOUGA_HOME": str(tmp_path / "home")}
    ended = douga("plan", tiny_film, cwd=tmp_path, **more)
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        f"douga: {tiny_film}: cannot be read (its decoder crashed, SIGSEGV); "
        "check that the film plays, and export it again"
    )
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("crashes", r"model net: cannot be used \(its network crashed, SIGSEGV\)"),
        ("turns in circles", r"no heartbeat from its network for 3 s.*DOUGA_DECODE_TIMEOUT_S"),
        ("has no memory left", r"cannot be used in 9 GiB of memory"),
    ],
)
def test_what_a_network_does_is_one_line_too(
    kind: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NETWORK.format(body=STAND_INS[kind]))
    (tmp_path / "weights").write_bytes(b"-")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.setenv("DOUGA_DECODE_TIMEOUT_S", "3")
    monkeypatch.setenv("DOUGA_DECODE_MEMORY_GIB", "1")
    settings.cache_clear()
    try:
        with pytest.raises(InputError, match=words) as refused:
            examine_in_sandbox(
                tmp_path / "weights", name="net", kind="faithful", sha256=Digest("0" * 64)
            )
    finally:
        settings.cache_clear()
    assert len(str(refused.value).splitlines()) == 1
