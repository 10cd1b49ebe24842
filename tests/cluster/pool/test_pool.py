"""The pool on a real local Ray: results, errors as they were raised, actors killed."""

import os
import platform
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pytest
import ray

from cluster.connect.connect import join_cluster
from cluster.connect.nodes import Cluster, Node
from cluster.errors import ClusterError, GivenBack, InputError, StageError, StoreError
from cluster.pool.actor import ActorLocation, Answer
from cluster.pool.failures import LOSSES, Kind
from cluster.pool.pool import Pool
from cluster.pool.spec import CallFailed, PoolSpec, Started, check_resources

HANDLER = "handler:Handler"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    here = str(Path(__file__).parent)
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, before]))
    try:
        with join_cluster(workers=6) as cluster:
            yield cluster
    finally:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(scope="module")
def pool(cluster: Cluster, folder: Path) -> Iterator[Pool]:
    spec = PoolSpec(handler=HANDLER, config=str(folder), workers=2)
    with Pool(spec, cluster) as pool:
        yield pool


def test_calls_come_back_with_their_own_results(pool: Pool) -> None:
    futures = [pool.submit("double", number, group=str(number % 3)) for number in range(9)]
    assert [future.result(timeout=60) for future in futures] == [2 * n for n in range(9)]


def test_an_error_of_ours_arrives_as_it_was_raised(pool: Pool) -> None:
    error = pool.submit("refuse", "sh010").exception(timeout=60)
    assert isinstance(error, InputError)
    assert str(error) == "sh010: not a picture; paint it"


@pytest.mark.parametrize("strangers", [0, 1])
def test_an_actor_of_another_build_gets_no_work(
    strangers: int, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "strangers").write_text(str(strangers))
    build = {"code": "9f3c", "stage upscale": "3"}
    spec = PoolSpec(handler="handler:Stranger", config=str(tmp_path), workers=2, build=build)
    told: list[str] = []
    with Pool(spec, cluster, tell=told.append) as pool:
        futures = [pool.submit("pid", None) for _ in range(8)]
        assert len({future.result(timeout=60) for future in futures}) <= 2 - strangers
    assert len(told) == strangers
    for line in told:
        assert line.startswith(platform.node())
        assert "stage upscale is 2, not 3" in line


def test_a_cluster_of_nothing_but_another_build_is_one_clear_line(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "strangers").write_text("2")
    build = {"stage upscale": "3", "torch": "2.13.0"}
    spec = PoolSpec(handler="handler:Stranger", config=str(tmp_path), workers=2, build=build)
    with pytest.raises(ClusterError) as caught, Pool(spec, cluster):
        pass
    assert "stage upscale is 2, not 3; torch is not there, not 2.13.0" in str(caught.value)
    assert "install the same douga" in caught.value.remedy


def test_a_bug_arrives_named(pool: Pool) -> None:
    error = pool.submit("break_down", None).exception(timeout=60)
    assert isinstance(error, StageError)
    assert "ZeroDivisionError: one over nothing" in str(error)


