"""A shot becomes one segment: exact frames, explicit colour, the same bytes everywhere."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, get_args

import av
import numpy as np
import pytest

from cluster.errors import EncodeError, UsageError
from cluster.keys import make_key
from tasks.encode.encoders import FFMPEG_NAMES, EncodeSpec
from tasks.encode.ffmpeg import ffmpeg_path
from tasks.encode.segment import SegmentInfo, encode_segment, encoder_settings_key
from tasks.frames.codes import Frames, from_float
from tasks.frames.colour import (
    Encoder,
    Hdr,
    delivery_picture,
    layout_of,
    planes_from_rgb,
    rgb_from_planes,
)
from tasks.frames.colour.delivery import HOLDS
from tasks.frames.colour.matrix import LUMA_WEIGHTS
from tasks.frames.picture import Picture

ENCODERS: tuple[Encoder, ...] = get_args(Encoder)
RATE = Fraction(24000, 1001)
QUICK = {"libx264": "veryfast", "libx265": "veryfast", "libsvtav1": "10"}


def spec_of(encoder: Encoder, **more: Any) -> EncodeSpec:
    return EncodeSpec(encoder=encoder, **{"preset": QUICK.get(encoder, ""), **more})


def source(depth: int = 8, **more: Any) -> Picture:
    pix_fmt = "yuv420p" if depth == 8 else f"yuv420p{depth}le"
    return Picture(**{"width": 96, "height": 64, "pix_fmt": pix_fmt, "depth": depth, **more})


def drawn(count: int, picture: Picture, *, seed: int = 0) -> list[Frames]:
    """A bright disc that crosses a shaded ground, one frame at a time."""
    rows, columns = np.indices((picture.height, picture.width))
    rng = np.random.default_rng(seed)
    ground = np.stack([columns / 200 + c for c in rng.uniform(0.1, 0.4, 3)], axis=-1)
    made = []
    for i in range(count):
        disc = (rows - 30) ** 2 + (columns - 10 - 3 * i) ** 2 < 150 + 50 * seed
        made.append(from_float(np.where(disc[..., None], (0.9, 0.6, 0.3), ground), depth=8))
    return made


def encode(
    path: Path, frames: Any, *, count: int, picture: Picture, spec: EncodeSpec, **more: Any
) -> SegmentInfo:
    return encode_segment(
        path, frames, count=count, picture=picture, spec=spec, **{"rate": RATE, **more}
    )


def planes_of(frame: av.VideoFrame) -> list[np.ndarray]:
    """A decoded frame's planes, Y Cb Cr or R G B, without padding."""
    layout = layout_of(frame.format.name)
    dtype = np.uint8 if layout.depth == 8 else np.uint16
    if frame.format.name == "bgr0":
        packed = np.frombuffer(memoryview(frame.planes[0]), np.uint8)
        packed = packed.reshape(frame.height, -1)[:, : 4 * frame.width]
        return [packed[:, start::4] for start in (2, 1, 0)]
    shapes = layout.plane_shapes(width=frame.width, height=frame.height)
    planes = [
        np.frombuffer(memoryview(plane), dtype).reshape(rows, -1)[:, :columns]
        for plane, (rows, columns) in zip(frame.planes, shapes, strict=False)
    ]
    return [planes[2], planes[0], planes[1]] if layout.kind == "rgb" else planes


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def far(frame: av.VideoFrame, codes: Frames, picture: Picture) -> float:
    """Mean absolute difference of all samples, in 8-bit code values."""
    scale = 2 ** (layout_of(frame.format.name).depth - picture.depth)
    pairs = zip(planes_of(frame), planes_from_rgb(codes, picture), strict=True)
    off = [np.abs(a.astype(float) / scale - b).mean() for a, b in pairs]
    return float(np.mean(off)) / 2 ** (picture.depth - 8)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_segment_holds_every_frame_in_its_place_with_its_colour(
    encoder: Encoder, depth: int, tmp_path: Path
) -> None:
    told = source(depth, matrix="bt601", sar=Fraction(32, 27), primaries="bt470bg")
    picture = delivery_picture(told, pix_fmt=None, encoder=encoder)
    frames = drawn(11, picture)
    target = tmp_path / "sh010.mkv"
    info = encode(target, frames, count=11, picture=picture, spec=spec_of(encoder))
    assert (info.path, info.frames, info.size_bytes) == (target, 11, target.stat().st_size)
    assert list(tmp_path.iterdir()) == [target]
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        stream = container.streams.video[0]
        assert stream.time_base == Fraction(1, 1000)
        assert stream.sample_aspect_ratio == Fraction(32, 27)
        shown = [packet.pts for packet in container.demux(stream) if packet.size]
    assert sorted(at for at in shown if at is not None) == list(range(11))
    assert all(i - info.delay <= at for i, at in enumerate(shown) if at is not None)
    back = decoded(target)
    assert [frame.pts for frame in back] == list(range(11))
    for frame, codes in zip(back, frames, strict=True):
        tags = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
        assert tuple(int(tag) for tag in tags) == (6, 5, 6, 1)
        assert far(frame, codes, picture) < 2


