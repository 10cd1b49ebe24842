"""What every store promises: on a folder, on moto, and on a real S3 server (OpenStack Swift)."""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.errors import DigestError, StoreError, UsageError
from cluster.settings import settings
from cluster.store.base import NoDigest, NotStored, Store
from cluster.store.open import open_store
from cluster.store.s3 import S3Store
from tests.servers.swift import S3Server

NAME = "frames/ab/abcdef.arrow"
DATA = bytes(range(256)) * 40
ESCAPES = (
    *("", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "..", ".digests/x", "a/.hidden"),
    *("a\\b", "a\nb", "a\0b", "x" * 181, "/".join(["abcdefghi"] * 90)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A store, and ways to reach behind its back."""

    store: Store
    tamper: Callable[[str, Callable[[bytes], bytes]], None]
    """Change an object's bytes and leave everything else about it."""
    begin: Callable[[str], None]
    """Begin to put an object, 10 bytes of it, and never end."""
    touched: Callable[[str], object]
    """What changes whenever an object is put again, even with the same bytes."""


def use_server(patch: pytest.MonkeyPatch, server: S3Server) -> None:
    """Settings that point to a server, for this test."""
    for name, value in server.environment().items():
        patch.setenv(name, value)
    patch.setenv("DOUGA_S3_ATTEMPTS", "3")
    settings.cache_clear()


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith(("DOUGA_", "AWS_"))]:
        monkeypatch.delenv(name)
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture(params=["folder", "moto", "swift"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    if request.param == "folder":
        root = tmp_path / "a store, 動画"

        def tamper_file(name: str, change: Callable[[bytes], bytes]) -> None:
            (root / name).write_bytes(change((root / name).read_bytes()))

        def begin_file(name: str) -> None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).with_name(".0123456789abcdef.partial").write_bytes(DATA[:10])

        def file_touched(name: str) -> object:
            status = (root / name).stat()
            return status.st_ino, status.st_mtime_ns

        return Bench(
            store=open_store(root.as_uri()),
            tamper=tamper_file,
            begin=begin_file,
            touched=file_touched,
        )

    server: S3Server = request.getfixturevalue(request.param)
    use_server(monkeypatch, server)
    bucket, prefix = server.bucket(), f"some/{secrets.token_hex(6)}"
    client = server.client()

    def tamper_object(name: str, change: Callable[[bytes], bytes]) -> None:
        key = f"{prefix}/{name}"
        old = client.get_object(Bucket=bucket, Key=key)
        client.put_object(
            Bucket=bucket, Key=key, Body=change(old["Body"].read()), Metadata=old["Metadata"]
        )

    def begin_upload(name: str) -> None:
        place = {"Bucket": bucket, "Key": f"{prefix}/{name}"}
        upload = client.create_multipart_upload(**place)["UploadId"]
        client.upload_part(**place, UploadId=upload, PartNumber=1, Body=DATA[:10])

    def object_touched(name: str) -> object:
        head = client.head_object(Bucket=bucket, Key=f"{prefix}/{name}")
        return (
            head["ETag"],
            head["LastModified"],
            head["ResponseMetadata"]["HTTPHeaders"].get("x-timestamp"),
        )

    return Bench(
        store=open_store(f"s3://{bucket}/{prefix}/"),
        tamper=tamper_object,
        begin=begin_upload,
        touched=object_touched,
    )


@pytest.fixture
def store(bench: Bench) -> Store:
    return bench.store


def flip_last_bit(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_bytes_come_back_as_they_were_put(store: Store) -> None:
    digest = store.put(NAME, memoryview(DATA))
    assert digest == hashlib.sha256(DATA).hexdigest()
    assert store.get(NAME) == DATA
    assert store.size(NAME) == len(DATA)


def test_empty_object_is_an_object(store: Store) -> None:
    store.put(NAME, b"")
    assert store.get(NAME) == b""
    assert store.size(NAME) == 0
    assert store.has([NAME]) == {NAME}


def test_file_comes_back_as_it_was_put(store: Store, tmp_path: Path) -> None:
    source, target = tmp_path / "film.mkv", tmp_path / "new folder" / "back.mkv"
    source.write_bytes(DATA)
    assert store.put_file("films/ep 01.mkv", source) == hashlib.sha256(DATA).hexdigest()
    store.get_file("films/ep 01.mkv", target)
    assert target.read_bytes() == DATA
    assert store.get("films/ep 01.mkv") == DATA


def test_put_file_says_which_source_cannot_be_read(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"none\.mkv: cannot be read: no such file") as caught:
        store.put_file(NAME, tmp_path / "none.mkv")
    assert type(caught.value).__name__ == "InputError"
    assert not store.has([NAME])


def test_putting_the_same_twice_and_at_once_is_harmless(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(lambda _: store.put(NAME, DATA), range(12)))
    assert digests == {hashlib.sha256(DATA).hexdigest()}
    assert store.get(NAME) == DATA
    assert [item.name for item in store.list()] == [NAME]


def test_put_replaces_what_was_there(store: Store) -> None:
    store.put(NAME, DATA)
    store.put(NAME, b"new")
    assert store.get(NAME) == b"new"


def test_if_absent_keeps_what_was_there_and_names_it(store: Store) -> None:
    first = store.put(NAME, b"first", if_absent=True)
    second = store.put(NAME, b"second", if_absent=True)
    assert first == second == hashlib.sha256(b"first").hexdigest()
    assert store.get(NAME) == b"first"
    assert store.put(NAME, b"first", if_absent=True) == first


def test_a_file_if_absent_keeps_what_was_there_and_names_it(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(b"first")
    (tmp_path / "second").write_bytes(b"second")
    first = bench.store.put_file(NAME, tmp_path / "first", if_absent=True)
    before = bench.touched(NAME)
    time.sleep(1.1)  # S3 tells whole seconds
    assert bench.store.put_file(NAME, tmp_path / "second", if_absent=True) == first
    assert bench.store.put_file(NAME, tmp_path / "first", if_absent=True) == first
    assert bench.store.put(NAME, b"third", if_absent=True) == first
    assert bench.store.get(NAME) == b"first"
    assert bench.touched(NAME) == before


def test_the_same_put_by_many_if_absent_is_there_once(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        told = set(pool.map(lambda _: store.put(NAME, DATA, if_absent=True), range(12)))
    assert told == {hashlib.sha256(DATA).hexdigest()}
    assert store.get(NAME) == DATA


def test_what_a_killed_writer_left_is_no_object_and_can_be_dropped(bench: Bench) -> None:
    bench.store.put(NAME, DATA)
    assert list(bench.store.leftovers()) == []
    bench.begin("frames/ab/begun.arrow")
    assert [item.name for item in bench.store.list()] == [NAME]
    assert not bench.store.has(["frames/ab/begun.arrow"])
    (left,) = bench.store.leftovers()
    assert left.size_bytes == 10
    assert abs(left.modified - datetime.now(UTC)) < timedelta(minutes=5)
    for call in (bench.store.get, bench.store.delete, bench.store.size):
        with pytest.raises(UsageError, match="not a name for the store"):
            call(left.name)
    bench.store.drop_leftover(left.name)
    bench.store.drop_leftover(left.name)
    assert list(bench.store.leftovers()) == []
    assert bench.store.get(NAME) == DATA


def test_only_leftovers_are_dropped_as_such(store: Store) -> None:
    store.put(NAME, DATA)
    for name in (NAME, f".digests/{NAME}.{hashlib.sha256(DATA).hexdigest()}", "../x.partial"):
        with suppress(StoreError):  # S3 refuses an upload of no name
            store.drop_leftover(name)
    assert store.get(NAME) == DATA


def test_range_is_exact(store: Store) -> None:
    store.put(NAME, DATA)
    assert store.get_range(NAME, start=0, length=10) == DATA[:10]
    assert store.get_range(NAME, start=1000, length=300) == DATA[1000:1300]
    assert store.get_range(NAME, start=len(DATA) - 3, length=3) == DATA[-3:]
    assert store.get_range(NAME, start=5, length=0) == b""


@pytest.mark.parametrize("start", [len(DATA) - 5, len(DATA) + 5])
def test_range_past_the_end_is_an_error(store: Store, start: int) -> None:
    store.put(NAME, DATA)
    with pytest.raises(DigestError, match="cut short"):
        store.get_range(NAME, start=start, length=10)


def test_missing_object_is_not_stored(store: Store, tmp_path: Path) -> None:
    store.put(NAME, DATA)
    for name in ("frames/ab/other.arrow", "frames/ab", f"{NAME}/below"):
        with pytest.raises(NotStored, match=f"{name}.*no such object"):
            store.get(name)
        with pytest.raises(NotStored):
            store.get_range(name, start=0, length=1)
        with pytest.raises(NotStored):
            store.size(name)
        with pytest.raises(NotStored):
            store.get_file(name, tmp_path / "x")
        store.delete(name)
        assert store.has([name]) == set()
    assert not (tmp_path / "x").exists()
    assert store.get(NAME) == DATA


def test_flipped_bit_is_found_on_every_read(bench: Bench, tmp_path: Path) -> None:
    bench.store.put(NAME, DATA)
    bench.tamper(NAME, flip_last_bit)
    with pytest.raises(DigestError, match=f"{NAME}.*expected digest.*store check"):
        bench.store.get(NAME)
    with pytest.raises(DigestError):
        bench.store.get_file(NAME, tmp_path / "x")
    assert list(tmp_path.glob("**/x")) == []


def test_truncated_object_is_found(bench: Bench, tmp_path: Path) -> None:
    bench.store.put(NAME, DATA)
    bench.tamper(NAME, lambda data: data[:100])
    with pytest.raises(DigestError):
        bench.store.get(NAME)
    with pytest.raises(DigestError):
        bench.store.get_file(NAME, tmp_path / "x")
    with pytest.raises(DigestError):
        bench.store.get_range(NAME, start=90, length=20)


def test_putting_again_heals_a_damaged_object(bench: Bench) -> None:
    bench.store.put(NAME, DATA)
    bench.tamper(NAME, flip_last_bit)
    bench.store.put(NAME, DATA)
    assert bench.store.get(NAME) == DATA


def test_has_answers_for_many_names(store: Store) -> None:
    stored = {f"frames/{i:02x}/{i}.arrow" for i in range(12)}
    for name in stored:
        store.put(name, name.encode())
    asked = [f"frames/{i:02x}/{i}.arrow" for i in range(150)]
    assert store.has(iter(asked)) == stored
    assert store.has([]) == set()
    assert store.has(["frames", "frames/00", "frames/00/0.arrow"]) == {"frames/00/0.arrow"}


def test_list_is_ordered_by_name_under_a_prefix(store: Store) -> None:
    names = ["a/b.c", "a/b/c", "a/b/動画", "a/b0", "a.txt", "b/x", "ab/y"]
    for name in names:
        store.put(name, name.encode())
    assert [item.name for item in store.list()] == sorted(names)
    assert [item.name for item in store.list("a/b")] == ["a/b.c", "a/b/c", "a/b/動画", "a/b0"]
    assert [item.name for item in store.list("a/b/")] == ["a/b/c", "a/b/動画"]
    assert list(store.list("nothing/")) == []
    item = next(store.list("b/"))
    assert item.size_bytes == 3
    assert abs(item.modified - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_store_tells_the_time_that_its_objects_are_dated_by(store: Store) -> None:
    store.put(NAME, DATA)
    before = next(store.list(NAME)).modified
    now = store.now()
    store.put(NAME, DATA[1:])
    after = next(store.list(NAME)).modified
    second = timedelta(seconds=1)  # S3's dates have whole ones
    assert before - second <= now <= after + second
    assert [item.name for item in store.list()] == [NAME]


def test_deleted_object_is_gone_and_may_come_again(store: Store) -> None:
    store.put(NAME, DATA)
    store.delete(NAME)
    store.delete(NAME)
    assert store.has([NAME]) == set()
    with pytest.raises(NotStored):
        store.get(NAME)
    store.put(NAME, b"again")
    assert store.get(NAME) == b"again"


def test_names_that_try_to_escape_are_refused(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    attempts: list[Callable[[str], object]] = [
        lambda name: store.put(name, DATA),
        lambda name: store.put_file(name, source),
        lambda name: store.get(name),
        lambda name: store.get_range(name, start=0, length=1),
        lambda name: store.get_file(name, tmp_path / "x"),
        lambda name: store.has([name]),
        lambda name: store.size(name),
        lambda name: store.delete(name),
    ]
    for name in ESCAPES:
        for attempt in attempts:
            with pytest.raises(UsageError, match="not a name for the store"):
                attempt(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_store_opens_again_from_its_url_and_from_a_pickle(store: Store) -> None:
    store.put(NAME, DATA)
    assert open_store(store.url).get(NAME) == DATA
    again = pickle.loads(pickle.dumps(store))
    assert again.get(NAME) == DATA
    assert again.url == store.url


def test_pickle_and_url_hold_no_secret(store: Store) -> None:
    secret = settings().s3_secret_key.get_secret_value()
    if secret:
        assert secret.encode() not in pickle.dumps(store)
        assert secret not in store.url


def test_probe_passes_and_leaves_nothing(store: Store) -> None:
    store.probe()
    assert list(store.list()) == []


def test_object_put_by_something_else_is_read_only_when_asked(
    bench: Bench, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = bench.store
    if store.url.startswith("file:"):
        path = tmp_path / "a store, 動画" / "sources" / "film.mkv"
        path.parent.mkdir(parents=True)
        path.write_bytes(DATA)
    else:
        server = request.getfixturevalue(request.node.callspec.params["bench"])
        prefix = store.url.removeprefix(f"s3://{server.bucket()}/")
        server.client().put_object(
            Bucket=server.bucket(), Key=f"{prefix}/sources/film.mkv", Body=DATA
        )
    with pytest.raises(DigestError, match=r"not put by douga.*store adopt"):
        store.get_file("sources/film.mkv", tmp_path / "x")
    store.get_file("sources/film.mkv", tmp_path / "x", foreign=True)
    assert (tmp_path / "x").read_bytes() == DATA
    store.put(NAME, DATA)
    bench.tamper(NAME, flip_last_bit)
    with pytest.raises(DigestError):
        store.get_file(NAME, tmp_path / "y", foreign=True)


def test_wrong_secret_is_one_clear_line(swift: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_server(monkeypatch, swift)
    wrong = "a-wrong-secret-a-wrong-secret"
    monkeypatch.setenv("DOUGA_S3_SECRET_KEY", wrong)
    settings.cache_clear()
    store = open_store(f"s3://{swift.bucket()}")
    attempts = [store.probe, lambda: store.get(NAME), lambda: store.has([NAME])]
    for attempt in [*attempts, lambda: list(store.list()), lambda: store.delete(NAME)]:
        with pytest.raises(StoreError) as caught:
            attempt()
        line = str(caught.value)
        assert "refused the key" in line
        assert "DOUGA_S3_SECRET_KEY" in line
        assert "\n" not in line
        assert wrong not in line
        assert not caught.value.retryable


def test_wrong_access_key_is_one_clear_line(
    swift: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_server(monkeypatch, swift)
    monkeypatch.setenv("DOUGA_S3_ACCESS_KEY", "nobody:here")
    settings.cache_clear()
    with pytest.raises(StoreError, match=r"refused the key.*DOUGA_S3_ACCESS_KEY"):
        open_store("s3://any-bucket").probe()


def test_object_without_a_digest_is_read_once_it_is_adopted(
    bench: Bench, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = bench.store
    store.put(NAME, DATA)
    assert store.has_digest(NAME)
    if store.url.startswith("file:"):
        shutil.rmtree(tmp_path / "a store, 動画" / ".digests")
    else:
        server = request.getfixturevalue(request.node.callspec.params["bench"])
        prefix = store.url.removeprefix(f"s3://{server.bucket()}/")
        place = {"Bucket": server.bucket(), "Key": f"{prefix}/{NAME}"}
        server.client().put_object(**place, Body=DATA)
    assert not store.has_digest(NAME)
    with pytest.raises(NoDigest, match="douga store adopt"):
        store.get(NAME)
    store.adopt(NAME)
    assert store.has_digest(NAME)
    assert store.get(NAME) == DATA
    for ask in (store.has_digest, store.adopt):
        with pytest.raises(NotStored):
            ask("frames/ab/nothing.arrow")


@pytest.mark.parametrize("kind", ["moto", "swift"])
def test_missing_bucket_is_named(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_server(monkeypatch, request.getfixturevalue(kind))
    with pytest.raises(StoreError, match=r"no bucket 'not-made-yet'.*s3 mb"):
        open_store("s3://not-made-yet/prefix").probe()


@pytest.mark.parametrize("kind", ["moto", "swift"])
def test_large_file_goes_in_parts_and_comes_back(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server: S3Server = request.getfixturevalue(kind)
    use_server(monkeypatch, server)
    store = S3Store(f"s3://{server.bucket()}/large", part_bytes=5 << 20)
    source = tmp_path / "film.mkv"
    source.write_bytes(secrets.token_bytes(12 << 20))
    digest = store.put_file("films/film.mkv", source)
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()
    store.get_file("films/film.mkv", tmp_path / "back.mkv")
    assert (tmp_path / "back.mkv").read_bytes() == source.read_bytes()