def test_killing_actors_in_the_middle_loses_nothing(pool: Pool, folder: Path) -> None:
    pids = pool.pids()
    numbers = range(100, 130)
    futures = [pool.submit("double", number, group=str(number // 5)) for number in numbers]
    while not any(folder.glob("10*")):
        time.sleep(0.01)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert [future.result(timeout=120) for future in futures] == [2 * n for n in numbers]
    assert not set(pool.pids()) & set(pids)
    repeated = sum(1 for n in numbers if len(list(folder.glob(f"{n}.*"))) > 1)
    assert repeated <= 2 * 3, "only calls in flight on the two dead actors may run again"


def test_work_that_kills_every_worker_is_given_up_with_a_reason(pool: Pool) -> None:
    error = pool.submit("die", None, group="sh666").exception(timeout=250)
    assert isinstance(error, ClusterError)
    assert f"lost {LOSSES} time(s)" in str(error)
    assert "sh666" in str(error)
    assert pool.submit("double", 4).result(timeout=60) == 8


def test_a_bug_is_confirmed_by_another_process_and_both_tracebacks_are_kept(pool: Pool) -> None:
    error = pool.submit("break_down", None).exception(timeout=60)
    assert isinstance(error, StageError)
    first, second = error.attempts
    assert {int(first.worker), int(second.worker)} == set(pool.pids())
    for attempt in error.attempts:
        assert 'raise ZeroDivisionError("one over nothing")' in attempt.traceback
        assert attempt.node == platform.node()


def test_a_failure_that_passes_is_counted_told_and_made_good(
    cluster: Cluster, folder: Path
) -> None:
    said: list[str] = []
    spec = PoolSpec(handler=HANDLER, config=str(folder), workers=1)
    with Pool(spec, cluster, tell=said.append) as pool:
        future = pool.submit("stumble", "s", group="sh010", finish=lambda name, n: (name, n))
        assert future.result(timeout=60) == ("s", 2)
    assert ["the store is busy" in line for line in said] == [True, True]
    assert "(1 of 6)" in said[0]
    assert "(2 of 6)" in said[1]


def test_memory_that_does_for_one_worker_leaves_one_and_all_is_done(
    cluster: Cluster, folder: Path
) -> None:
    """Three workers where memory does for one at a time; what each warns of is told once."""
    said: list[str] = []
    spec = PoolSpec(handler=HANDLER, config=str(folder), workers=3, num_cpus=0.5)
    with Pool(spec, cluster, tell=said.append) as pool:
        futures = [pool.submit("crowd", 1, group=f"sh{n}") for n in range(6)]
        assert [future.result(timeout=120) for future in futures] == [1] * 6
        assert len(pool.pids()) == 1, "the others are gone, with their models"
    assert said.count("crowd: at it") == 1
    left = [line.rpartition("with ")[2] for line in said if "worker(s)" in line]
    assert left == ["2 worker(s)", "1 worker(s)"]


def test_a_worker_killed_by_rays_memory_monitor_comes_back_to_smaller_batches(
    cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ray.get

    def evict(refs: Any, **options: Any) -> Any:
        """As if the monitor had killed the actor of every call with more than two at once."""
        answer = plain(refs, **options)
        if isinstance(answer, Answer) and isinstance(answer.result, int) and answer.result > 2:
            raise ray.exceptions.OutOfMemoryError("4.1 GiB of 4.0 GiB are used")
        return answer

    monkeypatch.setattr(ray, "get", evict)
    said: list[str] = []
    spec = PoolSpec(handler=HANDLER, config=str(folder), workers=1)
    with Pool(spec, cluster, tell=said.append) as pool:
        futures = [
            pool.submit("fit", 8, group=f"sh{n}", shrink=lambda batch: batch // 2 or None)
            for n in range(4)
        ]
        assert [future.result(timeout=60) for future in futures] == [2] * 4
    assert sum("going on in smaller batches" in line for line in said) == 1, "told once"


def test_a_call_that_never_ends_is_ended_tried_once_more_and_given_up(
    cluster: Cluster, folder: Path
) -> None:
    spec = PoolSpec(handler=HANDLER, config=str(folder), workers=1, call_timeout_s=4)
    with Pool(spec, cluster) as pool:
        hanging = pool.submit("hang", "h", group="sh010")
        beside = pool.submit("double", 7, group="sh020")
        error = hanging.exception(timeout=120)
        assert isinstance(error, ClusterError)
        assert "took longer than 4 s" in str(error)
        assert len({attempt.worker for attempt in error.attempts}) == 2, "each its own process"
        assert beside.result(timeout=60) == 14
    assert len(list(folder.glob("h.*"))) == 2


def test_waiting_calls_of_a_group_can_be_cancelled(pool: Pool) -> None:
    futures = [pool.submit("double", number, group="gone") for number in range(200, 240)]
    pool.cancel(group="gone")
    assert sum(future.cancelled() for future in futures) >= 30
    assert all(future.cancelled() or future.result(timeout=60) for future in futures)


def test_more_than_the_cluster_has_is_refused_at_once() -> None:
    one = Node(cpus=2, memory_bytes=2**30)
    small = Cluster(address="x", local=True, nodes=(one,))
    with pytest.raises(ClusterError, match=r"4 .* do not fit, 2 would; the cluster has 1 node"):
        check_resources(PoolSpec(handler=HANDLER, config=None, workers=4), small)
    with pytest.raises(ClusterError, match="1 GPU"):
        check_resources(PoolSpec(handler=HANDLER, config=None, workers=1, num_gpus=1), small)
    with pytest.raises(ClusterError, match=r"0\.8 GiB each do not fit, 1 would"):
        check_resources(
            PoolSpec(handler=HANDLER, config=None, workers=2, memory_bytes=800 << 20), small
        )


def test_no_worker_spans_two_nodes() -> None:
    odd = Cluster(address="x", local=False, nodes=(Node(cpus=3), Node(cpus=3), Node(cpus=1)))
    assert [odd.fits(Node(cpus=n)) for n in (1, 2, 3, 4)] == [7, 2, 2, 0]
    assert odd.beside(Node(cpus=2)).fits(Node(cpus=1)) == 3


def test_work_begins_with_the_workers_that_are_there_and_the_others_join(
    cluster: Cluster, tmp_path: Path
) -> None:
    told: list[str] = []
    spec = PoolSpec(
        handler="handler:Latecomer", config=str(tmp_path), workers=2, late_timeout_s=0.0
    )
    with Pool(spec, cluster, tell=told.append) as pool:
        first = {pool.submit("where", None).result(timeout=60) for _ in range(4)}
        assert len(first) == 1
        assert told == ["1 of 2 workers are late; going on with the others until they come"]
        (tmp_path / "go").touch()
        seen = set(first)
        while len(seen) < 2:
            calls = [pool.submit("where", None) for _ in range(8)]
            seen |= {call.result(timeout=60) for call in calls}
        assert seen == set(pool.pids())


def test_workers_that_cannot_start_are_told_at_once(cluster: Cluster) -> None:
    spec = PoolSpec(handler="handler:Nobody", config="", workers=2)
    with pytest.raises(ClusterError, match="cannot start"), Pool(spec, cluster):
        pass


# -- without Ray ---------------------------------------------------------------------------------


class Instant:
    """Actors that answer at once; a call of `fail` finds its store busy, one of `break` raises what
    nobody thought of."""

    def start(self, spec: PoolSpec, count: int, *, concurrency: int) -> list[Any]:
        return list(range(count))

    def fits(self, spec: PoolSpec) -> int:
        return spec.workers

    def wait(self, actors: Sequence[Any], spec: PoolSpec) -> Started:
        located = {number: ActorLocation(node="A", host="a", pid=number) for number in actors}
        return Started(located=located, refused={})

    def locate(self, actor: Any, *, timeout_s: float) -> None:
        return None

    def call(self, actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        if method == "break":
            raise RuntimeError("nobody thought of this")
        if method == "fail":
            return Answer(error=StoreError("the store is busy", retryable=True))
        return Answer(result=payload)

    def send(self, actor: Any, method: str, payload: Any) -> None:
        pass

    def end(self, actor: Any, *, restart: bool = False) -> None:
        pass

    def is_alive(self, node: str) -> bool:
        return True


class Farm(Instant):
    """Actors that come up only where there is room, for as many as `room` says."""

    def __init__(self) -> None:
        self.room = 0
        self.asked = 0

    def start(self, spec: PoolSpec, count: int, *, concurrency: int) -> list[Any]:
        self.asked += count
        return list(range(self.asked - count, self.asked))

    def wait(self, actors: Sequence[Any], spec: PoolSpec) -> Started:
        up = {number: self.place(number) for number in actors if number < self.room}
        return Started(located=up, refused={})

    def fits(self, spec: PoolSpec) -> int:
        return self.room

    def locate(self, actor: Any, *, timeout_s: float) -> Any:
        return self.place(actor) if actor < self.room else None

    def place(self, number: int) -> ActorLocation:
        return ActorLocation(node=f"n{number}", host=f"h{number}", pid=number)

    def call(self, actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        time.sleep(0.02)
        return Answer(result=actor)


QUICK: dict[str, Any] = {"growth_poll_s": 0.01, "recovery_poll_s": 0.01}


def elastic_pool(farm: Farm, told: list[str], *, most: int = 0) -> Pool:
    cluster = Cluster(address="x", local=False, nodes=())
    spec = PoolSpec(handler=HANDLER, config=None, workers=1, elastic=True, most=most, **QUICK)
    return Pool(spec, cluster, actors=farm, tell=told.append)


def test_work_waits_for_room_on_a_cluster_that_has_none() -> None:
    farm, told = Farm(), list[str]()
    with elastic_pool(farm, told) as pool:
        future = pool.submit("fit", 1)
        assert "waiting for room" in told[0]
        assert not future.done()
        assert farm.asked == 1, "what an autoscaler goes by"
        farm.room = 1
        assert future.result(timeout=60) == 0


@pytest.mark.parametrize("most", [0, 3])
def test_nodes_that_join_work_as_long_as_there_is_work(most: int) -> None:
    farm = Farm()
    farm.room = 1
    with elastic_pool(farm, [], most=most) as pool:
        assert pool.submit("fit", 0).result(timeout=60) == 0
        assert farm.asked == 1, "no more than there are calls"
        futures = [pool.submit("fit", number) for number in range(500)]
        farm.room = 8
        seen = {future.result(timeout=60) for future in futures}
    assert seen == set(range(most or 8))


def test_a_pool_that_is_to_have_fewer_workers_ends_what_they_have_in_hand() -> None:
    farm, told = Farm(), list[str]()
    farm.room = 8
    with elastic_pool(farm, told) as pool:
        futures = [pool.submit("fit", number) for number in range(600)]
        while pool.load()[0] < 8:
            time.sleep(0.01)
        pool.hold_to(2, first={f"n{number}" for number in range(6)})
        while pool.load()[0] > 2:
            time.sleep(0.01)
        assert set(pool.nodes()) == {"n6", "n7"}, "others wait for the first six"
        assert pool.load()[1] > 0, "there is work left"
        pool.hold_to(0)
        while pool.load()[0]:
            time.sleep(0.01)
        time.sleep(0.1)
        done = sum(future.done() for future in futures)
        time.sleep(0.1)
        assert sum(future.done() for future in futures) == done < 600
        farm.room = 100
        pool.hold_to(5)
        assert len([future.result(timeout=60) for future in futures]) == 600


class Leaving(Farm):
    """Actors with one call in hand; one that is told to leave gives the others back."""

    def __init__(self) -> None:
        super().__init__()
        self.leaving: set[int] = set()
        self.began: list[Any] = []
        self._hands = [Lock() for _ in range(8)]

    def call(self, actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        with self._hands[actor]:
            if actor in self.leaving:
                return Answer(error=GivenBack("the worker leaves"))
            self.began.append(payload)
            time.sleep(0.05)
            return Answer(result=payload)

    def send(self, actor: Any, method: str, payload: Any) -> None:
        if method == "leave":
            self.leaving.add(actor)


def test_a_share_gives_no_more_workers_than_were_asked_for() -> None:
    farm = Farm()
    farm.room = 8
    with elastic_pool(farm, [], most=2) as pool:
        pool.hold_to(8)
        futures = [pool.submit("fit", number) for number in range(200)]
        assert {future.result(timeout=60) for future in futures} <= {0, 1}


def test_what_a_worker_gives_back_is_made_once_by_others_and_in_its_order() -> None:
    farm, told = Leaving(), list[str]()
    farm.room = 4
    with elastic_pool(farm, told) as pool:
        futures = [pool.submit("fit", number, group="a") for number in range(100)]
        while pool.load()[0] < 4:
            time.sleep(0.01)
        pool.hold_to(1)
        assert [future.result(timeout=60) for future in futures] == list(range(100))
    assert len(farm.leaving) == 3
    assert sorted(farm.began) == list(range(100)), "each is begun once"
    assert told == [], "nothing has failed"


def test_a_pool_leaves_a_node_that_is_out_and_starts_no_worker_there() -> None:
    farm = Farm()
    farm.room = 4
    farm.place = lambda number: ActorLocation(node=f"n{number % 2}", host="h", pid=number)  # type: ignore[method-assign]
    made: list[int] = []

    def call(actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        time.sleep(0.02)
        made.append(actor)
        return Answer(result=actor)

    farm.call = call  # type: ignore[method-assign]
    asked: list[frozenset[str]] = []
    start = farm.start

    def noting(spec: PoolSpec, count: int, *, concurrency: int) -> list[Any]:
        asked.append(spec.avoid)
        return start(spec, count, concurrency=concurrency)

    farm.start = noting  # type: ignore[method-assign]
    with elastic_pool(farm, [], most=4) as pool:
        futures = [pool.submit("fit", number) for number in range(300)]
        while pool.workers_on()["n1"] < 2:
            time.sleep(0.01)
        pool.avoid(frozenset({"n1"}))
        while pool.workers_on()["n1"]:
            time.sleep(0.01)
        made.clear()
        farm.room = 100
        assert len([future.result(timeout=60) for future in futures]) == 300, "no chunk is lost"
        assert made
        assert all(actor % 2 == 0 for actor in made)
        assert asked[-1] == {"n1"}, "what Ray is told"
        pool.avoid(frozenset())
        pool.hold_to(0)
        while pool.load()[0]:
            time.sleep(0.01)
        pool.hold_to(4)
        futures = [pool.submit("fit", number) for number in range(300)]
        while not pool.workers_on()["n1"]:
            time.sleep(0.01)


def test_a_farm_that_loses_every_node_waits_for_others() -> None:
    farm = Farm()
    farm.room = 2
    cluster = Cluster(address="x", local=False, nodes=())
    spec = PoolSpec(
        handler=HANDLER, config=None, workers=2, elastic=True, start_timeout_s=0.05, **QUICK
    )

    def lose(actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
        if actor < 2:
            farm.room = 0
            raise CallFailed(Kind.LOST, "the node died")
        return Answer(result=actor)

    farm.call = lose  # type: ignore[method-assign]
    farm.place = lambda number: ActorLocation(node=f"n{number}", host="h", pid=number)  # type: ignore[method-assign]
    with Pool(spec, cluster, actors=farm) as pool:
        future = pool.submit("fit", 0)
        while farm.asked < 3:
            time.sleep(0.01)
        farm.room = 10
        assert future.result(timeout=60) >= 2


def instant_pool(workers: int, **options: Any) -> Pool:
    cluster = Cluster(address="x", local=True, nodes=(Node(cpus=workers),))
    spec = PoolSpec(handler=HANDLER, config=None, workers=workers)
    return Pool(spec, cluster, actors=Instant(), **options)


def test_a_call_that_waits_for_another_try_can_be_cancelled_too() -> None:
    retried = Event()
    with instant_pool(1, tell=lambda _: retried.set()) as pool:
        future = pool.submit("fail", None, group="sh010")
        assert retried.wait(timeout=60)
        pool.cancel(group="sh010")
        assert isinstance(future.exception(timeout=60), ClusterError)


def test_a_process_that_was_ended_gets_no_call_while_it_dies() -> None:
    class Slow(Instant):
        """Its process hangs, is ended, and answers still for a while."""

        def __init__(self) -> None:
            self.pid, self.asked = 1, list[int]()
            self.ends = 0

        def wait(self, actors: Sequence[Any], spec: PoolSpec) -> Started:
            return Started(located={0: ActorLocation(node="A", host="a", pid=1)}, refused={})

        def locate(self, actor: Any, *, timeout_s: float) -> Any:
            self.ends += 1
            return ActorLocation(node="A", host="a", pid=1 if self.ends < 5 else 2)

        def call(self, actor: Any, method: str, payload: Any, *, timeout_s: float) -> Answer:
            self.asked.append(1 if self.ends < 5 else 2)
            if self.asked[-1] == 1:
                raise CallFailed(Kind.TIMEOUT, "took too long")
            return Answer(result=payload)

    slow = Slow()
    cluster = Cluster(address="x", local=True, nodes=(Node(cpus=1),))
    spec = PoolSpec(handler=HANDLER, config=None, workers=1, **QUICK)
    with Pool(spec, cluster, actors=slow) as pool:
        assert pool.submit("fit", 7).result(timeout=60) == 7
    assert slow.asked == [1, 2]


def test_whatever_goes_wrong_on_the_way_a_future_is_settled() -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("nobody thought of this")

    with instant_pool(1) as pool:
        assert "nobody thought" in str(pool.submit("break", 2).exception(timeout=60))
        assert pool.submit("fit", 1, finish=broken).exception(timeout=60)


def test_a_call_costs_the_driver_no_more_where_many_workers_are_idle() -> None:
    def cpu_s(workers: int) -> float:
        with instant_pool(workers) as pool:
            tries = []
            for _ in range(5):
                began = time.process_time()
                for number in range(100):
                    assert pool.submit("fit", number).result(timeout=60) == number
                tries.append(time.process_time() - began)
        return min(tries)

    assert cpu_s(128) < 4 * cpu_s(2)


def test_a_thread_that_cannot_be_started_fails_its_call_alone() -> None:
    def refused(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with instant_pool(1) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Thread, "start", refused)
            future = pool.submit("fit", 1)
        assert "ulimit -u" in str(future.exception(timeout=60))
        assert pool.submit("fit", 2).result(timeout=60) == 2


def test_many_more_calls_than_workers_all_come_back() -> None:
    with instant_pool(7) as pool:
        futures = [pool.submit("fit", n, group=str(n % 13), rank=n % 5) for n in range(2_000)]
        assert [future.result(timeout=60) for future in futures] == list(range(2_000))
