"""Sources in S3 are fetched once per content, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from cluster.errors import InputError, StoreError
from cluster.settings import Settings
from tasks.decode.fetch import local_source
from tests.servers.faults import Fault, faulty_proxy


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def using(endpoint: str) -> Settings:
    return Settings(
        s3_endpoint=endpoint,
        s3_access_key=SecretStr("any"),
        s3_secret_key=SecretStr("any"),
        s3_attempts=2,
        s3_timeout_s=5,
    )


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Any:
    resource = boto3.resource(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="any", aws_secret_access_key="any",
    )  # fmt: skip
    name = f"b{abs(hash(request.node.name))}"
    return resource.create_bucket(Bucket=name)


def test_local_path_is_itself(tmp_path: Path) -> None:
    assert local_source("some/film.mkv", cache=tmp_path) == Path("some/film.mkv")
    assert local_source("file:///a%20b/film.mkv", cache=tmp_path) == Path("/a b/film.mkv")


@pytest.mark.parametrize("key", ["in/ep 01.mkv", ".hidden//of another\\tool.mkv"])
def test_object_is_fetched_once(key: str, bucket: Any, using: Settings, tmp_path: Path) -> None:
    bucket.put_object(Key=key, Body=b"film" * 1000)
    url = f"s3://{bucket.name}/{key}"
    with faulty_proxy(using.s3_endpoint, lambda method, count: "none") as proxy:
        seen = using.model_copy(update={"s3_endpoint": proxy.endpoint})
        path = local_source(url, cache=tmp_path, using=seen)
        assert (path.name, path.read_bytes()) == (key.rpartition("/")[2], b"film" * 1000)
        assert local_source(url, cache=tmp_path, using=seen) == path
        assert proxy.seen == {"HEAD": 2, "GET": 1}
        path.write_bytes(b"mlif" * 1000)
        assert local_source(url, cache=tmp_path, using=seen).read_bytes() == b"film" * 1000
        assert proxy.seen["GET"] == 2, "what somebody wrote to is fetched again"


def test_changed_object_is_another_file(bucket: Any, using: Settings, tmp_path: Path) -> None:
    url = f"s3://{bucket.name}/film.mkv"
    bucket.put_object(Key="film.mkv", Body=b"one")
    first = local_source(url, cache=tmp_path, using=using)
    bucket.put_object(Key="film.mkv", Body=b"two")
    second = local_source(url, cache=tmp_path, using=using)
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_prefix_is_a_folder_of_frames(bucket: Any, using: Settings, tmp_path: Path) -> None:
    for number in range(3):
        bucket.put_object(Key=f"shot/f_{number}.png", Body=bytes([number]))
    bucket.put_object(Key="shot/deeper/f_9.png", Body=b"no")
    folder = local_source(f"s3://{bucket.name}/shot/", cache=tmp_path, using=using)
    assert sorted(file.name for file in folder.iterdir()) == ["f_0.png", "f_1.png", "f_2.png"]
    with pytest.raises(InputError, match="no objects under this prefix"):
        local_source(f"s3://{bucket.name}/none/", cache=tmp_path, using=using)


def test_damaged_body_is_refused_and_leaves_nothing(
    bucket: Any, using: Settings, tmp_path: Path
) -> None:
    bucket.put_object(Key="film.mkv", Body=b"film")
    with faulty_proxy(using.s3_endpoint, lambda method, count: "flip bit") as proxy:
        seen = using.model_copy(update={"s3_endpoint": proxy.endpoint})
        with pytest.raises(StoreError, match="changed in transit"):
            local_source(f"s3://{bucket.name}/film.mkv", cache=tmp_path, using=seen)
        assert proxy.seen["GET"] == using.s3_attempts
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_object_that_is_written_meanwhile_is_refused(
    bucket: Any, using: Settings, tmp_path: Path
) -> None:
    """The copy is named by the ETag that was listed, and must have it."""
    bucket.put_object(Key="film.mkv", Body=b"one")

    def write_before_get(method: str, count: int) -> Fault:
        if method == "GET":
            bucket.put_object(Key="film.mkv", Body=b"two")
        return "none"

    with faulty_proxy(using.s3_endpoint, write_before_get) as proxy:
        seen = using.model_copy(update={"s3_endpoint": proxy.endpoint})
        with pytest.raises(StoreError, match="changed since it was listed"):
            local_source(f"s3://{bucket.name}/film.mkv", cache=tmp_path, using=seen)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_cache_that_cannot_be_written(bucket: Any, using: Settings, tmp_path: Path) -> None:
    bucket.put_object(Key="film.mkv", Body=b"film")
    (tmp_path / "sources").touch()
    with pytest.raises(InputError, match=r"cannot be kept in the cache: .*DOUGA_HOME"):
        local_source(f"s3://{bucket.name}/film.mkv", cache=tmp_path, using=using)


def test_object_that_is_not_there(bucket: Any, using: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such object"):
        local_source(f"s3://{bucket.name}/none.mkv", cache=tmp_path, using=using)


def test_service_that_is_away(using: Settings, tmp_path: Path) -> None:
    away = using.model_copy(update={"s3_endpoint": "http://127.0.0.1:9", "s3_attempts": 1})
    with pytest.raises(StoreError, match="does not answer"):
        local_source("s3://bucket/film.mkv", cache=tmp_path, using=away)


@pytest.mark.parametrize("url", ["https://host/film.mkv", "s3://bucket", "s3://bucket/"])
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a path, s3://"):
        local_source(url, cache=tmp_path)
