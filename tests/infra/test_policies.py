"""The key of each role may do what the role does, and nothing beyond: policies held to the letter.

A client of the tests refuses every request that its policy does not allow, as a service would: also
the look at an object that is not there, which S3 answers with 404 to those alone who may list.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cluster.errors import StoreError
from cluster.node.records import come_back, leave, name_of, nodes_out, order, read_out, take_back
from cluster.settings import settings
from cluster.store.open import open_store
from cluster.store.s3 import S3Store
from flows.damage.check import check_store
from flows.farm.shares import member
from flows.gc.sweep import collect
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.render import render
from flows.review.gate import decide, review_document
from flows.runs.result import EpisodeResult
from flows.runs.status import runs_document
from flows.spec.request import RenderRequest, make_request
from flows.verify.check import check_document, remove_objects
from tasks.models.device import Device
from tasks.worker.item import SegmentItem, WorkItem
from tasks.worker.node import THE_RUNS, store_seen
from tasks.worker.worker import Worker, WorkerConfig

POLICIES = Path(__file__).parents[2] / "infra" / "policies"
ROLES = ("worker", "coordinator", "viewer", "gc")
STRICT = "aws/worker"
"""A worker's policy for a service that knows conditions of puts."""
BUCKET, PREFIX = "studio", "ep01"
Rendered = Callable[[RenderRequest], EpisodeResult]
ACTIONS = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListParts": "s3:ListMultipartUploadParts",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
}


def policy(role: str) -> list[dict[str, Any]]:
    """A role's statements, for the bucket and prefix of these tests."""
    text = (POLICIES / f"{role}.json").read_text()
    document = json.loads(text.replace("BUCKET", BUCKET).replace("PREFIX", PREFIX))
    statements: list[dict[str, Any]] = document["Statement"]
    return statements


def allows(
    statements: list[dict[str, Any]],
    action: str,
    *,
    key: str = "",
    look: str = "",
    if_absent: bool = False,
    makes: bool = True,
) -> bool:
    """Whether a policy allows an action on an object, or on the bucket with a prefix to list;
    `if_absent` is a condition of a put, `makes` whether an object is made by it."""
    resource = f"arn:aws:s3:::{BUCKET}" + (f"/{key}" if key else "")
    for statement in statements:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        condition = statement.get("Condition", {})
        assert set(condition) <= {"StringLikeIfExists", "Null", "Bool"}
        prefixes = condition.get("StringLikeIfExists", {}).get("s3:prefix", [])
        absent = condition.get("Null", {}).get("s3:if-none-match")
        made = condition.get("Bool", {}).get("s3:ObjectCreationOperation")
        if (
            statement["Effect"] == "Allow"
            and action in statement["Action"]
            and any(fnmatch.fnmatchcase(resource, each) for each in statement["Resource"])
            and (not look or not prefixes or any(fnmatch.fnmatchcase(look, p) for p in prefixes))
            and (absent is None or absent == ("false" if if_absent else "true"))
            and (made is None or made == ("true" if makes else "false"))
        ):
            return True
    return False


def guard(client: Any, role: str) -> Any:
    """A client that may do what a role may."""
    statements = policy(role)

    def check(params: dict[str, Any], model: Any, **_: Any) -> None:
        name = model.name
        assert params["Bucket"] == BUCKET
        asked = allows(
            statements,
            ACTIONS[name],
            key=params.get("Key", ""),
            look=params.get("Prefix", ""),
            if_absent=params.get("IfNoneMatch") == "*",
            makes=name not in ("CreateMultipartUpload", "UploadPart"),
        )
        if name in ("HeadObject", "GetObject"):
            asked = asked and allows(statements, "s3:ListBucket")
        if not asked:
            about = {"Code": "AccessDenied", "Message": f"{role}: {name} {params.get('Key')}"}
            raise ClientError({"Error": about}, name)

    client.meta.events.register("provide-client-params.s3", check)
    return client


