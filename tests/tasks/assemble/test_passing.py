"""What goes with the pictures: sound in time, subtitles, fonts, cover, chapters, words."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from tasks.assemble import Passthrough, SourceRange, assemble_film, probe_source
from tasks.assemble.streams import Container
from tasks.frames.picture import Picture

PICTURE = Picture(width=64, height=64)
FRAMES = 120
SLACK_S = 0.001 + 1 / 48_000
MS = Fraction(1, 1000)


def whole(source: Path, **more) -> Passthrough:
    origin_s = probe_source(source).origin_s()
    return Passthrough(ranges=(SourceRange(path=source, start_s=origin_s),), **more)


def make(clips, out: Path, passthrough: Passthrough, *, late_s=Fraction(0), codec="h264"):
    times, end = clips.times(FRAMES)
    return assemble_film(
        out,
        segments=clips.segments([50, 70], codec=codec),
        times=[time + late_s for time in times],
        end=end + late_s,
        picture=PICTURE,
        container=cast(Container, out.suffix[1:]),
        passthrough=passthrough,
    )


def check_beeps(clips, film: Path, *, stream: int = 0, late_s=Fraction(0)) -> None:
    due = [float(time + late_s) for time in clips.beep_times()]
    for heard in (clips.beeps_by_ffmpeg(film, stream), clips.beeps_by_pyav(film, stream)):
        assert len(heard) == len(due)
        assert heard == pytest.approx(due, abs=SLACK_S)


COPIED = {
    "mkv": ["aac", "libopus", "flac", "pcm_s16le", "ac3", "libmp3lame", "libvorbis"],
    "mp4": ["aac", "libopus", "flac", "pcm_s16le", "ac3", "libmp3lame"],
}


@pytest.mark.parametrize("container", ["mkv", "mp4"])
@pytest.mark.parametrize("came_in", ["mkv", "mp4"])
@pytest.mark.parametrize("codec", COPIED["mkv"])
def test_every_beep_stays_with_its_frame(clips, tmp_path, codec, came_in, container):
    source = clips.source(codec, came_in)
    info = make(clips, tmp_path / f"film.{container}", whole(source))
    check_beeps(clips, info.path)
    assert clips.video_times(info.path)[0] == 0
    copied = codec in COPIED[container]
    assert info.streams[0].how == ("copy" if copied else "encode")
    assert (info.notes == ()) == copied
    if copied:
        # Joined, because mov cuts PCM into packets as it likes.
        assert b"".join(payload(info.path, "audio")) == b"".join(payload(source, "audio"))


def payload(path: Path, kind: str, stream: int = 0) -> list[bytes]:
    with av.open(str(path)) as file:
        chosen = [s for s in file.streams if s.type == kind][stream]
        return [bytes(packet) for packet in file.demux(chosen) if packet.size]


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_sound_that_starts_late_or_early_keeps_its_place(clips, tmp_path, container):
    plain = clips.source("aac", "mp4")
    late = clips.remux(
        "late.mp4", "-i", plain, "-itsoffset", "0.5", "-i", plain,
        "-map", "0:v", "-map", "1:a", "-c", "copy",
    )  # fmt: skip
    info = make(clips, tmp_path / f"late.{container}", whole(late))
    check_beeps(clips, info.path, late_s=Fraction(1, 2))

    early = clips.remux(
        "early.mkv", "-itsoffset", "0.5", "-i", plain, "-i", plain,
        "-map", "0:v", "-map", "1:a", "-c", "copy",
    )  # fmt: skip
    assert probe_source(early).origin_s() == 0
    info = make(clips, tmp_path / f"early.{container}", whole(early), late_s=Fraction(1, 2))
    check_beeps(clips, info.path)
    assert clips.video_times(info.path)[0] == Fraction(1, 2)


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_an_edit_list_in_the_middle_of_a_packet_is_heeded(clips, tmp_path, container):
    cut = clips.remux("cut.mp4", "-ss", "0.51", "-i", clips.source("aac", "mp4"), "-c", "copy")
    info = make(clips, tmp_path / f"film.{container}", whole(cut))
    check_beeps(clips, info.path, late_s=-Fraction(51, 100))
    assert info.streams[0].how == "copy"


def test_a_source_between_the_ticks_of_its_clock_is_not_rounded_twice(clips, tmp_path):
    source = clips.source("aac", "mkv")
    for shift in (Fraction(1, 2400), Fraction(-1, 2500)):
        passing = Passthrough(ranges=(SourceRange(path=source, start_s=-shift),))
        info = make(clips, tmp_path / "film.mkv", passing)
        due = [float(time + shift) for time in clips.beep_times()]
        assert clips.beeps_by_pyav(info.path) == pytest.approx(due, abs=0.0005 + 2 / 48_000)
        assert clips.video_times(info.path)[0] == 0


def test_sound_that_may_well_start_with_the_film_does(clips, tmp_path):
    # 32 ms to a packet: nothing in Matroska's times tells 0 from a third of a millisecond.
    info = make(clips, tmp_path / "film.mp4", whole(clips.source("ac3", "mkv")))
    due = [float(time) for time in clips.beep_times()]
    assert clips.beeps_by_ffmpeg(info.path) == pytest.approx(due, abs=3 / 48_000)


def test_mp4_starts_late_sound_at_its_own_sample(clips, tmp_path):
    plain = clips.source("flac", "mp4")
    late = clips.remux(
        "odd.mp4", "-i", plain, "-itsoffset", "0.0417083", "-i", plain, "-map", "0:v",
        "-map", "1:a", "-c", "copy", "-movie_timescale", "720000",
    )  # fmt: skip
    info = make(clips, tmp_path / "film.mp4", whole(late))
    was, now = (probe_source(path).of("audio")[0].audible_s for path in (late, info.path))
    assert now == was
    assert (was * 1000).denominator != 1


@pytest.mark.parametrize("codec", ["aac", "libopus"])
def test_sound_is_as_long_as_its_container_says(clips, tmp_path, codec):
    source = clips.source(codec, "mp4")
    due = len(clips.beep_track())
    # A decoder of mp4 gives out the whole last packet; Matroska tells it where to stop.
    assert samples(make(clips, tmp_path / "film.mkv", whole(source)).path) == due
    assert samples(make(clips, tmp_path / "film.mp4", whole(source)).path) == samples(source)


def samples(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(frame.samples for frame in file.decode(audio=0))


def test_everything_goes_into_mkv_as_it_was(clips, tmp_path):
    source = clips.full_source()
    info = make(clips, tmp_path / "film.mkv", whole(source))
    assert info.notes == ()
    with av.open(str(info.path)) as film, av.open(str(source)) as old:
        for kind in ("video", "audio", "subtitles", "attachments"):
            new, was = getattr(film.streams, kind), getattr(old.streams, kind)
            assert [s.disposition for s in new] == [s.disposition for s in was]
            for stream, before in zip(new, was, strict=True):
                for word in ("language", "title", "filename", "mimetype"):
                    assert stream.metadata.get(word) == before.metadata.get(word), word
        assert film.streams.attachments[0].data == old.streams.attachments[0].data
        assert [dict(c, id=0) for c in film.chapters()] == [dict(c, id=0) for c in old.chapters()]
        assert film.metadata["title"] == "Episode 1"
        assert film.metadata["ARTIST"] == "Studio"
        ass = film.streams.subtitles[0].codec_context
        assert ass.extradata == old.streams.subtitles[0].codec_context.extradata
    for kind, number in (("audio", 0), ("audio", 1), ("subtitle", 0), ("subtitle", 1)):
        assert payload(info.path, kind, number) == payload(source, kind, number)
    assert cues(info.path, 0) == cues(source, 0)
    assert payload(info.path, "video", 1) == payload(source, "video", 1)
    check_beeps(clips, info.path, stream=1)


def cues(path: Path, stream: int) -> list[tuple[Fraction, Fraction, bytes]]:
    with av.open(str(path)) as file:
        chosen = file.streams.subtitles[stream]
        return [
            (p.pts * p.time_base, p.duration * p.time_base, bytes(p))
            for p in file.demux(chosen)
            if p.size > 2
        ]


def test_mp4_gets_what_it_can_hold_and_says_what_it_cannot(clips, tmp_path):
    info = make(clips, tmp_path / "film.mp4", whole(clips.full_source()))
    assert [s.codec for s in info.streams] == ["aac", "flac", "mov_text", "mov_text", "png"]
    assert any("douga.ttf" in note for note in info.notes)
    assert sum("converted from" in note for note in info.notes) == 2
    found = cues(info.path, 0)
    assert [(start, length) for start, length, _ in found] == [
        (500 * MS, 500 * MS),
        (1000 * MS, 1000 * MS),
        (2000 * MS, 1000 * MS),
        (3500 * MS, 750 * MS),
    ]
    texts = [data[2 : 2 + int.from_bytes(data[:2], "big")].decode() for *_, data in found]
    assert texts[1] == "First line\nSecond, with a comma"
    with av.open(str(info.path)) as film:
        assert [s.metadata.get("language") for s in film.streams.subtitles] == ["eng", "fre"]
        titles = [(c["metadata"]["title"], c["start"] * c["time_base"]) for c in film.chapters()]
        assert titles == [("Opening", 0), ("Part A", Fraction(2002, 1000))]
    check_beeps(clips, info.path, stream=0)
    check_beeps(clips, info.path, stream=1)


def test_mp4_subtitles_come_back_as_text_in_mkv(clips, tmp_path):
    mp4 = make(clips, tmp_path / "first.mp4", whole(clips.full_source())).path
    info = make(clips, tmp_path / "film.mkv", whole(mp4))
    assert [s.codec for s in info.streams if s.kind == "subtitle"] == ["subrip", "subrip"]
    assert [data for *_, data in cues(info.path, 1)] == [b"Bonjour", b"Fin"]
    assert [s.title for s in info.streams if s.kind == "subtitle"] == ["Signs", ""]


def test_webm_holds_opus_and_webvtt(clips, tmp_path):
    info = make(clips, tmp_path / "film.webm", whole(clips.full_source()), codec="av1")
    codecs = [(s.codec, s.how) for s in info.streams]
    assert codecs == [("opus", "encode")] * 2 + [("webvtt", "convert")] * 2
    check_beeps(clips, info.path)
    assert [data for *_, data in cues(info.path, 1)] == [b"Bonjour", b"Fin"]


@pytest.mark.parametrize(("audio", "codec"), [("flac", "flac"), ("aac", "aac"), ("opus", "opus")])
def test_sound_is_encoded_once_where_asked(clips, tmp_path, audio, codec):
    passing = whole(clips.source("pcm_s16le", "mkv"), audio=audio)
    info = make(clips, tmp_path / "film.mkv", passing)
    assert [(s.codec, s.how) for s in info.streams] == [(codec, "encode")]
    check_beeps(clips, info.path)
    silent = make(
        clips, tmp_path / "silent.mkv", whole(clips.source("pcm_s16le", "mkv"), audio="none")
    )
    assert silent.streams == ()


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_ranges_of_sources_are_cut_to_the_sample_and_joined(clips, tmp_path, container):
    frame = Fraction(1001, 24_000)
    source, other = clips.full_source(), clips.source("flac", "mkv")
    # Frames 36-66 (beep 48), 90-120 (beep 96) of one source, then 12-72 (24, 48) of another.
    spans = [(source, 36, 66), (source, 90, 120), (other, 12, 72)]
    ranges = tuple(
        SourceRange(path=path, start_s=start * frame, end_s=end * frame)
        for path, start, end in spans
    )
    info = make(clips, tmp_path / f"film.{container}", Passthrough(ranges=ranges))
    due = [float((at) * frame) for at in (48 - 36, 96 - 90 + 30, 24 - 12 + 60, 48 - 12 + 60)]
    for heard in (clips.beeps_by_ffmpeg(info.path), clips.beeps_by_pyav(info.path)):
        assert heard == pytest.approx(due, abs=SLACK_S)
    assert any("joined" in note for note in info.notes)
    # The second source has one sound only: the second stream is silent there.
    assert len(clips.beeps_by_ffmpeg(info.path, 1)) == 2
    starts = [start for start, *_ in cues(info.path, 1)]
    # SRT: 0.5-2.0 s from the first range on (1.5015 s), 3.5-4.25 s in the second (3.75375 s).
    assert [float(start) for start in starts] == pytest.approx([0, float(30 * frame)], abs=0.001)
    with av.open(str(info.path)) as film:
        chapters = [(c["metadata"]["title"], c["start"] * c["time_base"]) for c in film.chapters()]
    assert [name for name, _ in chapters] == ["Opening", "Part A"]
    assert float(chapters[1][1]) == pytest.approx(2.002 - 36 * float(frame), abs=0.001)


def test_joined_ass_lines_are_numbered_anew(clips, tmp_path):
    frame = Fraction(1001, 24_000)
    source = clips.full_source()
    once = SourceRange(path=source, start_s=Fraction(0), end_s=60 * frame)
    info = make(clips, tmp_path / "film.mkv", Passthrough(ranges=(once, once)))
    numbers = [data.split(b",", 1)[0] for *_, data in cues(info.path, 0)]
    assert len(numbers) == len(set(numbers)) == 6


def test_sound_of_a_film_of_ranges_is_as_long_as_its_pictures(clips, tmp_path):
    frame = Fraction(1001, 24_000)
    source = clips.source("pcm_s16le", "mkv")
    ranges = tuple(
        SourceRange(path=source, start_s=at * frame, end_s=(at + 1) * frame) for at in range(120)
    )
    info = make(clips, tmp_path / "film.mkv", Passthrough(ranges=ranges))
    with av.open(str(info.path)) as film:
        pieces = [frame.to_ndarray() for frame in film.decode(audio=0)]
    joined = np.concatenate(pieces, axis=1).reshape(-1, 2)
    assert len(joined) == round(120 * frame * 48_000)
    assert np.array_equal(joined, clips.beep_track()[: len(joined)])
