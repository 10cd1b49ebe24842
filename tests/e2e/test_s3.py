"""A source, a store and nothing else in S3: the same film as from folders, and made only once."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import pytest

from tests.servers.swift import S3Server


@dataclass(frozen=True)
class InBucket:
    """The two renders of a film that lies in a bucket, and the keys there after each."""

    server: S3Server
    film: Path
    first: Any
    keys: set[str]
    second: Any
    keys_after: set[str]


@pytest.fixture(scope="module")
def in_buckets(
    moto: S3Server,
    swift: S3Server,
    douga: Any,
    tiny_film: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, InBucket]:
    """On both servers at once."""

    def render_twice(server: S3Server, folder: Path) -> InBucket:
        server.client().upload_file(str(tiny_film), server.bucket("films"), "in/tiny.mkv")
        words = ("render", "s3://films/in/tiny.mkv", "--store", "s3://films/out/tiny", "--json")
        more = {**server.environment(), "DOUGA_HOME": str(folder / "home"), "DOUGA_WORKERS": "1"}
        seen: list[Any] = []
        for _ in range(2):
            ended = douga(*words, "-o", "tiny.mkv", cwd=folder, **more)
            assert ended.code == 0, ended.err
            seen += [ended, keys(server)]
        return InBucket(server, folder / "tiny.mkv", *seen)

    with ThreadPoolExecutor() as pool:
        servers = {"moto": moto, "swift": swift}
        folders = [tmp_path_factory.mktemp(name) for name in servers]
        return dict(zip(servers, pool.map(render_twice, servers.values(), folders), strict=True))


@pytest.fixture(params=["moto", "swift"])
def in_bucket(request: pytest.FixtureRequest, in_buckets: dict[str, InBucket]) -> InBucket:
    """On each."""
    return in_buckets[request.param]


def keys(server: S3Server) -> set[str]:
    listed = server.client().list_objects_v2(Bucket="films", Prefix="out/")
    return {item["Key"] for item in listed.get("Contents", ())}


def frame_hashes(film: Path) -> list[str]:
    with av.open(str(film)) as file:
        frames = file.decode(video=0)
        return [hashlib.sha256(f.to_ndarray().tobytes()).hexdigest() + str(f.pts) for f in frames]


def test_the_film_equals_the_one_from_folders(in_bucket: InBucket, tiny_render: Any) -> None:
    assert frame_hashes(in_bucket.film) == frame_hashes(tiny_render.film)
    here, there = in_bucket.first.document, tiny_render.ended.document
    for name in ("verified", "frames_in", "frames_out", "chunks_computed"):
        assert here[name] == there[name], name
    assert here["store"] == "s3://films/out/tiny"


def test_everything_lies_under_the_prefix(in_bucket: InBucket) -> None:
    kinds = {key.removeprefix("out/tiny/").partition("/")[0] for key in in_bucket.keys}
    assert {"frames", "segments", "shots", "films", "runs", "ledger", "probes"} <= kinds
    assert "probe" not in kinds, "the object that the store was tried with is gone"


def test_a_second_run_computes_and_stores_nothing(in_bucket: InBucket) -> None:
    document = in_bucket.second.document
    assert (document["chunks_computed"], document["chunks_reused"]) == (0, 2)
    assert "starting workers" not in in_bucket.second.err
    record = f"out/tiny/runs/tiny/{document['run']}.json"
    assert in_bucket.keys_after - in_bucket.keys == {record}
    assert in_bucket.keys <= in_bucket.keys_after


def test_no_key_is_written_down_anywhere(in_bucket: InBucket) -> None:
    if len(in_bucket.server.secret_key) < 16:
        pytest.skip("moto takes any key")
    secret = in_bucket.server.secret_key.encode()
    files = [path for path in in_bucket.film.parent.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret in path.read_bytes()]
    assert secret.decode() not in in_bucket.first.out + in_bucket.first.err


def test_a_wrong_key_is_told_before_anything_starts(
    swift: S3Server, douga: Any, tiny_film: Path, tmp_path: Path
) -> None:
    swift.bucket("films")
    wrong = replace(swift, secret_key="0" * 32)
    for source, store in ((str(tiny_film), "s3://films/x"), ("s3://films/in/tiny.mkv", "store")):
        words = ("render", source, "-o", "film.mkv", "--store", store)
        ended = douga(*words, cwd=tmp_path, **wrong.environment())
        last = ended.err.splitlines()[-1]
        assert ended.code == 1
        assert last.startswith("douga: s3://films/")
        assert "refused the key" in last
        assert "DOUGA_S3_SECRET_KEY" in last
        assert wrong.secret_key not in ended.err
        assert "starting workers" not in ended.err
        assert list(tmp_path.iterdir()) == []
