"""The files: what is read back from the film and the truth beside it."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from cluster.errors import InputError
from tasks.synthetic import (
    Encoding,
    SamplePaths,
    Short,
    Truth,
    TruthParts,
    read_frames,
    read_span,
    read_truth,
    render_frame,
    synthesise,
    write_sample,
)
from tasks.synthetic.font import FILE_NAME, MIMETYPE, font_bytes
from tasks.synthetic.sound import BEEP_HZ, BEEP_LEVEL, make_sound

SMALL: dict[str, Any] = {"seed": 5, "shots": 12, "seconds": 4.0, "size": (160, 90)}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> SamplePaths:
    return write_sample(tmp_path_factory.mktemp("sample"), **SMALL)


@pytest.fixture(scope="module")
def short() -> Short:
    return synthesise(
        SMALL["seed"], shots=SMALL["shots"], seconds=SMALL["seconds"], size=SMALL["size"]
    )


@pytest.fixture(scope="module")
def truth(paths: SamplePaths) -> Truth:
    assert paths.truth is not None
    return read_truth(paths.truth)


def test_film_has_every_stream_with_its_tags(paths: SamplePaths, short: Short) -> None:
    with av.open(str(paths.film)) as film:
        kinds = [stream.type for stream in film.streams]
        assert kinds == ["video", "audio", "subtitle", "subtitle", "attachment"]
        picture = film.streams.video[0]
        context = picture.codec_context
        assert picture.average_rate == Fraction(24000, 1001)
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
        assert int(context.color_range) == 1
        assert context.pix_fmt == "yuv420p"
        assert film.streams.audio[0].layout.name == "stereo"
        words = film.streams.subtitles
        assert [s.metadata["language"] for s in words] == ["eng", "jpn"]
        assert all(s.metadata["title"] for s in words)
        assert bool(words[0].disposition & av.stream.Disposition.default)
        font = film.streams[4]
        assert font.metadata == {"filename": FILE_NAME, "mimetype": MIMETYPE}
        assert film.metadata["title"] == short.title
        chapters = [c["metadata"]["title"] for c in film.chapters()]
        assert chapters == [c.title for c in short.chapters]
        events = [p for p in film.demux(words) if p.size]
        assert len(events) == len(short.captions)


def test_film_shows_the_frames_in_order_and_on_time(paths: SamplePaths, short: Short) -> None:
    with av.open(str(paths.film)) as film:
        decoded = list(film.decode(video=0))
    assert len(decoded) == short.frames
    for index, frame in enumerate(decoded):
        exact = index / short.rate
        assert abs(frame.pts * frame.time_base - exact) <= Fraction(1, 1000)
    for index in (short.frames // 3, short.frames // 2):
        seen = decoded[index].to_ndarray(format="rgb24").astype(float)
        psnr = 10 * np.log10(255**2 / np.mean((seen - render_frame(short, index)) ** 2))
        assert psnr > 30


def test_beeps_start_at_their_sample_and_channels_differ(paths: SamplePaths, short: Short) -> None:
    with av.open(str(paths.film)) as film:
        sound = np.concatenate([f.to_ndarray() for f in film.decode(audio=0)], axis=1)
    left, right = sound.reshape(-1, 2).T.astype(float) / 32768
    assert len(left) == round(short.seconds * short.sample_rate)
    assert short.beeps
    for beep in short.beeps:
        for channel, hertz in ((left, BEEP_HZ[0]), (right, BEEP_HZ[1])):
            around = np.abs(channel[beep.sample - 200 : beep.sample + 200])
            assert int(np.argmax(around > BEEP_LEVEL / 10)) == 200
            tone = channel[beep.sample : beep.sample + 1200]
            peak = np.argmax(np.abs(np.fft.rfft(tone, 48000)))
            assert abs(int(peak) - hertz) < 25


def test_sound_is_quiet_between_beeps(short: Short) -> None:
    sound = make_sound(short)
    for beep in short.beeps:
        sound[:, beep.sample : beep.sample + 2880] = 0
    assert 0.002 < np.abs(sound).max() < BEEP_LEVEL / 20


def test_truth_reads_back_and_agrees_with_the_description(truth: Truth, short: Short) -> None:
    assert truth.cuts == short.cuts
    assert truth.rate == short.rate
    assert truth.flashes == short.flashes
    assert truth.transitions == short.transitions
    assert truth.beeps == short.beeps
    assert [s.id for s in truth.shots] == [s.id for s in short.shots]
    assert len(truth.drawing) == len(truth.character_drawing) == short.frames


def test_source_is_lossless_and_drawings_name_equal_pictures(
    paths: SamplePaths, truth: Truth, short: Short
) -> None:
    assert paths.source is not None
    frames = list(read_frames(paths.source))
    assert len(frames) == short.frames
    for index in (1, short.frames // 2):
        assert np.array_equal(frames[index], render_frame(short, index))
    starts = {shot.start for shot in truth.shots}
    for index, first in enumerate(truth.drawing):
        assert first <= index
        assert np.array_equal(frames[index], frames[first])
        if index not in starts and first == index:
            assert not np.array_equal(frames[index], frames[index - 1])
    held = sum(d != i for i, d in enumerate(truth.drawing))
    assert held > short.frames // 5


def test_character_drawings_hold_where_the_picture_does(truth: Truth) -> None:
    insert = next(shot for shot in truth.shots if shot.kind == "insert")
    assert set(truth.character_drawing[insert.start : insert.end]) == {insert.start}
    walk = next(shot for shot in truth.shots if shot.kind == "walk")
    shared = truth.character_drawing[walk.start : walk.start + 2]
    assert shared == (walk.start, walk.start)
    assert truth.drawing[walk.start + 1] == walk.start + 1


def test_inbetweens_hold_with_drawings_and_at_cuts(paths: SamplePaths, truth: Truth) -> None:
    assert paths.inbetweens is not None
    assert paths.source is not None
    source, between = list(read_frames(paths.source)), list(read_frames(paths.inbetweens))
    assert len(between) == truth.frames
    lasts = {shot.end - 1 for shot in truth.shots}
    moving = 0
    for k in range(truth.frames - 1):
        if k in lasts or truth.drawing[k] == truth.drawing[k + 1]:
            assert np.array_equal(between[k], source[k]), f"after frame {k}"
        else:
            moving += not np.array_equal(between[k], source[k])
    assert moving > truth.frames // 4


def test_double_frames_are_twice_the_size(paths: SamplePaths, short: Short) -> None:
    assert paths.double is not None
    middle = short.frames // 2
    (frame,) = read_span(paths.double, start=middle, end=middle + 1)
    assert np.array_equal(frame, render_frame(short, middle, scale=2))


def test_drawings_come_as_line_paint_and_region_of_consecutive_frames(paths: SamplePaths) -> None:
    assert paths.drawings is not None
    shots = sorted(paths.drawings.iterdir())
    assert len(shots) >= 3
    for shot in shots:
        lines = sorted(shot.glob("*.line.png"))
        numbers = [int(p.name.split(".")[0]) for p in lines]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(numbers) >= 5
        region = cv2.imread(str(lines[0]).replace(".line.", ".region."), cv2.IMREAD_UNCHANGED)
        paint = cv2.imread(str(lines[0]).replace(".line.", ".paint."))
        assert region.dtype == np.uint16
        assert paint.shape[:2] == region.shape


def test_mp4_ten_bit_without_truth(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    paths = write_sample(
        tmp_path / "new",
        seed=2,
        shots=3,
        seconds=1.5,
        size=(128, 72),
        rate=Fraction(25),
        truth=None,
        encoding=Encoding(container="mp4", depth=10, gop=10),
        progress=lambda n, total: done.append((n, total)),
    )
    assert paths == SamplePaths(film=tmp_path / "new" / "episode.mp4")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["episode.mp4"]
    assert done[-1][0] == done[-1][1] == 38
    with av.open(str(paths.film)) as film:
        assert film.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
        assert len(list(film.decode(video=0))) == 38
        assert [s.metadata["language"] for s in film.streams.subtitles] == ["eng", "jpn"]


def test_writing_twice_gives_the_same_film(tmp_path: Path) -> None:
    arguments = {"shots": 3, "seconds": 1.0, "size": (96, 64), "truth": None}
    hashes = []
    for name in ("a", "b"):
        film = write_sample(tmp_path / name, **arguments).film  # type: ignore[arg-type]
        with av.open(str(film)) as source:
            hashes.append([f.to_ndarray().tobytes() for f in source.decode(video=0)])
    assert hashes[0] == hashes[1]


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot make the folder"):
        write_sample(tmp_path / "file" / "out", truth=None)


def test_no_film_is_left_when_a_run_is_stopped(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, shots=2, seconds=1, size=(96, 64), truth=TruthParts(), progress=stop)
    assert not list(tmp_path.glob("*episode*"))


def checksum(data: bytes) -> int:
    """The sfnt checksum: big-endian 32-bit words added up."""
    return sum(struct.unpack(f">{len(data) // 4}I", data)) & 0xFFFFFFFF


def test_font_is_a_valid_sfnt() -> None:
    data = font_bytes()
    assert len(data) < 20_000
    version, count = struct.unpack(">IH", data[:6])
    assert version == 0x10000
    tags = []
    for i in range(count):
        tag, total, at, length = struct.unpack(">4sIII", data[12 + 16 * i : 28 + 16 * i])
        tags.append(tag.decode())
        body = data[at : at + length] + b"\0" * (-length % 4)
        if tag == b"head":
            body = body[:8] + bytes(4) + body[12:]
        assert checksum(body) == total, tag
    assert tags == sorted(tags)
    assert {"cmap", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "name", "OS/2", "post"} == set(
        tags
    )
    assert checksum(data) == 0xB1B0AFBA