@pytest.mark.parametrize("encoder", ENCODERS)
def test_shots_of_any_length_have_equal_headers_and_join_without_reencoding(
    encoder: Encoder, tmp_path: Path
) -> None:
    picture = delivery_picture(source(), pix_fmt=None, encoder=encoder)
    shots = [
        encode(
            tmp_path / f"{seed}.mkv",
            drawn(count, picture, seed=seed),
            count=count,
            picture=picture,
            spec=spec_of(encoder),
        )
        for seed, count in enumerate((17, 1, 2, 6))
    ]
    assert len({shot.headers for shot in shots}) == 1
    film = tmp_path / "film.mkv"
    delay = max(shot.delay for shot in shots)
    with av.open(str(film), "w") as joined:
        stream, first = None, 0
        for shot in shots:
            with av.open(str(shot.path)) as container:
                video = container.streams.video[0]
                stream = stream or joined.add_stream_from_template(video, opaque=True)
                packets = [packet for packet in container.demux(video) if packet.size]
                for i, packet in enumerate(packets):
                    packet.pts = (first + packet.pts) * 40
                    packet.dts = (first + i - delay) * 40
                    packet.stream = stream
                    joined.mux(packet)
                first += shot.frames
    alone = [frame for shot in shots for frame in decoded(shot.path)]
    together = decoded(film)
    assert [frame.pts for frame in together] == [40 * i for i in range(26)]
    for a, b in zip(alone, together, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(planes_of(a), planes_of(b), strict=True))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_same_bytes_on_one_core_and_on_all(encoder: Encoder, tmp_path: Path) -> None:
    told = source(width=320, height=192)
    picture = delivery_picture(told, pix_fmt=None, encoder=encoder)
    frames = drawn(30, picture, seed=3)
    cores = os.sched_getaffinity(0)
    digests = []
    for allowed in (cores, {min(cores)}, cores):
        os.sched_setaffinity(0, allowed)
        try:
            target = tmp_path / "shot.mkv"
            info = encode(target, frames, count=30, picture=picture, spec=spec_of(encoder))
        finally:
            os.sched_setaffinity(0, cores)
        digests.append(info.digest)
    assert len(set(digests)) == 1


@pytest.mark.parametrize("range_", ["limited", "full"])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("matrix", list(LUMA_WEIGHTS))
def test_lossless_identity_through_codes_and_ffv1(
    matrix: Any, depth: int, range_: Any, tmp_path: Path
) -> None:
    """Noise over the whole legal range; the contract allows luma 1 and chroma 2, it is 0."""
    siting = "topleft" if matrix == "bt2020nc" else "left"
    told = source(depth, matrix=matrix, range=range_, siting=siting, width=97, height=61)
    picture = delivery_picture(told, pix_fmt=None, encoder="ffv1")
    unit = 1 << (depth - 8)
    low, high = (16 * unit, 235 * unit) if range_ == "limited" else (0, 256 * unit - 1)
    rng = np.random.default_rng(7)
    shots = [
        tuple(
            rng.integers(low, high + 1, shape, dtype=np.uint8 if depth == 8 else np.uint16)
            for shape in layout_of(told.pix_fmt).plane_shapes(width=97, height=61)
        )
        for _ in range(3)
    ]
    frames = np.stack([rgb_from_planes(cast(Any, planes), told) for planes in shots])
    target = tmp_path / "shot.mkv"
    encode(target, [frames], count=3, picture=picture, spec=spec_of("ffv1"))
    back = decoded(target)
    assert [int(frame.color_range) for frame in back] == [1 if range_ == "limited" else 2] * 3
    for frame, planes in zip(back, shots, strict=True):
        for made, given in zip(planes_of(frame), planes, strict=True):
            assert np.array_equal(made, given)


