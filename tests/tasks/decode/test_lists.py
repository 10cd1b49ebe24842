"""A list of other files is no source: no digest covers what it shows, nor where that lies."""

from pathlib import Path

import pytest

from cluster.errors import InputError
from tasks.decode import index_source
from tasks.encode.ffmpeg import run_ffmpeg

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{part}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile {part}\n"


@pytest.mark.parametrize(
    ("called", "text", "part"),
    [
        ("list.m3u8", HLS, "part.ts"),
        ("far.m3u8", HLS, "{folder}/elsewhere/part.ts"),
        ("list.ffconcat", CONCAT, "part.ts"),
        ("film.mkv", CONCAT, "part.ts"),
        ("film.mp4", HLS, "part.ts"),
    ],
)
def test_a_list_of_files_that_are_there_is_refused(
    called: str, text: str, part: str, tiny_film: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    run_ffmpeg(["-i", str(tiny_film), "-c:v", "copy", "-an", str(tmp_path / "part.ts")])
    (tmp_path / "elsewhere" / "part.ts").write_bytes((tmp_path / "part.ts").read_bytes())
    (tmp_path / called).write_text(text.format(part=part.format(folder=tmp_path)))
    with pytest.raises(InputError, match=r"list of other files|not a video"):
        index_source(str(tmp_path / called))
