"""A chunk gives back exactly the frames, times and strings put in, or says what it lost."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cluster.chunks.chunk import (
    ChunkInfo,
    chunk_info,
    decode_chunk,
    iter_frames,
    read_frames,
)
from cluster.chunks.write import ChunkWriter, encode_chunk
from cluster.errors import DigestError, StoreError
from cluster.store.base import NotStored
from cluster.store.folder import FolderStore

RATE = Fraction(24000, 1001)
META = {"stage": "upscale", "picture": '{"matrix":"bt709"}', "動画": "ファイル"}


def times_for(count: int) -> list[Fraction]:
    return [index / RATE for index in range(count)]


def drawing(seed: int, *, height: int = 90, width: int = 160) -> np.ndarray:
    """Flat areas, an outline and some grain, on codes that are multiples of 16."""
    random = np.random.default_rng(seed)
    frame = np.full((height, width, 3), (20000, 24000, 30000), np.uint16)
    frame[20:60, 30 + seed : 90 + seed] = (31000, 22000, 18000)
    frame[20:60, 30 + seed] = 16384
    frame += random.integers(0, 3, (height, width, 1), np.uint16) * 16
    return frame // 16 * 16


def encode(frames: np.ndarray, *, first: int = 0, codec: str = "zstd") -> bytes:
    return encode_chunk(frames, first=first, times=times_for(len(frames)), meta=META, codec=codec)


@st.composite
def chunks(draw: st.DrawFn) -> tuple[np.ndarray, int, list[Fraction], dict[str, str]]:
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.just(3)))
    elements = st.one_of(
        st.integers(0, 65535), st.sampled_from([0, 1, 16384, 32768, 65535, 32767, 16])
    )
    frames = draw(hnp.arrays(np.uint16, shape, elements=elements))
    if draw(st.booleans()):
        frames = frames[draw(st.lists(st.integers(0, len(frames) - 1), min_size=1, max_size=6))]
    times = draw(
        st.lists(
            st.fractions(min_value=-10, max_value=10**6, max_denominator=10**6),
            min_size=len(frames),
            max_size=len(frames),
        )
    )
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    names = text.filter(lambda name: not name.startswith("chunk."))
    return frames, draw(st.integers(0, 10**9)), times, draw(st.dictionaries(names, text))


@pytest.mark.parametrize("codec", ["zstd", "raw", "jxl"])
@settings(max_examples=40)
@given(chunk=chunks())
def test_any_chunk_round_trips(
    codec: str, chunk: tuple[np.ndarray, int, list[Fraction], dict[str, str]]
) -> None:
    if codec == "jxl":
        pytest.importorskip("imagecodecs")
    frames, first, times, meta = chunk
    data = encode_chunk(frames, first=first, times=times, meta=meta, codec=codec)
    back = decode_chunk(data)
    assert back.frames_nhwc.dtype == np.uint16
    assert np.array_equal(back.frames_nhwc, frames)
    assert back.indices == tuple(range(first, first + len(frames)))
    assert list(back.times) == times
    assert back.meta == meta
    one_by_one = list(iter_frames(data))
    assert [(index, time) for index, time, _ in one_by_one] == list(
        zip(back.indices, times, strict=True)
    )
    assert all(np.array_equal(got, frames[at]) for at, (_, _, got) in enumerate(one_by_one))


@st.composite
def plane_frames(draw: st.DrawFn) -> list[tuple[np.ndarray, ...]]:
    """Frames of planes of one or of several sizes, 8 or 16 bits, some of them repeated."""
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    sides = st.tuples(st.integers(1, 9), st.integers(1, 9))
    shapes = draw(st.lists(sides, min_size=1, max_size=3))
    one = st.tuples(*(hnp.arrays(dtype, shape) for shape in shapes))
    different = draw(st.lists(one, min_size=1, max_size=3))
    return draw(st.lists(st.sampled_from(different), min_size=1, max_size=6))


@pytest.mark.parametrize("codec", ["zstd", "raw", "jxl"])
@settings(max_examples=40)
@given(frames=plane_frames())
def test_any_planes_round_trip(codec: str, frames: list[tuple[np.ndarray, ...]]) -> None:
    writer = ChunkWriter(first=7, codec=codec)
    times = times_for(len(frames))
    for frame, time in zip(frames, times, strict=True):
        writer.add(frame, time)
    data = writer.finish(META)
    back = list(iter_frames(data))
    assert [(index, time) for index, time, _ in back] == list(enumerate(times, start=7))
    for (_, _, got), put in zip(back, frames, strict=True):
        assert len(got) == len(put)
        assert all(
            a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(got, put, strict=True)
        )
    info = chunk_info(data)
    assert (info.first, info.count, info.meta) == (7, len(frames), META)
    assert info.planes == tuple(plane.shape for plane in frames[0])


def test_planes_are_packed_once_for_equal_frames() -> None:
    planes = [tuple(plane for plane in drawing(seed).transpose(2, 0, 1)) for seed in (0, 1, 0)]
    size = {}
    for count in (2, 3):
        writer = ChunkWriter(first=0)
        for frame, time in zip(planes[:count], times_for(count), strict=True):
            writer.add(frame, time)
        size[count] = len(writer.finish({}))
    assert size[3] - size[2] < 1000


def test_a_chunk_of_planes_gives_no_codes() -> None:
    writer = ChunkWriter(first=0)
    writer.add((np.zeros((4, 4), np.uint8),), Fraction(0))
    with pytest.raises(StoreError, match="planes"):
        decode_chunk(writer.finish({}))


@pytest.mark.parametrize("height", [1, 63, 64, 65, 128, 130])
def test_bands_of_the_filter_leave_no_seam(height: int) -> None:
    frames = np.random.default_rng(height).integers(0, 65536, (1, height, 5, 3), np.uint16)
    assert np.array_equal(decode_chunk(encode(frames)).frames_nhwc, frames)


def test_frames_come_in_the_order_asked_for() -> None:
    frames = np.stack([drawing(seed) for seed in range(5)])
    back = decode_chunk(encode(frames, first=40), [44, 40, 42, 40])
    assert back.indices == (44, 40, 42, 40)
    assert np.array_equal(back.frames_nhwc, frames[[4, 0, 2, 0]])
    assert back.times == tuple(times_for(5)[i] for i in (4, 0, 2, 0))


def test_info_tells_what_is_in_a_chunk() -> None:
    data = encode(np.stack([drawing(0), drawing(1)]), first=7)
    expected = ChunkInfo(first=7, count=2, height=90, width=160, meta=META)
    assert chunk_info(data) == expected


def test_same_frames_give_the_same_bytes() -> None:
    frames = np.stack([drawing(0), drawing(1)])
    assert encode(frames) == encode(frames.copy())
    backwards = dict(reversed(META.items()))
    again = encode_chunk(frames, first=0, times=times_for(2), meta=backwards)
    assert encode(frames) == again


def test_frames_in_any_memory_layout_are_taken() -> None:
    frames = np.stack([drawing(0), drawing(1)])
    turned = np.asfortranarray(frames)
    turned.flags.writeable = False
    assert encode(turned) == encode(frames)
    mirrored = frames[:, ::-1, ::2]
    assert np.array_equal(decode_chunk(encode(mirrored)).frames_nhwc, mirrored)


def test_held_drawing_is_stored_once_and_read_one_by_one() -> None:
    a, b = drawing(0), drawing(1)
    held = encode(np.stack([a, a, a, b, b, a]), first=10)
    assert len(held) < 1.2 * len(encode(np.stack([a, b]), first=10)) + 6 * 1000
    for index, expected in zip(range(10, 16), (a, a, a, b, b, a), strict=True):
        assert np.array_equal(decode_chunk(held, [index]).frames_nhwc[0], expected)
    table = pa.ipc.open_file(held).read_all()
    assert table["codec"].to_pylist() == ["zstd", "same", "same", "zstd", "same", "same"]
    assert table["same_as"].to_pylist() == [-1, 10, 10, -1, 13, 10]


def test_any_arrow_reader_sees_one_batch_per_frame() -> None:
    reader = pa.ipc.open_file(encode(np.stack([drawing(0), drawing(1), drawing(2)]), first=5))
    assert reader.num_record_batches == 3
    assert reader.get_batch(1)["index"].to_pylist() == [6]
    assert reader.get_batch(1)["pts_num"].to_pylist() == [1001]
    assert reader.get_batch(1)["pts_den"].to_pylist() == [24000]
    assert reader.schema.metadata[b"chunk.shape"] == b"90,160,3"
    assert reader.schema.metadata[b"stage"] == b"upscale"


def test_drawings_pack_tighter_than_plain_zstd() -> None:
    import zstandard

    frames = np.stack([drawing(seed, height=180, width=320) for seed in range(3)])
    plain = len(zstandard.ZstdCompressor(level=1).compress(frames.tobytes()))
    assert len(encode(frames)) < 0.8 * plain


def test_every_flipped_byte_is_found() -> None:
    """No byte of a chunk matters and is unchecked: a read fails or gives the very same."""
    frames = np.stack([drawing(0), drawing(1)])[:, 18:22, 28:33]
    good = encode(frames)
    for place, bit in itertools.product(range(len(good)), (0, 2, 7)):
        bad = bytearray(good)
        bad[place] ^= 1 << bit
        try:
            back = decode_chunk(bytes(bad))
        except StoreError:
            continue
        assert np.array_equal(back.frames_nhwc, frames), place
        assert (back.indices, back.times) == ((0, 1), tuple(times_for(2))), place
        assert back.meta == META, place


def test_damage_names_the_frame_and_spares_the_others() -> None:
    frames = np.stack([drawing(seed) for seed in range(3)])
    data = bytearray(encode(frames, first=20))
    packed = pa.ipc.open_file(bytes(data)).get_batch(1)["data"][0].as_py()
    data[bytes(data).index(packed) + 40] ^= 1
    with pytest.raises(DigestError, match="frame 21"):
        decode_chunk(bytes(data))
    assert np.array_equal(decode_chunk(bytes(data), [20, 22]).frames_nhwc, frames[[0, 2]])


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_truncated_chunk_is_found(keep: int) -> None:
    with pytest.raises(DigestError, match="chunk"):
        decode_chunk(encode(drawing(0)[None])[:keep])


def test_frame_outside_the_chunk_is_named() -> None:
    with pytest.raises(StoreError, match=r"\[5, 6\), asked for 6"):
        decode_chunk(encode(drawing(0)[None], first=5), [6])


def test_unknown_codec_says_which_there_are() -> None:
    with pytest.raises(StoreError, match="no frame codec 'png'; DOUGA_CELL must be one of zstd"):
        encode(drawing(0)[None], codec="png")


def test_jpeg_xl_without_its_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(StoreError, match=r"pip install 'imagecodecs.*DOUGA_CELL=zstd"):
        encode(drawing(0)[None], codec="jxl")


@pytest.mark.parametrize(
    ("frames", "count"),
    [
        (np.zeros((1, 4, 4, 3), np.uint8), 1),
        (np.zeros((4, 4, 3), np.uint16), 4),
        (np.zeros((0, 4, 4, 3), np.uint16), 0),
        (np.zeros((2, 4, 4, 3), np.uint16), 1),
    ],
)
def test_frames_of_another_kind_are_refused(frames: np.ndarray, count: int) -> None:
    with pytest.raises(ValueError, match="a chunk takes"):
        encode_chunk(frames, first=0, times=times_for(count), meta={})


class Watched(FolderStore):
    """A folder store that counts the bytes read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.requests: list[int] = []

    def get(self, name: str) -> bytes:
        self.requests.append(self.size(name))
        return super().get(name)

    def get_range(self, name: str, *, start: int, length: int) -> bytes:
        self.requests.append(length)
        return super().get_range(name, start=start, length=length)