@pytest.mark.parametrize(
    ("encoder", "pix_fmt"),
    [(encoder, pix_fmt) for encoder in ENCODERS for pix_fmt in HOLDS[encoder].pix_fmts()],
)
def test_every_format_on_offer_is_written_in_full_range_too(
    encoder: Encoder, pix_fmt: str, tmp_path: Path
) -> None:
    layout = layout_of(pix_fmt)
    told = source(pix_fmt=pix_fmt, range="full", matrix="bt709")
    told = replace(told, depth=layout.depth)
    picture = delivery_picture(told, pix_fmt=pix_fmt, encoder=encoder)
    frames = drawn(2, picture)
    target = tmp_path / "shot.mkv"
    encode(target, frames, count=2, picture=picture, spec=spec_of(encoder))
    for frame, codes in zip(decoded(target), frames, strict=True):
        assert int(frame.color_range) == (1 if encoder == "prores" else 2)
        assert far(frame, codes, picture) < (0.01 if encoder == "ffv1" else 2)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_chroma_siting_is_in_the_stream(encoder: Encoder, tmp_path: Path) -> None:
    picture = delivery_picture(source(siting="topleft"), pix_fmt=None, encoder=encoder)
    target = tmp_path / "shot.mkv"
    encode(target, drawn(1, picture), count=1, picture=picture, spec=spec_of(encoder))
    traced = subprocess.run(
        f"{ffmpeg_path()} -i {target} -c copy -bsf:v trace_headers -f null -".split(),
        capture_output=True,
        check=True,
    ).stderr.decode()
    assert re.search(r"chroma_sample_loc_type_top_field\s+\S+ = 2", traced)


def test_chroma_siting_of_ffv1_is_in_the_container(tmp_path: Path) -> None:
    horizontal, vertical = b"\x55\xb7\x81", b"\x55\xb8\x81"  # Matroska's ChromaSitingHorz, -Vert
    for siting, expected in (("left", (1, 2)), ("topleft", (1, 1)), ("center", (2, 2))):
        for range_ in ("limited", "full"):
            told = source(siting=siting, range=range_)
            picture = delivery_picture(told, pix_fmt=None, encoder="ffv1")
            target = tmp_path / "shot.mkv"
            encode(target, drawn(1, picture), count=1, picture=picture, spec=spec_of("ffv1"))
            data = target.read_bytes()
            found = tuple(data[data.index(mark) + 3] for mark in (horizontal, vertical))
            assert found == expected


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1"])
def test_hdr_side_data_reaches_the_stream(encoder: Encoder, tmp_path: Path) -> None:
    mastering = (13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10000000, 50)
    hdr = Hdr(mastering=mastering, light=(1000, 400)).text()
    told = source(10, matrix="bt2020nc", primaries="bt2020", transfer="smpte2084", hdr=hdr)
    picture = delivery_picture(told, pix_fmt=None, encoder=encoder)
    target = tmp_path / "shot.mkv"
    encode(target, drawn(2, picture), count=2, picture=picture, spec=spec_of(encoder))
    frame = decoded(target)[0]
    kinds = {cast(Any, data).type.name for data in frame.side_data}
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= kinds
    assert int(frame.color_trc) == 16


