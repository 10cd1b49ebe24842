"""A worker in this process: batches that fit, and the frame that is to blame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from cluster.chunks.chunk import StoredChunk
from cluster.errors import InputError, OutOfMemory, StageError
from cluster.keys import Key
from cluster.store.open import open_store
from flows.farm.film import finish_film
from flows.farm.upload import upload_inputs
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.spec.request import make_request
from flows.verify.check import remove_objects
from flows.verify.segments import read_evidence
from tasks.encode.segment import SegmentInfo, encode_segment
from tasks.frames.colour import planes_from_rgb
from tasks.models.device import Device
from tasks.stages.registry import STAGES
from tasks.verify.chunks import nonsense_of
from tasks.worker import segment_work
from tasks.worker.delivered import codes_of
from tasks.worker.item import WorkItem, chunk_name, segment_name
from tasks.worker.worker import Worker, WorkerConfig
from tests.conftest import ROOT

FRAMES = 12


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of frames, every one another, in one shot; the stage `hurt` is known."""
    monkeypatch.syspath_prepend(str(ROOT / "tests/hurt"))
    monkeypatch.setitem(STAGES, "hurt", "hurt:Hurt")
    (tmp_path / "frames").mkdir()
    for number in range(FRAMES):
        noise = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "frames" / f"frame_{number:04}.png"), noise)
    (tmp_path / "orders").mkdir()
    return tmp_path


def plan(film: Path, recipe: str) -> Prepared:
    (film / "ep.yaml").write_text(
        f"source: {{path: frames, fps: 24}}\ncut: [1]\nrecipe: {recipe}\nstore: store\n"
    )
    prepared = prepare(make_request(str(film / "ep.yaml")), Silent())
    upload_inputs(prepared, Silent())
    return prepared


def hurting(film: Path, *, per_frame: bool) -> str:
    return f"[{{hurt: {{folder: {film / 'orders'}, per_frame: {str(per_frame).lower()}}}}}]"


def worker(film: Path) -> Worker:
    device = Device(kind="cpu")
    url = (film / "store").as_uri()
    return Worker(WorkerConfig(store_url=url, cache=str(film / "cache"), device=device))


def long_item(prepared: Prepared, name: str = "") -> WorkItem:
    """The chunk of the second shot, frames 1 to 11 of the film."""
    (item,) = prepared.plan.shots[1].runs[-1].items
    assert len(item.out) >= FRAMES - 1
    return replace(item, key=Key(name.rjust(40, "0")) if name else item.key)


def stored(film: Path, item: WorkItem) -> list[Any]:
    """The frames of a chunk as they are stored: codes or planes."""
    chunk = StoredChunk(open_store(str(film / "store")), chunk_name(item.key))
    assert list(chunk.wanted) == list(item.out.indices())
    return [chunk.picture(index) for index in chunk.wanted]


def pixels(film: Path, item: WorkItem) -> Any:
    there = stored(film, item)
    return np.stack([codes_of(one, item.delivered) if item.delivered else one for one in there])


def test_what_is_delivered_is_stored_as_planes_of_the_very_codes(film: Path) -> None:
    prepared = plan(film, "[{interpolate: {factor: 2}}]")
    item = long_item(prepared)
    assert item.delivered is not None
    codes = replace(item, key=Key("c" * 40), delivered=None)
    one = worker(film)
    one.make_chunk(item)
    one.make_chunk(codes)
    for planes, frame in zip(stored(film, item), stored(film, codes), strict=True):
        due = planes_from_rgb(frame, item.delivered)
        assert all(map(np.array_equal, planes, due))
    again = replace(item, key=Key("d" * 40), have=((codes.key, item.out),))
    copied = one.make_chunk(again)
    assert (copied.frames, copied.compute_s) == (0, 0)
    assert np.array_equal(pixels(film, again), pixels(film, item))


def test_a_receipt_says_what_of_its_times_was_decoding_and_packing(film: Path) -> None:
    item = replace(long_item(plan(film, "[hold]")), delivered=None)
    one = worker(film)
    made = one.make_chunk(item)
    assert 0 < made.decode_s == made.load_s
    assert 0 < made.pack_s < made.store_s
    again = replace(item, key=Key("d" * 40), have=((item.key, item.out),))
    copied = one.make_chunk(again)
    assert copied.load_s > copied.decode_s == 0


def test_codes_that_are_no_picture_are_told_of_though_their_planes_look_like_one(
    film: Path,
) -> None:
    prepared = plan(film, hurting(film, per_frame=True))
    (film / "orders" / "4").write_text("nan")
    item = long_item(prepared)
    worker(film).make_chunk(item)
    store = open_store(str(film / "store"))
    assert nonsense_of(StoredChunk(store, chunk_name(item.key)).info) == {3}


@pytest.mark.parametrize(
    "recipe",
    ["[{interpolate: {factor: 2}}]", "[{interpolate: {factor: 2}}, {upscale: {scale: 2}}]"],
)
def test_smaller_batches_change_no_pixel(film: Path, recipe: str) -> None:
    prepared = plan(film, recipe)
    run = prepared.plan.shots[1].runs[0]
    whole = replace(run.items[0], key=Key("a" * 40))
    (made := worker(film)).make_chunk(whole)
    for number, batch in enumerate((7, 2, 1)):
        cut = replace(whole, key=Key(str(number) * 40), batch=batch)
        made.make_chunk(cut)
        assert np.array_equal(pixels(film, cut), pixels(film, whole)), batch


