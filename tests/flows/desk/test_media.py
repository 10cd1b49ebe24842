"""What a browser shows: proxies exact to the frame over range requests, pictures, drawings."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from cluster.errors import UsageError
from cluster.store.base import NotStored
from flows.desk.app import make_app
from flows.desk.desk import Desk
from flows.desk.export import export_episode, find_exported
from flows.desk.shots import versions_of
from tests.flows.desk.conftest import FIRST, FRAMES, Studio, segment_key

KEY = segment_key("ep01", "sh010", FIRST)


@pytest.fixture
def desk(studio: Studio) -> Desk:
    studio.run(sh010="rendered")
    studio.segment("sh010")
    return studio.desk()


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(24000, 1001), Fraction(30)])
def test_a_proxy_shows_every_frame_at_its_number_over_the_rate(desk: Desk, rate: Fraction) -> None:
    path = desk.media.proxy(desk.library.shelves[0].store, KEY, rate)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        frames = [(frame.pts * stream.time_base, frame) for frame in film.decode(stream)]
    assert [time for time, _ in frames] == [number / rate for number in range(FRAMES)]
    greys = [float(frame.to_ndarray(format="gray").mean()) for _, frame in frames]
    assert greys == sorted(greys)
    assert frames[0][1].format.name == "yuv420p"
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before all of it is there


def test_media_are_served_in_ranges_and_never_change(desk: Desk) -> None:
    store = desk.library.shelves[0].key
    with TestClient(make_app(desk), base_url="http://127.0.0.1:8484") as client:
        part = client.get(f"/media/{store}/ep01/sh010/{KEY}.mp4", headers={"range": "bytes=0-99"})
        assert (part.status_code, len(part.content)) == (206, 100)
        assert "immutable" in part.headers["cache-control"]
        thumb = client.get(f"/media/{store}/{KEY}/thumb.webp")
        assert thumb.headers["content-type"] == "image/webp"
        film = client.get(f"/e/{store}/ep01/segment/sh010")
        assert film.status_code == 200


def test_a_thumbnail_is_the_middle_frame_made_once(desk: Desk) -> None:
    store = desk.library.shelves[0].store
    path = desk.media.thumbnail(store, KEY)
    picture = cv2.imread(str(path))
    assert picture.mean() == pytest.approx(20 + 8 * (FRAMES // 2), abs=4)
    made = path.stat().st_ino
    assert desk.media.thumbnail(store, KEY).stat().st_ino == made


def test_what_is_gone_from_the_store_leaves_nothing_half_made(desk: Desk) -> None:
    with pytest.raises(NotStored):
        desk.media.thumbnail(desk.library.shelves[0].store, "0" * 40)
    assert not [path for path in desk.media.folder.rglob("*") if path.is_file()]


def test_drawings_begin_where_the_stored_picture_changes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf,) = desk.library.shelves
    (version,) = versions_of(desk.library, shelf, "ep01", "sh010")
    shown = [0, 0, 0, 1, 1, 2, 2, 3]
    pictures = [np.full((4, 4, 3), value, np.uint16) for value in shown]

    def frames(data: bytes) -> Any:
        return ((number, Fraction(0), picture) for number, picture in enumerate(pictures))

    monkeypatch.setattr("flows.desk.media.iter_frames", frames)
    shelf.store.put(f"frames/{KEY}", b"x")
    assert desk.media.drawings(shelf.store, version) == [0, 3, 5, 7]


def test_an_exported_page_opens_from_disk(desk: Desk, studio: Studio) -> None:
    studio.decide("sh010", "retake")
    shelf, episode = find_exported(desk, "ep01")
    page = export_episode(desk, shelf, episode, studio.folder / "out side").read_text()
    files = re.findall(r'(?:src|href|poster)="([^"]+)"', page)
    assert {Path(name).suffix for name in files} == {".css", ".webp", ".mp4"}
    assert all((studio.folder / "out side" / name).is_file() for name in files)
    assert "<script" not in page
    assert "retake" in page
    with pytest.raises(UsageError, match="ep01"):
        find_exported(desk, "ep99")
