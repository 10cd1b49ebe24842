"""A damaged film is refused by name and place; no frame of it is ever patched up or left out."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from cluster.errors import InputError
from tasks.decode import FrameReader, SeekPoint, index_source
from tasks.decode.damage import Damage
from tasks.decode.logs import enter_threaded, heard_errors, leave_threaded
from tasks.decode.video import _find


def damaged(clips: Any, clip: str, folder: Path, *, at: float, size: int, seed: int = 0) -> Path:
    """A copy of a clip with `size` bytes of its pictures, the part `at` in, made noise."""
    data = bytearray(clips(clip).read_bytes())
    end = data.rindex(b"moov") if clip.endswith(("mp4", "mov")) else len(data)
    place = min(int(end * at), end - size - 8)
    data[place : place + size] = random.Random(seed).randbytes(size)
    path = folder / f"{at}-{size}-{seed}-{clip}"
    path.write_bytes(data)
    return path


def read_until_refused(path: Path, truth: Any) -> InputError | None:
    """The refusal, if any; every frame given before it must be the true one."""
    try:
        index = index_source(str(path))
        assert list(index.pts) == truth.pts
        with FrameReader(index) as reader:
            for number in range(len(index)):
                planes = reader.read_planes(number)
                assert all(map(np.array_equal, planes, truth.planes[number])), number
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize("clip", ["ffv1.mkv", "mpeg2.ts", "hashed.mp4"])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("size", [300, 3000])
def test_damage_that_checksums_show_is_refused_before_a_wrong_frame(
    clips: Any, tmp_path: Path, clip: str, at: float, size: int
) -> None:
    path = damaged(clips, clip, tmp_path, at=at, size=size)
    error = read_until_refused(path, clips.linear(clip))
    assert error is not None
    assert path.name in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("clip", ["closed.mp4", "open.mkv", "vp9.webm", "hevc.mp4", "prores.mov"])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
def test_large_damage_is_refused(clips: Any, tmp_path: Path, clip: str, at: float) -> None:
    path = damaged(clips, clip, tmp_path, at=at, size=4000)
    with pytest.raises(InputError):
        read_all(path)


def read_all(path: Path, *, threads: int = 1) -> None:
    """Reads every frame."""
    with FrameReader(index_source(str(path)), threads=threads) as reader:
        for number in range(len(reader.index)):
            reader.read_planes(number)


@pytest.mark.parametrize("at", [0.4, 0.6])
def test_damage_is_refused_with_decoder_threads_too(clips: Any, tmp_path: Path, at: float) -> None:
    path = damaged(clips, "closed.mp4", tmp_path, at=at, size=2000)
    with pytest.raises(InputError, match="cannot be decoded"):
        read_all(path, threads=3)


def test_refusal_names_frame_and_time(clips: Any, tmp_path: Path) -> None:
    path = damaged(clips, "closed.mp4", tmp_path, at=0.5, size=4000)
    with pytest.raises(InputError) as caught:
        read_all(path)
    error = caught.value
    assert error.where.startswith(f"{path} frame ")
    assert error.where.endswith(" s)")
    assert error.what.startswith("cannot be decoded (")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_frames_away_from_the_damage_still_read(clips: Any, tmp_path: Path) -> None:
    path = damaged(clips, "closed.mp4", tmp_path, at=0.5, size=500)
    truth = clips.linear("closed.mp4").planes
    with FrameReader(index_source(str(path))) as reader:
        for number in (*range(12), *range(48, 60)):
            assert all(map(np.array_equal, reader.read_planes(number), truth[number]))


def test_matroska_that_skips_a_cluster_is_refused_at_the_index(clips: Any, tmp_path: Path) -> None:
    path = damaged(clips, "closed.mkv", tmp_path, at=0.5, size=4000)
    with pytest.raises(InputError, match=r"is damaged after [0-9]+ whole frames"):
        index_source(str(path))


@pytest.mark.parametrize("clip", ["closed.mkv", "hidden.webm", "closed.mp4"])
def test_film_cut_short_is_refused(clips: Any, tmp_path: Path, clip: str) -> None:
    data = clips(clip).read_bytes()
    path = tmp_path / clip
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match=r"damaged after|not a video that can be read"):
        index_source(str(path))


def test_the_same_damage_is_heard_again(clips: Any, tmp_path: Path) -> None:
    path = damaged(clips, "closed.mkv", tmp_path, at=0.5, size=4000)
    for _ in range(2):
        with pytest.raises(InputError, match=r"invalid|exceeds|ebml"):
            index_source(str(path))


@pytest.mark.parametrize("at", [0.3, 0.6])
def test_damage_in_an_untimed_film_is_refused_at_the_index(
    clips: Any, tmp_path: Path, at: float
) -> None:
    path = damaged(clips, "raw.h264", tmp_path, at=at, size=1500)
    with pytest.raises(InputError, match=r"frame \d+ cannot be decoded"):
        index_source(str(path))


def test_nothing_is_heard_while_a_decoder_has_threads() -> None:
    enter_threaded()
    try:
        with heard_errors() as lines:
            assert lines == []
    finally:
        leave_threaded()


def test_failure_spoils_up_to_the_next_clean_start_and_its_leading_pictures() -> None:
    damage = Damage(window=1)
    damage.feed(0, clean=True)
    damage.feed(40, clean=False)
    damage.fail("broken")
    damage.feed(20, clean=False)
    damage.feed(120, clean=True)
    damage.feed(80, clean=False)
    damage.feed(160, clean=False)
    assert {pts for pts in (0, 20, 40, 80, 120, 160) if damage.why(pts)} == {40, 20, 80}


def test_leading_picture_spoils_leading_pictures_alone() -> None:
    damage = Damage(window=1)
    damage.feed(60, clean=False)
    damage.fail("no start")
    for pts in (120, 80, 100, 160):
        damage.feed(pts, clean=pts == 120)
        if pts == 80:
            damage.fail("no reference")
    assert {pts for pts in (60, 120, 80, 100, 160) if damage.why(pts)} == {60, 80, 100}


def test_corrupt_frame_spoils_what_was_fed_after_it() -> None:
    damage = Damage(window=1)
    for pts, clean in ((0, True), (40, False), (20, False), (80, False), (120, True), (100, False)):
        damage.feed(pts, clean=clean)
    damage.show_corrupt(40)
    assert {pts for pts in (0, 20, 40, 80, 100, 120) if damage.why(pts)} == {40, 20, 80, 100}


def test_decoder_with_threads_reports_late() -> None:
    damage = Damage(window=3)
    for pts in (0, 20, 40, 60):
        damage.feed(pts, clean=pts == 0)
    damage.fail("broken")
    assert [pts for pts in (0, 20, 40, 60) if damage.why(pts)] == [20, 40, 60]


def test_latest_reference_is_the_latest_fed_before() -> None:
    damage = Damage(window=1)
    for pts in (0, 80, 40, 20):
        damage.feed(pts, clean=pts == 0)
    assert [damage.latest(pts) for pts in (0, 80, 40, 20, 999)] == [0, 80, 80, 80, 999]


def test_picture_that_the_decoder_patched_is_refused_with_all_that_lean_on_it(
    clips: Any, tmp_path: Path
) -> None:
    film, truth = clips("closed.mp4").read_bytes(), clips.linear("closed.mp4")
    with av.open(str(clips("closed.mp4"))) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    noticed = 0
    for packet, (place, size) in enumerate(places[:17]):
        data, skip = bytearray(film), max(8, size // 3)
        data[place + skip : place + size - 2] = random.Random(1).randbytes(size - 2 - skip)
        path = tmp_path / f"{packet}.mp4"
        path.write_bytes(data)
        # In some noise there is nothing to notice: it is a picture too.
        if is_flagged(path):
            noticed += 1
            assert read_until_refused(path, truth) is not None, packet
    assert noticed >= 10


def is_flagged(path: Path) -> bool:
    """Whether a plain decode refuses a packet or flags a frame."""
    try:
        with av.open(str(path)) as container:
            return any(frame.is_corrupt for frame in container.decode(video=0))
    except av.error.FFmpegError:
        return True


def test_search_for_a_key_frame_ends_once_past_it() -> None:
    def packet(pts: int, dts: int, pos: int, key: bool = False) -> SimpleNamespace:
        return SimpleNamespace(pts=pts, dts=dts, pos=pos, is_keyframe=key, size=9)

    point = SeekPoint(frame=12, pts=120, dts=100, pos=5000)
    before, wanted = packet(110, 90, 4000), packet(120, 100, 5000, key=True)
    twin, after = packet(120, 100, 7000), packet(150, 110, 6000)
    ended = SimpleNamespace(pts=None, dts=None, pos=None, is_keyframe=False, size=0)

    def find(*packets: SimpleNamespace) -> Any:
        return _find(iter(packets), point)  # type: ignore[arg-type]

    assert find(before, wanted, after) is wanted
    assert find(before, twin, after, wanted) is None
    assert find(before, packet(240, 90, 8000, key=True), wanted) is None
    assert find(before, ended, wanted) is None
    assert find() is None
