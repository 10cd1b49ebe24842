"""ffmpeg is found, fed, drained, timed and stopped, and its errors are one line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ffmpeg
import pytest

import tasks.encode.ffmpeg as module
from cluster.errors import EncodeError
from tasks.encode.ffmpeg import (
    encoders_available,
    ffmpeg_build,
    local_url,
    run_ffmpeg,
    telling_line,
)

GREY = ["-f", "rawvideo", "-pixel_format", "gray", "-video_size", "64x64"]
ENDLESS = ["-f", "lavfi", "-i", "testsrc=s=64x64", "-f", "null", "-"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every ffmpeg that the test starts."""
    processes: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        killed_before_input_ended = False

        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            processes.append(self)

        def kill(self) -> None:
            self.killed_before_input_ended |= self.stdin is not None and not self.stdin.closed
            super().kill()

    monkeypatch.setattr(subprocess, "Popen", Watched)
    return processes


def test_the_bundled_ffmpeg_has_every_encoder_douga_offers() -> None:
    assert encoders_available() >= {"libx264", "libx265", "libsvtav1", "prores_ks", "ffv1"}
    assert encoders_available() >= {"aac", "libopus", "flac"}
    assert "=" not in encoders_available()


def test_the_build_names_a_version_and_stays() -> None:
    assert len(ffmpeg_build().rpartition("-")[2]) == 12
    assert ffmpeg_build() == ffmpeg_build()


def test_both_pipes_are_drained_while_input_is_fed() -> None:
    """24 MB each way through 64 KB pipes: a pipe nobody reads would stop it."""
    frames = [bytes([i % 251]) * 4096 for i in range(6000)]
    out = run_ffmpeg(
        [*GREY, "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"],
        input=frames,
    )
    assert out == b"".join(frames)


def test_input_that_ffmpeg_does_not_want_is_not_waited_for(
    started: list[subprocess.Popen[bytes]],
) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(4096)

    out = run_ffmpeg(
        [*GREY, "-i", "pipe:0", "-frames:v", "2", "-f", "rawvideo", "pipe:1"], input=endless()
    )
    assert len(out) == 2 * 4096
    assert started[0].returncode == 0


def test_an_error_while_making_input_stops_ffmpeg_before_it_can_finish(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    def breaking() -> Iterator[bytes]:
        yield from (bytes(4096) for _ in range(50))
        raise ValueError("no more drawings")

    target = tmp_path / "cut-short.mkv"
    with pytest.raises(ValueError, match="no more drawings"):
        run_ffmpeg(
            [*GREY, "-i", "pipe:0", "-c:v", "ffv1", local_url(target)],
            input=breaking(),
        )
    assert started[0].returncode == -9
    assert started[0].killed_before_input_ended  # type: ignore[attr-defined]


def test_a_run_that_takes_too_long_is_stopped(started: list[subprocess.Popen[bytes]]) -> None:
    with pytest.raises(EncodeError, match=r"ep01/sh010: ffmpeg was stopped after 0\.3 s") as raised:
        run_ffmpeg(ENDLESS, timeout_s=0.3, where="ep01/sh010")
    assert raised.value.retryable
    assert started[0].returncode == -9


def test_a_stuck_ffmpeg_with_input_waiting_is_stopped_too(
    started: list[subprocess.Popen[bytes]],
) -> None:
    """ffmpeg reads the endless generator and never the pipe, which stays full."""

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)

    with pytest.raises(EncodeError, match="stopped after"):
        run_ffmpeg(ENDLESS, input=endless(), timeout_s=0.3)
    assert started[0].returncode == -9


def test_progress_counts_frames_to_the_last() -> None:
    told: list[int] = []
    run_ffmpeg(
        ["-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=2", "-f", "null", "-"],
        on_progress=told.append,
    )
    assert told[-1] == 50
    assert told == sorted(told)


@pytest.mark.parametrize("name", ["-y.mkv", "http:x.mkv", "sp ace%d.mkv", "動画.mkv"])
def test_any_file_name_is_a_file_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = ffmpeg.input("testsrc=s=64x64:d=0.2", format="lavfi")
    run_ffmpeg(ffmpeg.output(source, local_url(name), vcodec="ffv1"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    probe = ffmpeg.output(ffmpeg.input(local_url(name)), "pipe:1", f="framemd5")
    assert run_ffmpeg(probe).count(b"\n0,") == 5


def test_a_failure_is_one_line_that_names_the_cause(tmp_path: Path) -> None:
    source = ["-f", "lavfi", "-i", "testsrc=s=65x64:d=1", "-pix_fmt", "yuv420p"]
    target = local_url(tmp_path / "x.mkv")
    with pytest.raises(EncodeError) as raised:
        run_ffmpeg([*source, "-c:v", "libx264", target], where="ep01/sh010")
    assert str(raised.value) == ("ep01/sh010: ffmpeg: libx264: width not divisible by 2 (65x64)")
    with pytest.raises(EncodeError, match=r"No such file or directory$"):
        run_ffmpeg(["-i", local_url(tmp_path / "none.mkv"), "-f", "null", "-"])
    with pytest.raises(EncodeError, match="Unknown encoder 'nosuch'"):
        run_ffmpeg([*source, "-c:v", "nosuch", target])


def test_the_telling_line_is_the_cause_not_its_echo() -> None:
    lines = [
        "[libx264 @ 0x55a] Error setting preset/tune nosuch/(null).",
        "[vost#0:0/libx264 @ 0x55b] [enc:libx264 @ 0x55c] Error while opening encoder - maybe",
        "[vf#0:0 @ 0x55d] Task finished with error code: -22 (Invalid argument)",
        "",
    ]
    assert telling_line(lines, 234) == "libx264: Error setting preset/tune nosuch/(null)."
    assert telling_line(lines[2:], 234).endswith("-22 (Invalid argument)")
    assert telling_line([], -9) == "ended by signal 9"
    assert telling_line([], 1) == "ended with code 1, in silence"


def test_a_missing_ffmpeg_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "settings", lambda: module_settings("/nowhere/ffmpeg"))
    module.ffmpeg_path.cache_clear()
    try:
        with pytest.raises(EncodeError, match=r"no ffmpeg at /nowhere/ffmpeg; .*DOUGA_FFMPEG"):
            module.ffmpeg_path()
    finally:
        module.ffmpeg_path.cache_clear()


def module_settings(named: str) -> Any:
    from cluster.settings import Settings

    return Settings(ffmpeg=named)
