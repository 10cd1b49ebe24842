"""A run is on record from its beginning, is told dead when it is, and a job key makes one job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.errors import (
    ClusterError,
    DougaError,
    RefusedError,
    StoreError,
    UsageError,
    VerifyError,
)
from cluster.store.base import Store, StoredObject
from cluster.store.folder import FolderStore
from cluster.store.open import open_store
from flows.plan.prepare import new_run_id
from flows.progress import Silent
from flows.runs.find import find_place
from flows.runs.job import Claim, asked_of, error_of, last_claim, once, take_job
from flows.runs.record import (
    BEGUN,
    Record,
    new_run_start,
    no_result,
    process_start,
    record_result,
    run_record,
    this_machine,
)
from flows.runs.result import EpisodeResult, ShotLine
from flows.runs.state import HEARTBEAT_TIMEOUT, RunStatus, is_alive, places, read_status, result_of
from flows.runs.status import runs_document
from flows.runs.wait import wait_for
from flows.spec.request import make_request

RUN = "runs/ep/20260301T220000-ab12"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def recorded(store: Store, place: str = RUN, **more: Any) -> Record:
    _, episode, run = place.split("/")
    return run_record(store, episode, run, command="douga render ep.yaml", **more)


def result(
    store: Store, place: str = RUN, *, state: str = "rendered", **more: Any
) -> EpisodeResult:
    """A run of one shot."""
    _, episode, run = place.split("/")
    line = ShotLine(
        id="sh010",
        source=0,
        start=0,
        end=24,
        frames=24,
        chunks=1,
        computed=1,
        reused=0,
        state=state,
    )
    good = replace(no_result(store.url, episode, run), shots=(line,), film="/f.mkv", wall_s=3.5)
    return replace(good, **more)


def names(store: Store) -> list[str]:
    return [entry.name for entry in store.list()]


def seen(store: Store, place: str = RUN) -> RunStatus:
    found = read_status(store, place)
    assert found is not None
    return found


def break_off(
    record: Record, error: BaseException, before: Callable[[], object] = lambda: None
) -> None:
    """Begin, and let an error end it."""
    with record:
        record.begin()
        before()
        raise error


def left_dead(store: Store, place: str, **changes: Any) -> None:
    """What a process that was killed leaves: a beginning, and no end."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    begun = replace(new_run_start(place, command="douga render ep.yaml"), process=int(ended.stdout))
    text = json.dumps(asdict(replace(begun, **changes)))
    store.put(f"{BEGUN}{place}.json", text.encode())


def test_a_run_is_running_then_ended_and_leaves_one_object(store: Store) -> None:
    with recorded(store, job="k") as record:
        assert names(store) == [], "nothing before it begins"
        record.begin()
        record.begin(shots=5)
        now = seen(store)
        assert (now.state, now.exit_code) == ("running", None)
        assert now.document["shots_to_render"] == 5
        assert now.document["process"] == os.getpid()
        record_result(record, result(store), command="douga render ep.yaml")
        assert seen(store).state == "done"
    assert names(store) == [f"{RUN}.json"]
    document = json.loads(store.get(f"{RUN}.json"))
    assert {"state": "done", "exit_code": 0, "error": "", "job": "k"}.items() <= document.items()
    assert document["began_at"] <= document["ended_at"]
    assert (document["wall_s"], document["render_s"]) == (3.5, 0.0)
    assert result_of(document) == result(store)


