"""What an S3 store does when answers are lost, bodies break and services are slow or away."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cluster.errors import DigestError, StoreError, UsageError
from cluster.keys import digest_bytes
from cluster.settings import Settings
from cluster.store.s3 import DIGEST_FIELD, PAGE_NAMES, S3Store
from cluster.store.s3_retries import Retries
from tests.servers.faults import Fault, FaultyProxy, Plan, faulty_proxy
from tests.servers.moto_server import moto_server
from tests.servers.swift import S3Server

NAME = "frames/ab/x.arrow"
DATA = bytes(range(256)) * 64
ATTEMPTS = 3


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("DOUGA_", "AWS_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


def settings_for(endpoint: str, **others: object) -> Settings:
    return Settings.model_validate(
        {
            "s3_endpoint": endpoint,
            "s3_access_key": SecretStr("any"),
            "s3_secret_key": SecretStr("any-secret"),
            "s3_attempts": ATTEMPTS,
            "s3_timeout_s": 5,
            **others,
        }
    )


@contextmanager
def store_behind(
    server: S3Server, plan: Plan, *, page_names: int = PAGE_NAMES
) -> Iterator[tuple[S3Store, FaultyProxy]]:
    """A store whose requests pass a faulty proxy; files over 5 MiB go in parts."""
    url = f"s3://{server.bucket()}/{secrets.token_hex(4)}"
    with faulty_proxy(server.endpoint, plan) as proxy:
        retries = Retries(ATTEMPTS, sleep=lambda _: None)
        using = settings_for(proxy.endpoint)
        store = S3Store(
            url, using=using, retries=retries, part_bytes=5 << 20, page_names=page_names
        )
        yield store, proxy


def first(method: str, fault: Fault, *, times: int = 1) -> Plan:
    """The fault for the first requests of a method, then none."""
    return lambda seen, count: fault if seen == method and count < times else "none"


def test_proxy_without_faults_changes_nothing(moto: S3Server) -> None:
    with store_behind(moto, lambda method, count: "none") as (store, proxy):
        store.put(NAME, DATA)
        assert store.get(NAME) == DATA
        assert store.size(NAME) == len(DATA)
        assert proxy.seen == {"PUT": 1, "GET": 1, "HEAD": 1}


READ_FAULTS = ["cut body", "flip bit", "answer 500", "answer 503", "swallow", "reset", "delay"]


@pytest.mark.parametrize("fault", READ_FAULTS)
def test_broken_read_is_repeated(moto: S3Server, fault: Fault, tmp_path: Path) -> None:
    with store_behind(moto, first("GET", fault, times=ATTEMPTS - 1)) as (store, proxy):
        store.put(NAME, DATA)
        assert store.get(NAME) == DATA
        tries = 1 if fault == "delay" else ATTEMPTS
        assert proxy.seen["GET"] == tries
        assert store.retries == tries - 1
    with store_behind(moto, first("GET", fault, times=ATTEMPTS - 1)) as (store, proxy):
        store.put(NAME, DATA)
        store.get_file(NAME, tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == DATA
        assert proxy.seen["GET"] == tries


def test_listing_that_cannot_be_read_is_asked_for_again(moto: S3Server) -> None:
    for fault in ("flip bit", "cut body"):
        with store_behind(moto, first("GET", fault)) as (store, proxy):
            store.put(NAME, DATA)
            assert [found.name for found in store.list()] == [NAME]
            assert proxy.seen["GET"] == 2


def test_put_of_which_other_bytes_arrived_is_repeated(moto: S3Server, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    for put in (
        lambda store: store.put(NAME, DATA),
        lambda store: store.put(NAME, DATA, if_absent=True),
        lambda store: store.put_file(NAME, tmp_path / "x", if_absent=True),
    ):
        with store_behind(moto, first("PUT", "flip sent bit")) as (store, proxy):
            put(store)
            assert store.get(NAME) == DATA
            assert proxy.seen["PUT"] == 2
            assert store.retries == 1


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of three parts."""
    (tmp_path / "large").write_bytes(secrets.token_bytes(11 << 20))
    return tmp_path / "large"


@pytest.mark.parametrize("fault", ["flip sent bit", "drop answer", "answer 503", "reset"])
def test_part_that_fails_is_sent_again_alone(moto: S3Server, fault: Fault, large: Path) -> None:
    failing = {1}  # request 0 proves that ETags are MD5s, 1 is a part
    plan: Plan = lambda m, n: fault if m == "PUT" and n in failing else "none"  # noqa: E731
    with store_behind(moto, plan) as (store, proxy):
        store.put("small", b"x")
        store.put_file(NAME, large)
        assert store.get(NAME) == large.read_bytes()
        assert proxy.seen["PUT"] == 1 + 3 + 1
        assert store.retries == 1
        assert list(store.leftovers()) == []


