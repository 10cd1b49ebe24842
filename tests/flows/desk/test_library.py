"""One listing for all who look: what changed, and records that are read once."""

from typing import Any

import pytest

from flows.desk.feed import event_name, names_of
from flows.desk.library import Change, Library
from tests.flows.desk.conftest import SECOND, Studio


class Counted:
    """A store that counts what is asked of it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.gets: list[str] = []
        self.lists = 0

    def get(self, name: str) -> bytes:
        self.gets.append(name)
        found: bytes = self._store.get(name)
        return found

    def list(self, prefix: str = "") -> Any:
        self.lists += 1
        return self._store.list(prefix)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_what_is_new_is_told_once_by_kind_and_shot(studio: Studio) -> None:
    studio.run(sh010="rendered", sh020="rendered")
    library = studio.desk().library
    assert library.refresh() == []
    studio.decide("sh020", "approved")
    key = library.shelves[0].key
    assert library.refresh() == [Change(store=key, kind="decision", episode="ep01", shot="sh020")]
    studio.run(run=SECOND, sh010="rendered", sh020="stored")
    kinds = {(each.kind, each.shot) for each in library.refresh()}
    assert kinds == {("run", ""), ("shot", "sh010")}
    assert library.refresh() == []


def test_fifty_viewers_cost_no_more_requests_than_one(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots: dict[str, Any] = {f"sh{at:03d}": "rendered" for at in range(20)}
    studio.run(**shots)
    counted = Counted(studio.store)
    monkeypatch.setattr("flows.desk.library.open_store", lambda url: counted)
    desk = studio.desk()
    desk.episodes()
    first = len(counted.gets)
    lists = counted.lists
    for _ in range(50):
        desk.episodes()
    assert (len(counted.gets), counted.lists) == (first, lists)


def test_a_store_that_fails_keeps_its_last_listing_and_says_so(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.run(sh010="rendered")
    studio.run(episode="ep02", ends=False, sh010="rendered")
    desk = studio.desk()
    assert len(desk.episodes()) == 2
    store = studio.store.url.removeprefix("file://")
    monkeypatch.setattr("os.scandir", _refuse)
    monkeypatch.setattr("os.listdir", _refuse)
    desk.library.refresh()
    (shelf,) = desk.library.shelves
    assert shelf.trouble
    assert store in shelf.trouble
    assert [episode.name for episode in desk.episodes()] == ["ep01", "ep02"]


def _refuse(*_: Any, **__: Any) -> Any:
    raise PermissionError(13, "Permission denied")


def test_stores_that_come_while_it_runs_are_shown(studio: Studio) -> None:
    urls = [studio.store.url]
    library = Library(lambda: urls)
    library.refresh()
    urls.append((studio.folder / "second").as_uri())
    library.refresh()
    assert len(library.shelves) == 2


def test_events_name_the_shot_the_episode_and_the_board() -> None:
    shot = Change(store="s", kind="shot", episode="ep", shot="sh010")
    run = Change(store="s", kind="run", episode="ep")
    night = Change(store="s", kind="night", episode="n")
    names = names_of([shot, run, night, shot], is_new=lambda _: False)
    assert names == ["board", event_name("s", "ep", "sh010"), event_name("s", "ep"), "night"]
    assert event_name("s", "ep") in names_of([shot], is_new=lambda _: True)