def noisy(count: int) -> np.ndarray:
    """Frames that do not pack: a chunk large enough to be read in parts."""
    return np.random.default_rng(1).integers(0, 65536, (count, 120, 200, 3), np.uint16)


def ask(store: FolderStore, indices: Sequence[int] | None) -> np.ndarray:
    return read_frames(store, "frames/ab/x.arrow", indices)


def test_few_frames_are_small_range_reads(tmp_path: Path) -> None:
    store, frames = Watched(tmp_path), noisy(24)
    frames[5] = frames[4]
    store.put("frames/ab/x.arrow", data := encode(frames, first=100))
    assert np.array_equal(ask(store, [123, 105]), frames[[23, 5]])
    assert sum(store.requests) < len(data) / 5
    assert len(store.requests) <= 5
    store.requests.clear()
    assert np.array_equal(ask(store, None), frames)
    assert np.array_equal(ask(store, range(104, 114)), frames[4:14])
    assert store.requests == [len(data)] * 2


def test_frame_damaged_on_a_range_read_is_fetched_again(tmp_path: Path) -> None:
    class Flaky(Watched):
        def get_range(self, name: str, *, start: int, length: int) -> bytes:
            data = bytearray(super().get_range(name, start=start, length=length))
            data[len(data) // 2] ^= 1
            return bytes(data)

    store, frames = Flaky(tmp_path), noisy(12)
    store.put("frames/ab/x.arrow", encode(frames))
    assert np.array_equal(ask(store, [3]), frames[[3]])


def test_damage_in_a_store_names_the_object(tmp_path: Path) -> None:
    store, frames = Watched(tmp_path), noisy(12)
    store.put("frames/ab/x.arrow", encode(frames))
    path = tmp_path / "frames/ab/x.arrow"
    data = bytearray(path.read_bytes())
    packed = pa.ipc.open_file(bytes(data)).get_batch(5)["data"][0].as_py()
    data[bytes(data).index(packed) + 40] ^= 1
    path.write_bytes(data)
    assert np.array_equal(ask(store, [4, 6]), frames[[4, 6]])
    for indices in ([5, 6], None):
        with pytest.raises(DigestError, match=r"frames/ab/x\.arrow"):
            ask(store, indices)
    with pytest.raises(NotStored):
        read_frames(store, "frames/ab/y.arrow", [1])
    store.put("frames/ab/x.arrow", encode(frames))
    with pytest.raises(StoreError, match=r"frames/ab/x\.arrow.*asked for 12"):
        ask(store, [12])