def test_end_of_an_upload_whose_answer_was_lost_is_looked_up(moto: S3Server, large: Path) -> None:
    plan: Plan = lambda m, n: "drop answer" if (m, n) == ("POST", 1) else "none"  # noqa: E731
    with store_behind(moto, plan) as (store, proxy):
        store.put_file(NAME, large)
        assert store.get(NAME) == large.read_bytes()
        assert proxy.seen["POST"] >= 3


def test_upload_that_cannot_be_done_leaves_no_parts(moto: S3Server, large: Path) -> None:
    plan: Plan = lambda m, n: "answer 503" if m == "PUT" and n > 0 else "none"  # noqa: E731
    with store_behind(moto, plan) as (store, _):
        with pytest.raises(StoreError, match="answered 503"):
            store.put_file(NAME, large)
        assert store.has([NAME]) == set()
        assert list(store.leftovers()) == []


def test_upload_that_was_broken_off_goes_on_where_it_stopped(moto: S3Server, large: Path) -> None:
    broken = threading.Event()
    plan: Plan = lambda m, n: "none" if m != "PUT" or n == 0 or broken.is_set() else "answer 503"  # noqa: E731
    told: list[float] = []
    with store_behind(moto, plan) as (store, proxy):
        with pytest.raises(StoreError, match="answered 503"):
            store.put_file(NAME, large, told=told.append)
        broken.set()
        before = proxy.seen["PUT"]
        store.put_file(NAME, large, told=told.append)
        assert proxy.seen["PUT"] - before == 2, "of three parts"
        assert store.get(NAME) == large.read_bytes()
        assert list(store.leftovers()) == []
    assert told == sorted(told)
    assert told[-1] == 1


def test_part_of_an_unfinished_upload_that_is_not_the_files_is_sent_again(
    moto: S3Server, large: Path
) -> None:
    with store_behind(moto, lambda method, count: "none") as (store, proxy):
        key = f"{store.prefix}/{NAME}"
        place: dict[str, Any] = {"Bucket": store.bucket, "Key": key}
        digest = digest_bytes(large.read_bytes())
        begun = moto.client().create_multipart_upload(**place, Metadata={DIGEST_FIELD: digest})
        for number, data in ((1, large.read_bytes()[: 5 << 20]), (2, bytes(5 << 20))):
            moto.client().upload_part(
                **place, UploadId=begun["UploadId"], PartNumber=number, Body=data
            )
        store.put_file(NAME, large, told=lambda _: None)
        assert proxy.seen["PUT"] == 2
        assert store.get(NAME) == large.read_bytes()


@pytest.mark.parametrize("later", ["flip sent bit", "answer 503", "swallow"])
def test_put_of_which_only_other_bytes_arrived_leaves_nothing(moto: S3Server, later: Fault) -> None:
    def plan(method: str, count: int) -> Fault:
        if method != "PUT" or count == 0:
            return "none"
        return "flip sent bit" if count == 1 else later

    with store_behind(moto, plan) as (store, _):
        store.put("another", b"x")
        with pytest.raises(StoreError) as caught:
            store.put(NAME, DATA, if_absent=True)
        assert caught.value.retryable
        assert store.has([NAME]) == set()


def test_etags_that_are_no_digests_are_no_complaint(moto: S3Server) -> None:
    """One look at what is stored tells that it is right, and no more are taken."""
    with store_behind(moto, lambda method, count: "none") as (store, proxy):
        store.client.meta.events.register(
            "after-call.s3.PutObject", lambda parsed, **_: parsed.update(ETag='"' + "0" * 32 + '"')
        )
        for number in range(3):
            store.put(f"{NAME}{number}", DATA)
        assert proxy.seen == {"PUT": 3, "GET": 1}
        assert store.retries == 0


def test_foreign_object_is_held_against_its_etag(moto: S3Server, tmp_path: Path) -> None:
    with store_behind(moto, first("GET", "flip bit")) as (store, proxy):
        key = f"{store.prefix}/in.mkv"
        moto.client().put_object(Bucket=store.bucket, Key=key, Body=DATA)
        store.get_file("in.mkv", tmp_path / "in.mkv", foreign=True)
        assert (tmp_path / "in.mkv").read_bytes() == DATA
        assert proxy.seen["GET"] == 2