@pytest.mark.parametrize(
    ("more", "state", "code", "says"),
    [
        ({"findings": ("a frame is missing",)}, "wanting", 2, "a frame is missing"),
        ({"waiting": ("sh010: waits for approval",)}, "waiting for review", 3, "waits for review"),
        ({"state": "failed"}, "failed", 1, "1 shot failed (sh010)"),
    ],
)
def test_the_end_has_the_commands_exit_code_and_its_line(
    store: Store, more: dict[str, Any], state: str, code: int, says: str
) -> None:
    with recorded(store) as record:
        record.begin()
        record_result(record, result(store, **more), command="douga render ep.yaml")
    end = seen(store)
    assert (end.state, end.exit_code) == (state, code)
    assert says in end.error


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (ClusterError("no Ray at 10.0.0.1", remedy="start it"), "failed", 1),
        (UsageError("no shot 'x'"), "failed", 64),
        (RefusedError("over budget"), "refused", 3),
        (KeyboardInterrupt(), "stopped", 130),
        (ZeroDivisionError("division\nby zero"), "failed", 1),
    ],
)
def test_an_error_that_ends_a_run_is_on_record(
    store: Store, error: BaseException, state: str, code: int
) -> None:
    with pytest.raises(type(error)):
        break_off(recorded(store), error)
    end = seen(store)
    assert (end.state, end.exit_code) == (state, code)
    assert "\n" not in end.error
    assert names(store) == [f"{RUN}.json"]
    assert end.document["shots"] == []
    (shown,) = runs_document(store.url)["runs"]
    assert (shown["state"], shown["frames_out"], shown["film"]) == (state, 0, None)


def test_what_failed_before_it_began_is_not_on_record(store: Store) -> None:
    with pytest.raises(UsageError), recorded(store):
        raise UsageError("no such stage")
    assert names(store) == []


def test_an_error_in_a_night_leaves_its_beginning_with_the_end_in_it(store: Store) -> None:
    place = "nights/kumo/20260301T220000"
    with pytest.raises(DougaError):
        break_off(Record(store, place), DougaError("no episode can be read"))
    assert names(store) == [f"{BEGUN}{place}.json"]
    end = seen(store, place)
    assert (end.state, end.exit_code, end.error) == ("failed", 1, "no episode can be read")


class Gone:
    """A store that refuses everything from some moment on."""

    def __init__(self, store: Store) -> None:
        self._store, self.gone = store, False

    def __getattr__(self, name: str) -> Any:
        if self.gone:
            raise StoreError("no answer")
        return getattr(self._store, name)


def test_a_store_that_is_gone_hides_no_error(store: Store) -> None:
    gone: Any = Gone(store)
    with pytest.raises(ClusterError, match="lost"):
        break_off(
            recorded(gone),
            ClusterError("all workers are lost"),
            lambda: setattr(gone, "gone", True),
        )
    assert names(store) == [f"{BEGUN}{RUN}.json"], "it will count as dead"


def test_no_secret_is_put_on_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "hunter2-hunter2")
    record = run_record(store, "ep", "r1", command="render s3://me:hunter2-hunter2@host/x")
    began: list[bytes] = []
    with pytest.raises(DougaError):
        break_off(
            record,
            DougaError("https://me:pw@host said hunter2-hunter2"),
            lambda: began.append(store.get(f"{BEGUN}runs/ep/r1.json")),
        )
    assert b"hunter2" not in began[0]
    assert b"hunter2" not in store.get("runs/ep/r1.json")
    assert b"me:pw" not in store.get("runs/ep/r1.json")


def test_a_run_whose_process_is_gone_has_died(store: Store) -> None:
    left_dead(store, RUN)
    end = seen(store)
    assert (end.state, end.exit_code) == ("died", 1)
    assert "gives no sign of life" in end.error
    assert end.error.endswith("douga render ep.yaml")
    (shown,) = runs_document(store.url)["runs"]
    assert shown["state"] == "died"


@pytest.mark.skipif(not this_machine(), reason="processes are looked for on Linux only")
def test_signs_of_life() -> None:
    now = datetime.now(UTC)
    here = new_run_start(RUN)
    there = replace(here, machine="another boot", process=1, start="1")
    soon, late = now - HEARTBEAT_TIMEOUT / 2, now - 2 * HEARTBEAT_TIMEOUT
    assert is_alive(here, soon, now=now)
    assert not is_alive(here, late, now=now), "its heart stopped, though the process goes on"
    assert not is_alive(replace(here, start="12"), soon, now=now), "another process by that number"
    assert is_alive(there, soon, now=now)
    assert not is_alive(there, late, now=now)
    assert is_alive(there, now + timedelta(hours=1), now=now), "clocks differ"
    assert process_start(os.getpid()) == here.start