def test_batches_are_halved_until_they_fit_and_each_step_is_said_once(
    film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = plan(film, hurting(film, per_frame=False))
    (film / "orders" / "most").write_text("3")
    one = worker(film)
    with caplog.at_level(logging.WARNING):
        for name in ("1", "2"):
            one.make_chunk(long_item(prepared, name))
    assert caplog.messages == [
        "hurt: out of memory; going on with 5 frames at once",
        "hurt: out of memory; going on with 2 frames at once",
    ]
    (film / "orders" / "most").unlink()
    worker(film).make_chunk(long_item(prepared, "3"))
    made = [pixels(film, long_item(prepared, name)) for name in ("1", "2", "3")]
    assert np.array_equal(made[0], made[2])
    assert np.array_equal(made[1], made[2])


def test_what_does_not_fit_frame_by_frame_leaves_as_that(film: Path) -> None:
    prepared = plan(film, hurting(film, per_frame=False))
    (film / "orders" / "most").write_text("0")
    with pytest.raises(OutOfMemory, match="out of memory"):
        worker(film).make_chunk(long_item(prepared))


@pytest.mark.parametrize("frame", [1, 5, 11])
def test_a_bug_names_the_frame_where_a_stage_sees_one_at_a_time(film: Path, frame: int) -> None:
    prepared = plan(film, hurting(film, per_frame=True))
    (film / "orders" / str(frame)).write_text("bug")
    with pytest.raises(StageError, match="ZeroDivisionError") as raised:
        worker(film).make_chunk(long_item(prepared))
    assert raised.value.moment == Fraction(frame - 1, 24)


def test_a_bug_of_a_stage_that_sees_many_names_the_chunk(film: Path) -> None:
    prepared = plan(film, hurting(film, per_frame=False))
    (film / "orders" / "5").write_text("bug")
    with pytest.raises(StageError, match="frames 0-10: ZeroDivisionError") as raised:
        worker(film).make_chunk(long_item(prepared))
    assert raised.value.moment is None


def test_an_unreadable_frame_is_found_among_those_that_can_be_read(film: Path) -> None:
    prepared = plan(film, "[{interpolate: {factor: 2}}]")
    bad = film / "frames" / "frame_0007.png"
    bad.write_bytes(bad.read_bytes()[:900])
    item = prepared.plan.shots[1].runs[0].items[0]
    with pytest.raises(InputError, match="frame_0007") as raised:
        worker(film).make_chunk(item)
    assert raised.value.moment == Fraction(6, 24)


def test_where_nothing_can_be_read_no_frame_is_blamed(film: Path) -> None:
    prepared = plan(film, hurting(film, per_frame=True))
    for path in (film / "frames").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError) as raised:
        worker(film).make_chunk(long_item(prepared))
    assert raised.value.moment is None


Change = Callable[[list[Any]], list[Any]]
WRONG: dict[str, Change] = {
    "a frame late": lambda frames: [frames[-1], *frames[:-1]],
    "a frame twice": lambda frames: [*frames[:6], *frames[5:-1]],
    "other colours": lambda frames: [(y, v, u) for y, u, v in frames],
    "another shot": lambda frames: frames[::-1],
    "damaged packets": lambda frames: frames,
}
"""What an encoder may make of frames."""


def encode_wrongly(monkeypatch: pytest.MonkeyPatch, fault: str, *, times: int) -> None:
    """Have the next segments come out wrong, `times` of them."""
    left = [times]

    def encode(path: Path, frames: Iterable[Any], **how: Any) -> SegmentInfo:
        if not left[0]:
            return encode_segment(path, frames, **how)
        left[0] -= 1
        made = encode_segment(path, WRONG[fault]([*frames]), **how)
        if fault == "damaged packets":
            with av.open(str(path)) as file:
                first = bytes(next(iter(file.demux(video=0))))
            end = bytes(byte ^ 85 for byte in first[-90:])  # x264 signs its first packet's begin
            path.write_bytes(path.read_bytes().replace(first, first[:-90] + end))
        return made

    monkeypatch.setattr(segment_work, "encode_segment", encode)


@pytest.mark.parametrize("fault", WRONG)
def test_a_segment_that_does_not_show_its_frames_is_encoded_again(
    film: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    for number, file in enumerate(sorted((film / "frames").iterdir())):
        cells = np.random.default_rng(number).integers(0, 256, (2, 3, 3), np.uint8)
        cv2.imwrite(str(file), cv2.resize(cells, (48, 32)))  # noise would hide what is wrong
    prepared = plan(film, "[]")
    one, store = worker(film), prepared.store
    for shot in prepared.plan.shots:
        for item in shot.items():
            one.make_chunk(item)
    first, second = (shot.segment for shot in prepared.plan.shots)
    assert first
    assert second
    one.make_segment(first)
    encode_wrongly(monkeypatch, fault, times=1)
    right = one.make_segment(second)
    assert right.verify_s > 0
    assert len(read_evidence(store, prepared.plan)) == 2, "the second try was right"
    assert finish_film(prepared, [], Silent(), began=0.0).verified

    store.delete(segment_name(second.key))
    Path(prepared.request.output).unlink()
    encode_wrongly(monkeypatch, fault, times=2)
    assert one.make_segment(second).digest != right.digest
    ended = finish_film(prepared, [], Silent(), began=0.0)
    assert not ended.verified, "the film is looked at where its worker found a fault"
    assert all("sh020" in finding for finding in ended.findings)

    remove_objects(prepared, [segment_name(second.key)])
    assert one.make_segment(second).digest == right.digest
    assert finish_film(prepared, [], Silent(), began=0.0).verified
