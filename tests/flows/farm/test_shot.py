"""In which order shots are handed to the farm, and how many at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest

from cluster.errors import StoreError
from cluster.store.open import open_store
from flows.farm.shot import longest_first, shots_to_render
from flows.plan.prepare import Prepared, prepare
from flows.plan.shot_plan import RunPlan
from flows.progress import Silent
from flows.render import render
from flows.spec.request import RenderRequest, make_request
from tasks.worker.item import SegmentItem, WorkItem, chunk_name
from tests.farm_here import FarmHere

SHOTS = 12


class WideFarm(FarmHere):
    """Many workers, and none ends its first chunk before every shot has handed out one."""

    workers = 64

    def __init__(self) -> None:
        super().__init__()
        self._all_in_flight = Barrier(SHOTS)

    def make_chunk(self, item: WorkItem, run: RunPlan, **_: object) -> Future[Any]:
        self._all_in_flight.wait(timeout=60)
        return super().make_chunk(item, run)


@pytest.fixture(autouse=True)
def no_prefect(set_variables: Callable[..., None]) -> None:
    set_variables(DOUGA_PREFECT="off")


def asked(film: Path, folder: Path, cut: str, **options: Any) -> RenderRequest:
    episode = folder / "ep.yaml"
    episode.write_text(f"source: {film}\ncut: {cut}\nstore: store\nrecipe: [hold]\n")
    return make_request(str(episode), output=str(folder / "f.mkv"), **options)


def planned(film: Path, folder: Path, cut: str) -> Prepared:
    return prepare(asked(film, folder, cut, chunk=4), Silent())


def test_as_many_shots_are_in_flight_as_the_farm_wants_whatever_this_machine_has(
    tiny_film: Path, tmp_path: Path
) -> None:
    cut = str([4 * number for number in range(1, SHOTS)])
    result = render(asked(tiny_film, tmp_path, cut), Silent(), farm=WideFarm().opened)
    assert result.film is not None


def test_the_longest_shots_come_first_by_what_is_left_to_do(
    tiny_film: Path, tmp_path: Path
) -> None:
    prepared = planned(tiny_film, tmp_path, "[4, 28]")  # 4, 24 and 20 frames
    shots = shots_to_render(prepared)

    def order(stored: set[str]) -> list[int]:
        plan = prepared.plan.with_stored(stored)
        return [shot.shot.end - shot.shot.start for shot in longest_first(plan, shots)]

    assert order(set()) == [24, 20, 4]
    assert order(set(shots[1].names()[:5])) == [20, 24, 4], "20 of its frames are stored"


def test_shots_are_handed_over_in_that_order(
    tiny_film: Path, tmp_path: Path, set_variables: Callable[..., None]
) -> None:
    set_variables(DOUGA_SHOTS_AT_ONCE="1")
    farm = FarmHere()
    render(asked(tiny_film, tmp_path, "[4, 28]"), Silent(), farm=farm.opened)
    assert [item.frames for item in farm.made if isinstance(item, SegmentItem)] == [24, 20, 4]


class Progress(Silent):
    """How far it is, each time it says so."""

    def __init__(self) -> None:
        self.units = self.done = 0.0
        self.shares: list[float] = []

    def total(self, units: float, *, piece: float, workers: int) -> None:
        self.units, self.done = units, 0.0

    def advance(self, units: float) -> None:
        self.done += units
        self.shares.append(self.done / self.units)


class LosingFarm(FarmHere):
    """Where the last chunk of the first attempt is lost, and the others with it."""

    def __init__(self, store: str) -> None:
        super().__init__()
        self.store = open_store(store)

    def make_chunk(self, item: WorkItem, run: RunPlan, **more: Any) -> Future[Any]:
        if len(self.made) == 5:
            self.made.append(item)
            for made in self.made[:5]:
                self.store.delete(chunk_name(made.key))
            lost: Future[Any] = Future()
            lost.set_exception(StoreError("lost", retryable=True))
            return lost
        receipt = super().make_chunk(item, run, **more)
        receipt.result()
        return receipt


def test_what_a_second_attempt_makes_again_moves_no_progress(
    tiny_film: Path, tmp_path: Path
) -> None:
    request = asked(tiny_film, tmp_path, "[]", chunk=8)
    told, farm = Progress(), LosingFarm(request.store)
    assert render(request, told, farm=farm.opened).film is not None
    assert len(farm.made) > 7, "six chunks and a segment"
    assert told.shares == sorted(told.shares)
    assert told.shares[-1] == pytest.approx(1.0)


class Expecting(Silent):
    """Hears a forecast, and of which render it is."""

    shows_end = True

    def __init__(self) -> None:
        self.heard = Event()
        self.named: list[str] = []
        self.ends = (0.0, 0.0)

    def whole(self, name: str) -> None:
        self.named.append(name)

    def expect(self, p50_s: float, p90_s: float) -> None:
        self.ends = (p50_s, p90_s)
        self.heard.set()


def test_whoever_sees_the_end_hears_what_earlier_runs_say_of_it(
    tiny_film: Path, tmp_path: Path
) -> None:
    for chunk in (24, 8):
        told = Expecting()
        render(asked(tiny_film, tmp_path, "[]", chunk=chunk), told, farm=FarmHere().opened)
        assert told.named == ["ep", ""], "it begins, and it has ended"
    assert told.heard.wait(60)
    assert 0 < told.ends[0] <= told.ends[1]
