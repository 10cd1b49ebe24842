"""Joining segments: every frame, at its exact time, and a film that appears whole or not at all."""

from __future__ import annotations

import subprocess
import zlib
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

from cluster.errors import EncodeError, InputError, UsageError
from tasks.assemble import Passthrough, SourceRange, assemble_film
from tasks.encode.encoders import EncodeSpec
from tasks.encode.segment import encode_segment
from tasks.frames.codes import from_uint8
from tasks.frames.colour import delivery_picture
from tasks.frames.picture import Picture
from tasks.verify import expect_film, read_packet_digests, verify_film

PICTURE = Picture(width=64, height=64)
COUNTS = (1, 30, 7, 1, 52)
TOTAL = sum(COUNTS)
RATES = ("24000/1001", "25", "30000/1001", "60")


def uneven_times(count: int) -> tuple[list[Fraction], Fraction]:
    """A film that mixes 24000/1001, 30000/1001 and held frames."""
    steps = [Fraction(1001, 24000), Fraction(1001, 30000), Fraction(3003, 24000)]
    edges = [Fraction(0), *accumulate(steps[frame * 7 // 5 % 3] for frame in range(count))]
    return edges[:-1], edges[-1]


def join(out: Path, segments, times, end, **more):
    return assemble_film(
        out,
        segments=segments,
        times=times,
        end=end,
        picture=more.pop("picture", PICTURE),
        container=more.pop("container", out.suffix[1:]),
        **more,
    )


@pytest.mark.parametrize("container", ["mkv", "mp4"])
@pytest.mark.parametrize("rate", [*RATES, "vfr"])
def test_every_frame_is_shown_at_its_exact_time(clips, tmp_path, rate, container):
    if rate == "vfr":
        times, end = uneven_times(TOTAL)
    else:
        times, end = clips.times(TOTAL, Fraction(rate))
    segments = clips.segments(COUNTS)
    info = join(tmp_path / f"film.{container}", segments, times, end)

    found = clips.video_times(info.path)
    assert len(found) == TOTAL == info.frames
    if container == "mp4":
        assert found == times
    else:
        ticks = [round(time * 1000) for time in times]
        assert all(abs(time * 1000 - tick) <= 1 for time, tick in zip(found, ticks, strict=True))
        assert max(abs(a - b) for a, b in zip(found, times, strict=True)) <= Fraction(1, 2000)
    assert clips.decoded([info.path]) == clips.decoded(segments)
    with av.open(str(info.path)) as file:
        shown = file.streams.video[0].average_rate
        assert info.rate is None if rate == "vfr" else shown == Fraction(rate) == info.rate


def test_matroska_says_how_long_a_frame_stays(clips, tmp_path):
    times, end = clips.times(TOTAL, Fraction(48000, 1001))
    info = join(tmp_path / "film.mkv", clips.segments(COUNTS), times, end)
    head = info.path.read_bytes()[: 1 << 20]
    assert b"\x23\xe3\x83\x84" + (20_854_167).to_bytes(4, "big") in head
    uneven, end = uneven_times(TOTAL)
    varying = join(tmp_path / "varying.mkv", clips.segments(COUNTS), uneven, end)
    assert b"\x23\xe3\x83\x84" not in varying.path.read_bytes()[: 1 << 16]


@pytest.mark.parametrize(
    ("codec", "container"),
    [("hevc", "mkv"), ("hevc", "mp4"), ("av1", "mkv"), ("av1", "mp4"), ("av1", "webm"),
     ("ffv1", "mkv"), ("prores", "mkv"), ("prores", "mov")],
)  # fmt: skip
def test_every_codec_joins_without_losing_a_frame(clips, tmp_path, codec, container):
    counts = (1, 12, 20)
    segments = clips.segments(counts, codec=codec)
    times, end = clips.times(sum(counts))
    info = join(tmp_path / f"film.{container}", segments, times, end)
    assert clips.decoded([info.path]) == clips.decoded(segments)
    if codec == "hevc" and container == "mp4":
        with av.open(str(info.path)) as file:
            assert file.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_thirty_five_thousand_frames_do_not_drift(clips, tmp_path, container):
    segments = clips.segments([500]) * 70
    times, end = clips.times(35_000)
    info = join(tmp_path / f"film.{container}", segments, times, end)
    found = clips.video_times(info.path)
    assert len(found) == 35_000
    drift = max(abs(got - due) for got, due in zip(found, times, strict=True))
    assert drift <= (Fraction(1, 2000) if container == "mkv" else 0)


def test_a_film_may_start_after_zero(clips, tmp_path):
    times, end = clips.times(20)
    late = Fraction(1, 2)
    for container in ("mkv", "mp4"):
        info = join(
            tmp_path / f"film.{container}",
            clips.segments([20]),
            [time + late for time in times],
            end + late,
        )
        assert clips.video_times(info.path)[0] == late


def test_the_same_inputs_give_the_same_bytes(clips, tmp_path):
    times, end = clips.times(TOTAL)
    source = clips.full_source()
    whole = Passthrough(ranges=(SourceRange(path=source, start_s=Fraction(0)),))
    for container in ("mkv", "mp4"):
        films = [tmp_path / f"{name}.{container}" for name in "ab"]
        for film in films:
            join(film, clips.segments(COUNTS), times, end, passthrough=whole)
        assert films[0].read_bytes() == films[1].read_bytes()


def test_colour_size_of_a_pixel_and_words_are_in_the_container(clips, tmp_path):
    picture = Picture(
        width=64,
        height=64,
        sar=Fraction(4, 3),
        matrix_tag="bt2020nc",
        primaries="bt2020",
        transfer="smpte2084",
        range="limited",
    )
    times, end = clips.times(20)
    # ffv1 has no tags in its own headers: what is read back is the container's.
    segments = clips.segments([20], codec="ffv1")
    for container in ("mkv", "mp4"):
        info = join(
            tmp_path / f"film.{container}",
            segments,
            times,
            end,
            picture=picture,
            metadata={"comment": "douga 0.1.0", "title": "Pilot"},
        )
        with av.open(str(info.path)) as file:
            stream = file.streams.video[0]
            context = stream.codec_context
            assert (context.colorspace, context.color_primaries, context.color_trc) == (9, 9, 16)
            assert context.color_range == 1
            shape = stream.sample_aspect_ratio
            assert shape == (Fraction(4, 3) if container == "mp4" else Fraction(85, 64))
            words = {key.lower(): value for key, value in file.metadata.items()}
            assert words["comment"] == "douga 0.1.0"
            assert words["title"] == "Pilot"


@pytest.mark.parametrize(
    ("encoder", "container"),
    [("libx264", "mp4"), ("libx265", "mkv"), ("libsvtav1", "webm"), ("ffv1", "mkv"),
     ("prores", "mov")],
)  # fmt: skip
def test_segments_of_the_encode_stage_become_a_film_that_verifies(tmp_path, encoder, container):
    source = Picture(
        width=64, height=64, sar=Fraction(8, 9), matrix_tag="bt709", primaries="bt709",
        transfer="bt709",
    )  # fmt: skip
    picture = delivery_picture(source, pix_fmt=None, encoder=encoder)
    ramp = np.arange(64)[None, :, None] + np.arange(64)[:, None, None]
    shots = [
        np.stack([(ramp * (2 + shot) + at * 9 + np.arange(3) * 70) % 230 for at in range(9)])
        for shot in range(3)
    ]
    segments = []
    for place, shot in enumerate(shots):
        segments.append(tmp_path / f"{place}.mkv")
        encode_segment(
            segments[-1],
            [from_uint8(shot.astype(np.uint8))],
            count=9,
            spec=EncodeSpec(encoder=encoder),
            picture=picture,
            rate=Fraction(24),
        )
    times = [Fraction(at, 24) for at in range(27)]
    info = join(tmp_path / f"film.{container}", segments, times, Fraction(27, 24), picture=picture)
    expected = expect_film(times=times, end=Fraction(27, 24), picture=picture, container=container)
    pictures = np.concatenate(shots).astype(np.uint8)
    looked: list[int] = []

    def picture_of(frame: int) -> Any:
        looked.append(frame)
        return pictures[frame]

    def check(*vouched: bool) -> list[int]:
        """The frames that were looked at in a film of which nothing is wrong."""
        looked.clear()
        packets = [read_packet_digests(path) for path in segments]
        assert not verify_film(
            info.path,
            expected=expected,
            deep=True,
            picture_of=picture_of,
            segments=packets,
            counts=[9] * 3,
            vouched=vouched,
        )
        return sorted(looked)

    assert check(False, False, False) == list(range(27))
    assert check(True, True, True) == [], "nobody looks twice at what is vouched for"
    assert check(False, True, True) == list(range(9))


HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.mark.parametrize("title", ["", "Main pictures"])
def test_hdr_side_data_is_in_a_matroska_film(clips, tmp_path, title):
    picture = Picture(width=64, height=64, hdr=f"{HDR}:max-cll=1000,400", matrix_tag="bt2020nc")
    times, end = clips.times(20)
    source = clips.full_source() if title else clips.source("aac", "mkv")
    info = join(
        tmp_path / "film.mkv",
        clips.segments([20], codec="ffv1"),
        times,
        end,
        picture=picture,
        passthrough=Passthrough(ranges=(SourceRange(path=source, start_s=Fraction(0)),)),
    )
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(info.path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "max_luminance=1000.0" in said
    assert "min_luminance=0.0050" in said
    assert "MaxCLL=1000, MaxFALL=400" in said
    assert "error" not in said.lower().replace("at least one output", "")
    with av.open(str(info.path)) as file:
        assert file.streams.video[0].metadata.get("title", "") == ("Main" if title else "")
    assert len(clips.video_times(info.path)) == 20
    assert checksum_holds(info.path.read_bytes())


def checksum_holds(film: bytes) -> bool:
    """Whether the CRC-32 of the Tracks element (a 2-byte size, then the checksum) is right."""
    at = film.rindex(bytes.fromhex("1654AE6B"), 0, 2000) + 4
    end = at + 2 + (int.from_bytes(film[at : at + 2], "big") & 0x3FFF)
    assert film[at + 2 : at + 4] == bytes.fromhex("BF84")
    return zlib.crc32(film[at + 8 : end]) == int.from_bytes(film[at + 4 : at + 8], "little")


def test_segments_with_other_headers_are_refused(clips, tmp_path):
    other = clips.segments([10], extra=["-pix_fmt", "yuv444p"])
    segments = [*clips.segments([10]), *other]
    times, end = clips.times(20)
    with pytest.raises(EncodeError, match=r"pix_fmt yuv444p, expected yuv420p"):
        join(tmp_path / "film.mkv", segments, times, end)
    tuned = clips.segments([10], extra=["-qp", "31", "-refs", "5"])
    with pytest.raises(EncodeError, match="codec headers"):
        join(tmp_path / "film.mkv", [*clips.segments([10]), *tuned], times, end)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_frame_is_refused_and_the_old_film_stays(clips, tmp_path):
    out = tmp_path / "film.mkv"
    out.write_bytes(b"the old film")
    times, end = clips.times(TOTAL + 1)
    with pytest.raises(EncodeError, match=f"expected {TOTAL + 1} frames"):
        join(out, clips.segments(COUNTS), times, end)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]
    assert out.read_bytes() == b"the old film"


def test_nothing_half_written_stays_when_writing_is_stopped(clips, tmp_path):
    def stop(done: int, total: int) -> None:
        assert (tmp_path / "film.mp4.partial").exists()
        raise KeyboardInterrupt

    times, end = clips.times(TOTAL)
    with pytest.raises(KeyboardInterrupt):
        join(tmp_path / "film.mp4", clips.segments(COUNTS), times, end, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_is_said_in_one_line(clips, tmp_path):
    times, end = clips.times(10)
    segment = clips.segments([10])
    out = tmp_path / "film.mkv"
    with pytest.raises(EncodeError, match="cannot read the segment"):
        join(out, [tmp_path / "none.mkv"], times, end)
    with pytest.raises(EncodeError, match="after"):
        join(out, segment, [*times[:-1], times[0]], end)
    with pytest.raises(EncodeError, match="no frames"):
        join(out, [], [], end)
    with pytest.raises(EncodeError, match="webm does not hold h264"):
        join(out, segment, times, end, container="webm")
    with pytest.raises(EncodeError, match="cannot write the film"):
        join(tmp_path / "no" / "film.mkv", segment, times, end)
    nowhere = SourceRange(path=tmp_path / "none.mkv", start_s=Fraction(0))
    with pytest.raises(InputError, match="cannot read the source"):
        join(out, segment, times, end, passthrough=Passthrough(ranges=(nowhere,)))
    endless = SourceRange(path=clips.source("aac", "mkv"), start_s=Fraction(0))
    with pytest.raises(UsageError, match="range 1 of 2 needs an end"):
        join(out, segment, times, end, passthrough=Passthrough(ranges=(endless, endless)))
    assert list(tmp_path.iterdir()) == []
