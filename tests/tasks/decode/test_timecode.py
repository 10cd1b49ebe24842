"""The timecode that a container states of its first frame is read, wherever it states it."""

from pathlib import Path

import pytest

from tasks.decode import index_source
from tasks.encode.ffmpeg import run_ffmpeg


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv"])
def test_a_stated_timecode_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    source = ["-f", "lavfi", "-i", "color=s=32x32:r=24:d=0.25"]
    said = (
        ["-metadata", "timecode=10:00:00:12"] if suffix == "mkv" else ["-timecode", "10:00:00:12"]
    )
    run_ffmpeg([*source, *said, "-c:v", "libx264", str(path)])
    assert index_source(str(path)).timecode == "10:00:00:12"


def test_no_timecode_is_none(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    run_ffmpeg(["-f", "lavfi", "-i", "color=s=32x32:r=24:d=0.25", "-c:v", "libx264", str(path)])
    assert index_source(str(path)).timecode == ""