def test_each_retry_is_one_line_of_the_log(
    moto: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    with store_behind(moto, first("GET", "answer 503", times=2)) as (store, _):
        store.put(NAME, DATA)
        store.get(NAME)
        head = rf"{store.url}: get {NAME}: the S3 service answered 503; try "
        ours = [r.getMessage() for r in caplog.records if r.name.startswith("cluster")]
        assert len(ours) == 2
        for try_, line in enumerate(ours, start=2):
            assert re.fullmatch(rf"{head}{try_} of {ATTEMPTS} in \d+\.\d\d s", line)


def test_what_the_service_asks_for_is_waited(moto: S3Server) -> None:
    waits: list[float] = []
    retries = Retries(3, chance=lambda: 0.5, sleep=waits.append)
    with faulty_proxy(moto.endpoint, first("PUT", "slow down")) as proxy:
        url = f"s3://{moto.bucket()}/{secrets.token_hex(4)}"
        S3Store(url, using=settings_for(proxy.endpoint), retries=retries).put(NAME, DATA)
    assert waits == [1.5], "Retry-After: 1, and half of the bound for a busy service"
    assert retries.count == 1


REFUSED: list[tuple[Fault, str]] = [
    ("unknown key", r"refused the key \(InvalidAccessKeyId\); .*DOUGA_S3_ACCESS_KEY"),
    ("bad signature", r"refused the key \(SignatureDoesNotMatch\); .*DOUGA_S3_SECRET_KEY"),
    ("expired token", r"refused the key \(ExpiredToken\): it has expired; get a new one"),
]


@pytest.mark.parametrize(("fault", "line"), REFUSED)
def test_refused_key_is_told_at_once_by_every_request(
    moto: S3Server, fault: Fault, line: str, tmp_path: Path
) -> None:
    with store_behind(moto, lambda method, count: fault) as (store, _):
        for attempt in (
            lambda: store.put(NAME, DATA),
            lambda: store.put(NAME, DATA, if_absent=True),
            lambda: store.get(NAME),
            lambda: store.get_file(NAME, tmp_path / "x"),
            lambda: store.size(NAME),
            lambda: store.has([NAME]),
            lambda: store.has([NAME, f"{NAME}2"]),
            lambda: list(store.list()),
            lambda: store.delete(NAME),
        ):
            with pytest.raises(StoreError, match=line) as caught:
                attempt()
            assert str(caught.value).startswith(f"{store.url}: ")
            assert not caught.value.retryable
        assert store.retries == 0
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["cut body", "answer 503", "swallow"])
def test_broken_range_read_is_repeated(moto: S3Server, fault: Fault) -> None:
    with store_behind(moto, first("GET", fault)) as (store, _):
        store.put(NAME, DATA)
        assert store.get_range(NAME, start=100, length=50) == DATA[100:150]


def test_read_that_stays_damaged_ends_in_a_digest_error(moto: S3Server, tmp_path: Path) -> None:
    with store_behind(moto, lambda method, count: "flip bit") as (store, proxy):
        store.put(NAME, DATA)
        with pytest.raises(DigestError, match="expected digest"):
            store.get(NAME)
        assert proxy.seen["GET"] == ATTEMPTS
        with pytest.raises(DigestError):
            store.get_file(NAME, tmp_path / "x")
        assert list(tmp_path.iterdir()) == []


def test_put_whose_answers_are_all_lost_is_looked_up(moto: S3Server) -> None:
    with store_behind(moto, first("PUT", "drop answer", times=99)) as (store, proxy):
        assert store.put(NAME, DATA)
        assert proxy.seen == {"PUT": ATTEMPTS, "GET": 1}
        assert store.get(NAME) == DATA


