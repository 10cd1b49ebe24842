"""What is no film is refused in one clear line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import InputError
from tasks.decode import index_source
from tasks.encode.ffmpeg import run_ffmpeg


def refusal(path: Path) -> str:
    """The one line that refuses a path."""
    with pytest.raises(InputError) as caught:
        index_source(str(path))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(path))
    return line


def test_no_such_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "film.mp4")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "film.mp4")


@pytest.mark.parametrize("name_of", ["film.mp4", "film.txt", "film.nfo", "film.srt"])
def test_text(tmp_path: Path, name_of: str) -> None:
    (tmp_path / name_of).write_text("1\n00:00:01,000 --> 00:00:02,000\nThis is text.\n" * 40)
    line = refusal(tmp_path / name_of)
    assert "is not a video" in line or "is text" in line or "no video" in line


def test_sound_alone(tmp_path: Path) -> None:
    run_ffmpeg(["-f", "lavfi", "-i", "sine=d=0.2", str(tmp_path / "song.flac")])
    assert "holds no video, only audio" in refusal(tmp_path / "song.flac")


def test_sound_with_a_cover_picture(tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    run_ffmpeg(["-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", str(cover)])
    run_ffmpeg(
        [
            *("-f", "lavfi", "-i", "sine=d=0.2", "-i", str(cover), "-map", "0", "-map", "1"),
            *("-c:v", "copy", "-disposition:v", "attached_pic", str(tmp_path / "song.mp3")),
        ]
    )
    assert "only audio and a cover picture" in refusal(tmp_path / "song.mp3")


def test_playlist_opens_nothing_else(tmp_path: Path, clips: Any) -> None:
    shutil.copy(clips("open.ts"), tmp_path / "part.ts")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.5,\nhttp://127.0.0.1:9/part.ts\n"
        "#EXT-X-ENDLIST\n"
    )
    refusal(playlist)


def test_name_that_reads_like_a_pattern_or_a_protocol_is_only_a_name(
    clips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(clips("closed.mp4"), tmp_path / "a:b %03d.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(index_source("a:b %03d.mp4")) == 60


def test_damage_at_the_first_frame_is_refused(clips: Any, tmp_path: Path) -> None:
    data = bytearray(clips("prores.mov").read_bytes())
    start = data.index(b"icpf")
    data[start - 4 : start + 2000] = bytes(2004)
    film = tmp_path / "film.mov"
    film.write_bytes(data)
    assert "cannot be decoded" in refusal(film) or "no frame" in refusal(film)