class ElsewhenStore(FolderStore):
    """A store whose clock is some hours from this machine's."""

    off = timedelta(0)

    def now(self) -> datetime:
        """By that clock."""
        return super().now() + self.off

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects dated by that clock."""
        for entry in super().list(prefix):
            yield replace(entry, modified=entry.modified + self.off)


@pytest.mark.parametrize("off_h", [-5, 5])
def test_clocks_that_disagree_take_nobody_for_dead_and_no_dead_for_alive(
    off_h: int, tmp_path: Path
) -> None:
    store = ElsewhenStore(tmp_path / "store")
    store.off = timedelta(hours=off_h)
    elsewhere = {"machine": "another boot", "process": 1, "start": "1"}
    left_dead(store, RUN, **elsewhere)
    assert seen(store).state == "running"
    claim, mine = take_job(store, "k", place="runs/ep/a", asked="q", command="c")
    assert mine
    long_ago = (datetime.now(UTC) - timedelta(hours=9)).isoformat()
    document = asdict(replace(claim, begun=replace(claim.begun, began_at=long_ago)))
    document["begun"] |= elsewhere
    store.put(claim.name, json.dumps(document).encode())
    again, mine = take_job(store, "k", place="runs/ep/b", asked="q", command="c")
    assert (again.place, mine) == ("runs/ep/a", False), "it was claimed just now"
    for file in (tmp_path / "store").rglob("*.json"):
        os.utime(file, ns=(0, time.time_ns() - 600 * 10**9))
    assert seen(store).state == "died"
    again, mine = take_job(store, "k", place="runs/ep/b", asked="q", command="c")
    assert (again.place, mine) == ("runs/ep/b", True)


def test_runs_of_before_records_are_read_as_they_were(store: Store) -> None:
    old = {**result(store, findings=("x",)).to_json(), "state": "wanting"}
    store.put(f"{RUN}.json", json.dumps(old).encode())
    assert (seen(store).state, seen(store).exit_code) == ("wanting", 2)


def test_places_are_in_order_of_time_and_hold_nothing_else(store: Store) -> None:
    for name in (
        *("runs/b/20260101T000000-a", "runs/a/20260103T000000-a", "nights/n/20260102T000000"),
        *("nights/n/20260102T000000.accepted.abc", f"{BEGUN}runs/a/20260104T000000-a"),
        *("runs/loose", f"{BEGUN}nights/n/20260105T000000"),
    ):
        store.put(f"{name}.json", b"{}")
    assert [place.rpartition("/")[2][:8] for place in places(store)] == [
        *("20260101", "20260102", "20260103", "20260104", "20260105")
    ]
    assert places(store, "runs/a/") == ["runs/a/20260103T000000-a", "runs/a/20260104T000000-a"]


# Waiting


def test_waiting_gives_the_end_once_there_is_one(store: Store) -> None:
    with recorded(store) as record:
        record.begin()
        assert wait_for(store, RUN, Silent(), timeout_s=0).state == "running"
        assert wait_for(store, RUN, Silent(), timeout_s=0.3).exit_code is None
        found: list[RunStatus] = []
        waiter = threading.Thread(target=lambda: found.append(wait_for(store, RUN, Silent())))
        waiter.start()
        record_result(record, result(store), command="")
        waiter.join(timeout=60)
    assert [each.state for each in found] == ["done"]


def test_waiting_for_what_died_says_how_to_go_on(store: Store) -> None:
    left_dead(store, RUN)
    end = wait_for(store, RUN, Silent())
    assert (end.state, end.exit_code) == ("died", 1)


def test_names_are_found(store: Store) -> None:
    for place in ("runs/ep01/20260101T000000-a", "runs/ep01/20260102T000000-b", "runs/ep02/x1"):
        store.put(f"{place}.json", b"{}")
    store.put("nights/kumo/20260301.json", b"{}")
    claim, mine = take_job(store, "build-7", place="runs/ep02/x2", asked="q", command="c")
    assert mine
    assert find_place(store, "20260101T000000-a") == ("runs/ep01/20260101T000000-a", "")
    assert find_place(store, "ep01") == ("runs/ep01/20260102T000000-b", "")
    assert find_place(store, "ep02/x1") == ("runs/ep02/x1", "")
    assert find_place(store, "kumo") == ("nights/kumo/20260301", "")
    assert find_place(store, "build-7") == ("runs/ep02/x2", claim.name)
    for wrong, near in (("build-8", "build-7"), ("ep0l", "ep01"), ("zzz", "newest")):
        with pytest.raises(UsageError, match=near):
            find_place(store, wrong)
    with pytest.raises(UsageError, match="none at all"):
        find_place(open_store(f"{store.url}-other"), "ep01")


# Jobs


def do(store: Store, job: str, act: Callable[[Claim], Any], **more: Any) -> Any:
    given = {"place": f"runs/ep/{os.urandom(4).hex()}", "asked": "q", "command": "c", **more}
    return once(
        job,
        store=store,
        act=act,
        recall=lambda it: ("again", it),
        **{"reporter": Silent(), **given},
    )


class Heard(Silent):
    """Keeps what is said first."""

    def __init__(self) -> None:
        self.said, self.text = threading.Event(), ""

    def phase(self, text: str) -> None:
        self.text = self.text or text
        self.said.set()


def ended_with(store: Store, **more: Any) -> Callable[[Claim], str]:
    """A render that puts itself on record."""

    def act(claim: Claim) -> str:
        with recorded(store, claim.place, job=claim.job) as record:
            record.begin()
            record_result(record, result(store, claim.place, **more), command="c")
        return claim.place

    return act


def never(claim: Claim) -> str:
    raise AssertionError(f"it was not to be done again: {claim}")


def test_a_job_that_ended_well_is_not_done_again(store: Store) -> None:
    place = do(store, "build 7/ä", ended_with(store))
    told, again = do(store, "build 7/ä", never)
    assert (told, again.place, again.state) == ("again", place, "done")
    assert do(store, "build 8", ended_with(store)) != place


@pytest.mark.parametrize(
    "first", [{"state": "failed"}, {"waiting": ("sh010: waits",)}, {"findings": ("x",)}, None]
)
def test_a_job_that_did_not_end_well_is_done_again(
    store: Store, first: dict[str, Any] | None
) -> None:
    if first is None:
        take_job(store, "k", place=RUN, asked="q", command="c")
        left_dead(store, RUN)
    else:
        do(store, "k", ended_with(store, **first))
    second = do(store, "k", ended_with(store))
    claim = last_claim(store, "k")
    assert claim is not None
    assert (claim.attempt, claim.place) == (2, second)
    assert do(store, "k", never)[0] == "again"


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, True), (2, False), (3, True)])
def test_a_night_that_is_over_is_done_though_it_regressed(
    store: Store, code: int, again: bool
) -> None:
    def night(claim: Claim) -> str:
        with Record(store, claim.place, job=claim.job) as record:
            record.begin()
            record.ended({"episodes": []}, state="over", exit_code=code)
        return claim.place

    first = do(store, "k", night, place="nights/kumo/1")
    second = do(store, "k", night, place="nights/kumo/2")
    assert (second == "nights/kumo/2") is again
    assert again or second[1].place == first


def test_of_a_damaged_claim_the_run_that_lives_is_found(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    claim, _ = take_job(store, "k", place="runs/ep/1", asked="q", command="c")
    with Record(store, claim.place, job="k") as record:
        record.begin()
        store.put(claim.name, b"{")
        found, mine = take_job(store, "k", place="runs/ep/2", asked="q", command="c")
        assert (found.place, mine) == ("runs/ep/1", False)
        assert claim.stands(store)
        record.withdraw()
    assert claim.name in caplog.text
    again, mine = take_job(store, "k", place="runs/ep/3", asked="q", command="c")
    assert (again.place, again.attempt, mine) == ("runs/ep/3", 2, True)


def test_who_comes_second_waits_for_the_first(store: Store) -> None:
    begun, go, told = threading.Event(), threading.Event(), []

    def slow(claim: Claim) -> str:
        with recorded(store, claim.place) as record:
            begun.set()
            assert go.wait(60)
            record.begin()
            record_result(record, result(store, claim.place), command="c")
        return claim.place

    first = threading.Thread(target=lambda: told.append(do(store, "k", slow)))
    second = threading.Thread(target=lambda: told.append(do(store, "k", never)))
    first.start()
    assert begun.wait(60)
    second.start()  # finds a claim without a beginning, then one with
    go.set()
    first.join(60)
    second.join(60)
    place = next(each for each in told if isinstance(each, str))
    (again,) = [each[1] for each in told if not isinstance(each, str)]
    assert (again.place, again.state) == (place, "done")


def test_who_waited_gets_the_failure_and_does_not_try_himself(store: Store) -> None:
    with recorded(store) as record:
        take_job(store, "k", place=RUN, asked="q", command="c")
        record.begin()
        told: list[Any] = []
        heard = Heard()
        second = threading.Thread(target=lambda: told.append(do(store, "k", never, reporter=heard)))
        second.start()
        assert heard.said.wait(60)
        record_result(record, result(store, state="failed"), command="c")
        second.join(60)
    assert told[0][1].exit_code == 1
    assert heard.text.startswith("job k is ep/20260301T220000-ab12, begun at ")


def test_many_at_once_make_one_job(store: Store) -> None:
    done: list[str] = []
    start = threading.Barrier(8)

    def act(claim: Claim) -> str:
        done.append(claim.place)
        return ended_with(store)(claim)

    def submit() -> None:
        start.wait(60)
        do(store, "k", act)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 1


def test_a_key_is_for_one_request(store: Store) -> None:
    do(store, "k", ended_with(store))
    with pytest.raises(UsageError, match=r"job 'k' is another request.*another key"):
        do(store, "k", never, asked="r")
    with pytest.raises(UsageError, match="submitted for ep, not this"):
        do(store, "k", never, place="runs/ep02/x", asked="r")


def test_what_failed_may_be_mended_under_the_same_key_for_the_same_episode(store: Store) -> None:
    do(store, "k", ended_with(store, state="failed"))
    with pytest.raises(UsageError):
        do(store, "k", never, place="runs/ep02/x", asked="r")
    do(store, "k", ended_with(store), asked="mended")


def test_a_claim_that_the_store_gave_to_another_is_lost(store: Store) -> None:
    claim, mine = take_job(store, "k", place=RUN, asked="q", command="c")
    assert mine
    assert claim.stands(store)
    other = {**asdict(claim), "begun": asdict(new_run_start("runs/ep/other"))}
    store.put(claim.name, json.dumps(other).encode())  # a store without atomic conditions
    assert not claim.stands(store)


@pytest.mark.parametrize("job", ["", "x" * 151, "ä" * 60])
def test_a_key_that_cannot_be_one_is_refused(store: Store, job: str) -> None:
    with pytest.raises(UsageError, match="--job"):
        do(store, job, never)


@pytest.mark.parametrize("job", [".", "..", "../../x", "a/b", "%2E", "x" * 150])
def test_any_other_key_stays_in_its_place(store: Store, job: str) -> None:
    do(store, job, ended_with(store))
    assert do(store, job, never)[0] == "again"
    assert find_place(store, job)[0] == do(store, job, never)[1].place


def test_a_request_is_the_same_wherever_it_runs(tmp_path: Path) -> None:
    film = str(tmp_path / "a.mkv")
    one = asked_of(make_request(film, command="douga render a.mkv"))
    assert one == asked_of(make_request(film, workers=3, ray="10.0.0.1:6379", command="other"))
    assert one != asked_of(make_request(film, chunk=12))
    assert one != asked_of(make_request(str(tmp_path / "b.mkv")))


@pytest.mark.parametrize(
    ("code", "kind"), [(1, DougaError), (2, VerifyError), (3, RefusedError), (64, UsageError)]
)
def test_anothers_error_has_its_exit_code(code: int, kind: type[DougaError]) -> None:
    error = error_of(RunStatus(place=RUN, state="failed", exit_code=code, error="why", document={}))
    assert type(error) is kind
    assert int(error.exit_code) == code
    assert "why" in str(error)


def test_runs_are_named_in_order_of_time_within_a_second() -> None:
    """Names of earlier versions stop at the second, and come before those of that second."""
    began = datetime(2026, 11, 23, 1, 2, 3, 250_000, tzinfo=UTC)
    names = [new_run_id(began + timedelta(milliseconds=later)) for later in range(0, 900, 7)]
    assert sorted(names) == names
    assert f"{began:%Y%m%dT%H%M%S}-ffff" < names[0]
    assert len({new_run_id(began) for _ in range(20)}) > 1, "twins differ"