def test_put_file_whose_answers_are_all_lost_is_looked_up(moto: S3Server, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    with store_behind(moto, first("PUT", "drop answer", times=99)) as (store, _):
        assert store.put_file(NAME, tmp_path / "x")
        assert store.get(NAME) == DATA


def test_put_if_absent_whose_answer_was_lost_knows_its_own(moto: S3Server) -> None:
    with store_behind(moto, first("PUT", "drop answer")) as (store, _):
        ours = store.put(NAME, DATA, if_absent=True)
        assert store.put(NAME, b"later", if_absent=True) == ours
        assert store.get(NAME) == DATA


def test_put_that_never_arrived_is_an_error_worth_a_retry(moto: S3Server) -> None:
    with store_behind(moto, first("PUT", "swallow", times=99)) as (store, _):
        with pytest.raises(StoreError, match="does not answer") as caught:
            store.put(NAME, DATA)
        assert caught.value.retryable
        assert store.has([NAME]) == set()


def test_busy_service_is_an_error_worth_a_retry(moto: S3Server) -> None:
    with store_behind(moto, lambda method, count: "answer 503") as (store, proxy):
        with pytest.raises(StoreError, match=r"answered 503.*try again later") as caught:
            store.get(NAME)
        assert caught.value.retryable
        assert proxy.seen == {"GET": ATTEMPTS}


def test_endpoint_that_nobody_listens_at_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        store = S3Store("s3://bucket/prefix", using=settings_for(endpoint))
        with pytest.raises(StoreError) as caught:
            store.probe()
    line = str(caught.value)
    assert line.startswith("s3://bucket/prefix: put probe/")
    assert "does not answer" in line
    assert "check DOUGA_S3_ENDPOINT" in line
    assert "any-secret" not in line


def test_endpoint_that_is_no_url_is_named() -> None:
    store = S3Store("s3://bucket", using=settings_for("not a url"))
    with pytest.raises(UsageError, match=r"expected http://host:port.*DOUGA_S3_ENDPOINT"):
        store.probe()


def test_missing_keys_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    using = settings_for("http://127.0.0.1:9", s3_access_key="", s3_secret_key="")
    with pytest.raises(StoreError, match=r"no complete pair of S3 keys.*DOUGA_S3_ACCESS_KEY"):
        S3Store("s3://bucket", using=using).probe()
    half = settings_for("http://127.0.0.1:9", s3_secret_key="")
    with pytest.raises(StoreError, match="no complete pair of S3 keys"):
        S3Store("s3://bucket", using=half).probe()


def test_aws_variables_are_used_where_settings_are_empty(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    using = Settings(s3_attempts=1)
    S3Store(f"s3://{moto.bucket()}/aws", using=using).probe()


def test_target_that_cannot_be_written_is_not_asked_for_again(
    moto: S3Server, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with store_behind(moto, lambda method, count: "none") as (store, proxy):
        store.put(NAME, DATA)
        with pytest.raises(StoreError, match="file"):
            store.get_file(NAME, tmp_path / "file" / "x")
        assert proxy.seen["GET"] == 1


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_has_is_right_however_long_listings_are(moto: S3Server, page: int) -> None:
    with store_behind(moto, lambda method, count: "none", page_names=page) as (store, proxy):
        stored = {f"frames/ab/{i:02}" for i in range(12)} | {"frames/ab/03/below", "top"}
        for name in stored:
            store.put(name, b"")
        asked = {"frames/ab/00", "frames/ab/03", "frames/ab/03/x", "frames/ab/10x", "frames/ab/11"}
        proxy.seen.clear()
        assert store.has(asked | {"top", "none"}) == {
            *("frames/ab/00", "frames/ab/03", "frames/ab/11", "top")
        }
        assert sum(proxy.seen.values()) <= 2 * 7


def test_has_asks_once_for_many_names_of_a_folder(moto: S3Server) -> None:
    with store_behind(moto, lambda method, count: "none") as (store, proxy):
        store.put("frames/ab/5", b"")
        proxy.seen.clear()
        assert store.has(f"frames/ab/{i}" for i in range(200)) == {"frames/ab/5"}
        assert proxy.seen == {"GET": 1}


def test_folder_users_do_not_pay_for_boto3() -> None:
    program = (
        "import sys; from cluster.store.open import open_store; open_store('/tmp/x');"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class Page(BaseHTTPRequestHandler):
    """A console's port, or a login page: every request is answered by the same page."""

    def _page(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"<html><body>Console</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _page

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_what_is_no_s3_service_is_said_to_be_none(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        using = settings_for(f"http://127.0.0.1:{server.server_port}", s3_attempts=1)
        store = S3Store("s3://films/x", using=using)
        for ask in (
            lambda: list(store.list("frames")),
            lambda: store.has([NAME]),
            lambda: store.get(NAME),
            lambda: store.size(NAME),
            lambda: store.look_at(NAME),
            lambda: store.get_file(NAME, tmp_path / "file", foreign=True),
            store.probe,
        ):
            with pytest.raises(StoreError, match="no S3 service") as caught:
                ask()
            assert "DOUGA_S3_ENDPOINT" in caught.value.remedy
    finally:
        server.shutdown()
        server.server_close()