def test_a_bad_preset_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    for encoder in ("libx264", "libx265", "libsvtav1", "prores"):
        picture = delivery_picture(source(), pix_fmt=None, encoder=encoder)
        spec = spec_of(encoder, preset="nosuch")
        with pytest.raises(EncodeError, match=r"^sh010\.mkv: ffmpeg: .*nosuch") as raised:
            encode(tmp_path / "sh010.mkv", drawn(3, picture), count=3, picture=picture, spec=spec)
        assert "\n" not in str(raised.value)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("came", [4, 6])
def test_missing_and_extra_frames_are_refused_and_an_older_segment_stays(
    came: int, tmp_path: Path
) -> None:
    picture = delivery_picture(source(), pix_fmt=None, encoder="libx264")
    target = tmp_path / "sh010.mkv"
    target.write_bytes(b"the segment before")
    frames = drawn(came, picture)
    with pytest.raises(EncodeError, match=r"sh010.mkv: expected 5 frames, got (4|more)"):
        encode(target, frames, count=5, picture=picture, spec=spec_of("libx264"))
    assert target.read_bytes() == b"the segment before"
    assert list(tmp_path.iterdir()) == [target]


def test_what_goes_wrong_upstream_passes_through_and_leaves_nothing(tmp_path: Path) -> None:
    picture = delivery_picture(source(), pix_fmt=None, encoder="ffv1")

    def broken() -> Iterator[Frames]:
        yield drawn(1, picture)[0]
        raise OSError("the store is gone")

    with pytest.raises(OSError, match="the store is gone"):
        encode(tmp_path / "a.mkv", broken(), count=2, picture=picture, spec=spec_of("ffv1"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [Fraction(12), Fraction(60000, 1001), Fraction(1000000, 8333)])
def test_frames_are_counted_at_any_rate(rate: Fraction, tmp_path: Path) -> None:
    picture = delivery_picture(source(), pix_fmt=None, encoder="libx264")
    target = tmp_path / "shot.mkv"
    frames = drawn(150, picture)
    encode(target, frames, count=150, picture=picture, spec=spec_of("libx264", gop=40), rate=rate)
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert sorted(packet.pts or 0 for packet in packets) == list(range(150))
    assert [packet.pts for packet in packets if packet.is_keyframe] == [0, 40, 80, 120]


def test_progress_is_told(tmp_path: Path) -> None:
    picture = delivery_picture(source(), pix_fmt=None, encoder="ffv1")
    told: list[int] = []
    encode(
        tmp_path / "shot.mkv",
        drawn(5, picture),
        count=5,
        picture=picture,
        spec=spec_of("ffv1"),
        on_progress=told.append,
    )
    assert told[-1] == 5


def test_the_settings_key_follows_all_that_changes_bytes() -> None:
    picture = delivery_picture(source(), pix_fmt=None, encoder="libx264")
    spec = spec_of("libx264")

    def key(spec: EncodeSpec, picture: Picture, rate: Fraction = RATE) -> str:
        return make_key(encoder_settings_key(spec, picture, rate=rate))

    same = key(spec, picture)
    assert same == key(spec_of("libx264", quality=17), replace(picture, guessed=("untagged",)))
    others = [
        key(spec_of("libx264", quality=20), picture),
        key(spec_of("libx264", gop=12), picture),
        key(spec, replace(picture, transfer="smpte2084")),
        key(spec, replace(picture, sar=Fraction(4, 3))),
        key(spec, replace(picture, hdr=Hdr(light=(1000, 400)).text())),
        key(spec, picture, rate=Fraction(25)),
    ]
    assert len({same, *others}) == 7


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"encoder": "libvpx"}, "unknown encoder 'libvpx'; encoders are libx264, libx265"),
        ({"quality": 52}, "libx264: expected quality 0-51, got 52"),
        ({"encoder": "ffv1", "quality": 3}, "ffv1 is lossless"),
        ({"gop": 0}, "expected a gop of 1 frame or more, got 0"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        EncodeSpec(**given)


def test_every_encoder_has_its_ffmpeg_name() -> None:
    assert set(FFMPEG_NAMES) == set(ENCODERS) == set(HOLDS)