class Farm:
    """One worker in this process, with a worker's key."""

    quarantined: tuple[str, ...] = ()
    workers = 1

    def __init__(self, store: str, cache: Path, client: Any) -> None:
        config = WorkerConfig(store_url=store, cache=str(cache), device=Device())
        in_bucket = S3Store(store)
        in_bucket.client = client
        self._worker = Worker(config, store=in_bucket)
        self._threads = ThreadPoolExecutor(1)

    def make_chunk(self, item: WorkItem, _: object, **__: object) -> Future[Any]:
        return self._threads.submit(self._worker.make_chunk, item)

    def make_segment(self, item: SegmentItem, **_: object) -> Future[Any]:
        return self._threads.submit(self._worker.make_segment, item)

    def cancel(self, *_: object) -> None:
        """Nothing waits."""

    def close(self) -> None:
        self._threads.shutdown()


@pytest.fixture
def as_role(moto: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes every store that is opened from now on one with a role's key."""
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    moto.bucket(BUCKET)
    for item in moto.client().list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        moto.client().delete_object(Bucket=BUCKET, Key=item["Key"])
    from cluster.store import s3
    from cluster.store.s3_client import make_client

    def become(role: str) -> None:
        monkeypatch.setattr(s3, "make_client", lambda s: guard(make_client(s), role))

    yield become
    settings.cache_clear()


@pytest.fixture
def rendered(
    as_role: Callable[[str], None], moto: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> Rendered:
    """Renders on a farm elsewhere, whose workers have the rights of workers, or of the role that
    the test is given."""
    from cluster.store.s3_client import make_client

    client = guard(make_client(settings()), getattr(request, "param", "worker"))

    @contextmanager
    def open_farm(request: RenderRequest, *_: object) -> Iterator[Any]:
        farm = Farm(request.store, tmp_path / "cache", client)
        yield farm
        farm.close()

    return lambda request: render(request, Silent(), farm=open_farm, check=lambda _: None)


@pytest.fixture
def episode(
    rendered: Rendered, as_role: Callable[[str], None], tiny_film: Path, tmp_path: Path
) -> RenderRequest:
    """An episode that a coordinator renders: sources and assets are put too."""
    path = tmp_path / "ep.yaml"
    store = f"s3://{BUCKET}/{PREFIX}"
    path.write_text(f"source: {tiny_film}\ncut: [24]\nrecipe: [hold]\nstore: {store}\n")
    as_role("coordinator")
    return make_request(str(path), output=str(tmp_path / "ep.mkv"), ray="elsewhere:6379")


@pytest.mark.parametrize("rendered", ["worker", STRICT], indirect=True)
def test_a_coordinator_and_a_worker_make_a_film_together(
    episode: RenderRequest, rendered: Rendered
) -> None:
    result = rendered(episode)
    assert result.verified
    assert result.chunks_computed > 0
    prepared = prepare(episode, Silent())
    decide(prepared, [], "approved")


def test_a_worker_sees_whether_the_store_is_the_runs(as_role: Callable[[str], None]) -> None:
    as_role("coordinator")
    url, pin = f"s3://{BUCKET}/{PREFIX}", "pins/run/names.json"
    open_store(url).put(pin, b"{}")
    as_role("worker")
    assert store_seen(open_store(url), pin) == THE_RUNS
    assert store_seen(open_store(url), "pins/another/names.json") != THE_RUNS


def test_coordinators_share_a_farm(
    as_role: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUGA_FARM", f"s3://{BUCKET}/{PREFIX}")
    as_role("coordinator")
    settings.cache_clear()
    with (
        member("one", "ep07", pool="cpu", size=1, wants=8) as one,
        member("two", "ep08", pool="cpu", size=1, wants=8) as two,
    ):
        assert one is not None
        assert two is not None
        assert one.share(8, wants=20, holds=8, seconds=5) == 4
        assert two.share(8, wants=20, holds=0, seconds=5) == 4


def test_a_node_tells_of_itself_and_a_coordinator_takes_it_out(
    as_role: Callable[[str], None],
) -> None:
    farm = f"s3://{BUCKET}/{PREFIX}"
    as_role("coordinator")
    order(open_store(farm), "ws3", "sleep", why="the weekend")
    for role in ("worker", STRICT):
        as_role(role)
        store = open_store(farm)
        for _ in range(2):
            store.put(name_of("ws3", "here"), b"{}")
            leave(store, "ws3", why="its owner is there")
        assert read_out(store, nodes_out(store, "ws3")["ws3"]).why == "the weekend"
        come_back(store, "ws3")
        with pytest.raises(StoreError, match="refused the key"):
            take_back(store, "ws3")
    as_role("coordinator")
    assert take_back(open_store(farm), "ws3")


def test_a_viewer_sees_all_and_changes_nothing(
    episode: RenderRequest, rendered: Rendered, as_role: Callable[[str], None]
) -> None:
    rendered(episode)
    as_role("viewer")
    prepared = prepare(episode, Silent())
    assert not any(prepared.plan.todo(shot) for shot in prepared.plan.shots)
    assert runs_document(episode.store)
    assert review_document(prepared)["shots"]
    with pytest.raises(StoreError, match="refused the key"):
        decide(prepared, ["sh010"], "retake", note="not mine to say")


@pytest.mark.parametrize(
    "place",
    ["begun", "failures", "jobs", "ledger", "nightaccepts", "nightframes", "nights", "pieces"],
)
def test_a_coordinator_keeps_the_records_of_runs_and_nights(
    place: str, episode: RenderRequest
) -> None:
    store = open_store(episode.store)
    store.put(f"{place}/ep/a.json", b"{}")
    assert store.get(f"{place}/ep/a.json") == b"{}"


def test_a_stolen_worker_key_rewrites_no_stored_frame(
    as_role: Callable[[str], None], tmp_path: Path
) -> None:
    as_role(STRICT)
    store = S3Store(f"s3://{BUCKET}/{PREFIX}", part_bytes=5 << 20)
    large, name = tmp_path / "large", f"segments/aa/{'a' * 40}.mkv"
    for data in (b"1" * (6 << 20), b"2" * (6 << 20)):
        large.write_bytes(data)
        store.put_file(name, large, if_absent=True)
    assert store.get(name)[:1] == b"1"
    with pytest.raises(StoreError, match="refused the key"):
        store.put_file(name, large)
    frames = f"frames/aa/{'a' * 40}.arrow"
    kept = store.put(frames, b"made", if_absent=True)
    assert store.put(frames, b"forged", if_absent=True) == kept
    with pytest.raises(StoreError, match="refused the key"):
        store.put(frames, b"forged")


def test_whoever_repairs_has_the_key_of_gc(
    episode: RenderRequest, rendered: Rendered, as_role: Callable[[str], None], moto: Any
) -> None:
    rendered(episode)
    (damaged, *_) = (each.name for each in open_store(episode.store).list("frames/"))
    moto.client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/{damaged}", Body=b"flipped")
    as_role("gc")
    prepared = prepare(episode, Silent())
    document = check_document(prepared, Path(episode.output), Silent())
    assert damaged in document["objects"]
    remove_objects(prepared, document["objects"])
    assert not open_store(episode.store).has([damaged])
    moto.client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/{damaged}", Body=b"flipped")
    (mended,) = check_store(episode.store, Silent(), repair=True)["damaged"]
    assert mended["mended"], mended


@pytest.mark.parametrize(
    "name",
    ["runs/a.json", "nights/ep/a.json", "jobs/a.json", "failures/a.json", "ledger/a/a.parquet"],
)
def test_what_no_role_may_remove_stays_whole_and_says_which_key_may(
    name: str, as_role: Callable[[str], None], moto: Any
) -> None:
    as_role("coordinator")
    store = open_store(f"s3://{BUCKET}/{PREFIX}")
    store.put(name, b"{}")
    moto.client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", Body=b"flipped")
    as_role("gc")
    (damage,) = check_store(store.url, Silent(), repair=True)["damaged"]
    assert (damage["name"], damage["mended"]) == (name, False)
    assert "the bucket owner's" in damage["done"]
    assert [each.name for each in store.list()] == [name], "and no copy of it"


def test_gc_removes_what_it_may(
    episode: RenderRequest,
    rendered: Rendered,
    as_role: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered(episode.model_copy(update={"frames": "sh010:3"}))
    (pieces,) = (found.name for found in open_store(episode.store).list("pieces/"))
    rendered(episode)
    monkeypatch.setenv("DOUGA_GC_GRACE_H", "0")
    settings.cache_clear()
    as_role("worker")
    stray = f"frames/aa/{'a' * 40}.arrow"
    open_store(episode.store).put(stray, b"of nobody")
    as_role("gc")
    document = collect(episode.store, Silent(), keep_days=None, dry_run=False)
    assert document
    assert not open_store(episode.store).has([stray, pieces])


def test_a_damaged_chunk_is_named_by_a_render_and_set_aside_with_the_key_of_gc(
    episode: RenderRequest, rendered: Rendered, as_role: Callable[[str], None], moto: Any
) -> None:
    rendered(episode)
    segment = next(found.name for found in open_store(episode.store).list("segments/"))
    head = moto.client().head_object(Bucket=BUCKET, Key=f"{PREFIX}/{segment}")
    moto.client().put_object(
        Bucket=BUCKET, Key=f"{PREFIX}/{segment}", Body=b"rotten", Metadata=head["Metadata"]
    )
    Path(episode.output).unlink()
    with pytest.raises(StoreError, match=f"{segment}.*douga store check .* --repair"):
        rendered(episode)
    as_role("gc")
    assert check_store(episode.store, Silent(), repair=True)["good"]
    as_role("coordinator")
    assert rendered(episode).verified


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("worker", "films/ep01/a.json"),
        ("worker", "shots/ep01/sh010/a.json"),
        ("worker", "reviews/ep01/decisions/sh010/a.json"),
        ("worker", "sources/aa/aa"),
        ("coordinator", "frames/aa/a.arrow"),
        ("viewer", "reviews/ep01/decisions/sh010/a.json"),
        ("viewer", "probe/a"),
        ("gc", "frames/aa/a.arrow"),
        ("gc", "films/ep01/a.json"),
    ],
)
def test_nobody_writes_what_is_another_s(
    role: str, name: str, as_role: Callable[[str], None]
) -> None:
    as_role(role)
    with pytest.raises(StoreError, match="refused the key"):
        open_store(f"s3://{BUCKET}/{PREFIX}").put(name, b"mine")


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("worker", "frames/aa/a.arrow"),
        ("coordinator", "frames/aa/a.arrow"),
        ("coordinator", "reviews/ep01/decisions/sh010/a.json"),
        ("viewer", "probe/a"),
        ("gc", "reviews/ep01/decisions/sh010/a.json"),
        ("gc", "ledger/run/a.parquet"),
    ],
)
def test_nobody_removes_what_must_stay(
    role: str, name: str, as_role: Callable[[str], None]
) -> None:
    as_role(role)
    with pytest.raises(StoreError, match="refused the key"):
        open_store(f"s3://{BUCKET}/{PREFIX}").delete(name)


@pytest.mark.parametrize("role", [*ROLES, STRICT])
def test_no_key_reaches_beyond_its_prefix(role: str, as_role: Callable[[str], None]) -> None:
    as_role(role)
    beyond: S3Store = open_store(f"s3://{BUCKET}/another")  # type: ignore[assignment]
    for doing in (
        lambda: beyond.get("frames/aa/a.arrow"),
        lambda: beyond.put("frames/aa/a.arrow", b"mine"),
        lambda: beyond.delete("frames/aa/a.arrow"),
        lambda: list(beyond.list()),
    ):
        with pytest.raises(StoreError, match="refused the key"):
            doing()


def test_there_is_a_policy_per_role_and_none_grants_more_than_is_known() -> None:
    assert {path.stem for path in POLICIES.glob("*.json")} == set(ROLES)
    for role in ROLES:
        for statement in policy(role):
            assert set(statement["Action"]) <= set(ACTIONS.values()), role
            assert not any(
                each in ("*", f"arn:aws:s3:::{BUCKET}/*") for each in statement["Resource"]
            )
