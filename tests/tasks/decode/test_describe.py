"""Colour and shape are read as tagged, and every assumption is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import InputError
from tasks.decode import index_source
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.frames.picture import Picture


def picture(tmp_path: Path, *options: str, size: str = "64x48", suffix: str = ".mkv") -> Picture:
    """The picture of a two-frame film encoded with these options."""
    film = tmp_path / f"film{len(list(tmp_path.iterdir()))}{suffix}"
    source = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.08"]
    run_ffmpeg([*source, *options, str(film)])
    return index_source(str(film)).picture


def tagged(matrix: str, primaries: str, transfer: str, range_: str) -> list[str]:
    """ffmpeg options that tag every frame."""
    tags = f"colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range={range_}"
    return ["-vf", f"setparams={tags}", "-c:v", "libx264"]


def test_tags_are_carried(tmp_path: Path) -> None:
    got = picture(tmp_path, "-pix_fmt", "yuv420p", *tagged("bt709", "bt709", "bt709", "tv"))
    assert (got.matrix, got.matrix_tag) == ("bt709", "bt709")
    assert (got.primaries, got.transfer) == ("bt709", "bt709")
    assert (got.range, got.siting, got.depth) == ("limited", "left", 8)
    assert got.guessed == ()


@pytest.mark.parametrize(
    ("tag", "matrix"), [("smpte170m", "bt601"), ("bt470bg", "bt601"), ("bt2020nc", "bt2020nc")]
)
def test_matrix_is_understood(tmp_path: Path, tag: str, matrix: str) -> None:
    got = picture(tmp_path, "-pix_fmt", "yuv422p10le", *tagged(tag, "bt709", "bt709", "pc"))
    assert (got.matrix, got.matrix_tag, got.range) == (matrix, tag, "full")
    assert (got.pix_fmt, got.depth) == ("yuv422p10le", 10)


def test_matrix_that_conversion_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="matrix ycgco is not supported"):
        picture(
            tmp_path,
            *("-pix_fmt", "yuv444p", "-c:v", "libx264", "-x264-params", "colormatrix=YCgCo"),
        )


@pytest.mark.parametrize(
    ("size", "matrix"), [("64x48", "bt601"), ("1280x64", "bt709"), ("64x720", "bt709")]
)
def test_untagged_matrix_follows_the_size_and_says_so(
    tmp_path: Path, size: str, matrix: str
) -> None:
    got = picture(tmp_path, "-pix_fmt", "yuv420p", "-c:v", "libx264", size=size)
    assert got.matrix == matrix
    assert got.matrix_tag == ""
    assert f"matrix untagged: {matrix} by size {size}" in got.guessed


def test_untagged_range_is_limited_and_says_so(tmp_path: Path) -> None:
    got = picture(tmp_path, "-pix_fmt", "yuv420p", "-c:v", "libx264", suffix=".mp4")
    assert got.range == "limited"
    assert "range untagged: limited" in got.guessed


def test_siting_is_read(tmp_path: Path) -> None:
    options = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-x264-params", "chromaloc=2")
    assert picture(tmp_path, *options).siting == "topleft"
    center = ("-vf", "format=yuv420p,setparams=chroma_location=center", "-c:v", "ffv1")
    assert picture(tmp_path, *center).siting == "center"


def test_full_range_jpeg_is_plain_planar(tmp_path: Path) -> None:
    got = picture(tmp_path, "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", suffix=".avi")
    assert (got.pix_fmt, got.range, got.siting) == ("yuv420p", "full", "center")


def test_rgb_has_no_matrix(tmp_path: Path) -> None:
    got = picture(tmp_path, "-pix_fmt", "bgr0", "-c:v", "ffv1")
    assert (got.pix_fmt, got.matrix, got.range) == ("gbrp", "rgb", "full")


def test_grey_is_one_plane(tmp_path: Path) -> None:
    got = picture(tmp_path, "-pix_fmt", "gray10le", "-c:v", "ffv1")
    assert (got.pix_fmt, got.depth) == ("gray10le", 10)


def test_pixel_shape_is_read(tmp_path: Path) -> None:
    options = ("-vf", "setsar=32/27", "-pix_fmt", "yuv420p", "-c:v", "libx264")
    assert picture(tmp_path, *options).sar == Fraction(32, 27)


def test_hdr_side_data_is_read_as_options(tmp_path: Path) -> None:
    told = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    params = f"log-level=error:colorprim=9:transfer=16:colormatrix=9:{told}:max-cll=1000,400"
    got = picture(tmp_path, "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", params)
    assert got.hdr == f"{told}:max-cll=1000,400"
    assert (got.matrix, got.primaries, got.transfer) == ("bt2020nc", "bt2020", "smpte2084")


def test_untagged_matrix_beside_wide_primaries_is_theirs(tmp_path: Path) -> None:
    got = picture(
        tmp_path, "-pix_fmt", "yuv420p10le", *tagged("unknown", "bt2020", "smpte2084", "tv")
    )
    assert got.matrix == "bt2020nc"
    assert any("bt2020" in note for note in got.guessed)


def test_interlaced_film_is_known(tmp_path: Path, clips: Any) -> None:
    film = tmp_path / "fields.ts"
    clips.make(film, ["-vf", "setfield=tff", "-flags", "+ilme+ildct", "-c:v", "mpeg2video"])
    assert index_source(str(film)).interlaced
    assert not index_source(str(clips("closed.mp4"))).interlaced


def test_turn_is_noted_and_turns_the_shape(clips: Any, tmp_path: Path) -> None:
    film = tmp_path / "turned.mp4"
    run_ffmpeg(["-display_rotation", "90", "-i", str(clips("closed.mp4")), "-c", "copy", str(film)])
    index = index_source(str(film))
    assert (index.picture.width, index.picture.height, index.rotation) == (64, 96, 90)
    assert (index.coded_picture.width, index.coded_picture.height) == (96, 64)
    assert any("turned by 90 degrees" in note for note in index.guessed)
