"""A render with keys and passwords of its own, watched: where it listens, what it lets out."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.conftest import Ended
from tests.servers.forking import forking_douga
from tests.servers.hooks import Receiver, receiver
from tests.servers.post_office import PASSWORD, USER, PostOffice, post_office

ACCESS = "PLANTEDACCESS7Q2"
SECRET = "planted/s3+secret/9b1f77"
PREFECT = "farm:planted-prefect-4c0a"
TOKEN = "planted-ray-token-" + "d3" * 23
HOOK = "planted-hook-path-77"
HOOK_SECRET = "cGxhbnRlZC1ob29rLXNlY3JldC0xOTk4"
BUCKET = "guarded"
LISTENING = "0A"


@dataclass
class Watched:
    """What was seen of a render while it ran, and what it left."""

    ended: Any
    places: set[tuple[str, str]] = field(default_factory=set)
    """Who listened (a program's name) and on which address."""
    ray_token: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """The last that was seen of every file of Ray's, and every file left in the home."""
    objects: dict[str, bytes] = field(default_factory=dict)
    """Every object of the store with its metadata."""
    hook: Receiver = field(default_factory=Receiver)
    office: PostOffice = field(default_factory=PostOffice)


def spellings(secret: str) -> set[bytes]:
    """A secret as it may be written: plain, in base64, quoted for a URL."""
    return {
        secret.encode(),
        base64.b64encode(secret.encode()),
        urllib.parse.quote(secret, safe="").encode(),
    }


def family(pid: int) -> set[int]:
    """A process and all that came of it."""
    known, found = {pid}, [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                fresh = {int(word) for word in task.read_text().split()} - known
                known |= fresh
                found += fresh
    return known


def listening(pids: set[int]) -> set[tuple[str, str]]:
    """Program and address of every socket of these processes that listens."""
    inodes: dict[str, str] = {}
    for pid in pids:
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    inodes[os.readlink(entry.path)] = name
    found = set()
    for table, family_of in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            name = inodes.get(f"socket:[{words[9]}]", "")
            if name and words[3] == LISTENING:
                found.add((name, _address(words[1].partition(":")[0], family_of)))
    return found


def _address(digits: str, family_of: socket.AddressFamily) -> str:
    raw = bytes.fromhex(digits)
    swapped = b"".join(raw[n : n + 4][::-1] for n in range(0, len(raw), 4))
    return socket.inet_ntop(family_of, swapped)


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[Receiver, PostOffice]]:
    """Who is told of the render."""
    with receiver() as hook, post_office(login=True) as office:
        yield hook, office


@pytest.fixture(scope="module")
def watched(
    douga: Any,
    moto: Any,
    told: tuple[Receiver, PostOffice],
    tiny_film: Path,
    prefect_home: Path,
    tmp_path_factory: Any,
) -> Watched:
    """A render with Ray and Prefect of its own and its store in a bucket, `--json --debug`."""
    folder = tmp_path_factory.mktemp("watched")
    temporary = Path(tempfile.mkdtemp(prefix="douga-watch-", dir="/tmp"))  # short: sockets
    (folder / "secret").write_text(f"{SECRET}\n")
    (folder / "ep.yaml").write_text(f"source: {tiny_film}\ncut: [24]\nrecipe: [hold]\n")
    keys = {"aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET}
    client = boto3.client("s3", endpoint_url=moto.endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=BUCKET)
    process = douga.start(
        *("--debug", "render", "ep.yaml", "-o", "ep.mkv", "--store", f"s3://{BUCKET}/ep"),
        *("--workers", "1", "--json"),
        cwd=folder,
        TMPDIR=str(temporary),
        DOUGA_HOME=str(prefect_home),
        DOUGA_PREFECT="embedded",
        DOUGA_S3_ENDPOINT=moto.endpoint,
        DOUGA_S3_ACCESS_KEY=ACCESS,
        DOUGA_S3_SECRET_KEY_FILE=str(folder / "secret"),
        PREFECT_SERVER_API_AUTH_STRING=PREFECT,
        RAY_AUTH_TOKEN=TOKEN,
        DOUGA_WEBHOOK_URL=f"{told[0].url}/services/{HOOK}",
        DOUGA_WEBHOOK_SECRET=f"whsec_{HOOK_SECRET}",
        DOUGA_SMTP_HOST="127.0.0.1",
        DOUGA_SMTP_PORT=str(told[1].port),
        DOUGA_SMTP_TLS="off",
        DOUGA_SMTP_USER=USER,
        DOUGA_SMTP_PASSWORD=PASSWORD,
        DOUGA_MAIL_FROM="farm@s.example",
        DOUGA_MAIL_TO="td@s.example",
    )
    seen = Watched(None, hook=told[0], office=told[1])
    while process.poll() is None:
        seen.places |= listening(family(process.pid))
        _see(temporary, seen)
        time.sleep(0.3)
    out, err = process.communicate()
    seen.ended = (process.returncode, out, err)
    shutil.rmtree(temporary, ignore_errors=True)
    _see(prefect_home, seen)
    for item in client.list_objects_v2(Bucket=BUCKET)["Contents"]:
        answer = client.get_object(Bucket=BUCKET, Key=item["Key"])
        seen.objects[item["Key"]] = answer["Body"].read() + repr(answer["Metadata"]).encode()
    return seen


def _see(folder: Path, seen: Watched) -> None:
    for path in list(_files(folder)):
        with suppress(OSError):
            if path.name == "token":
                seen.ray_token = path.read_text()
            else:
                seen.files[str(path)] = path.read_bytes()


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names if not Path(place, name).is_socket())


def test_the_render_is_good(watched: Watched) -> None:
    code, out, err = watched.ended
    assert code == 0, err
    assert '"verified": true' in out
    assert len(watched.objects) > 4
    assert watched.hook.posted[0].path.endswith(HOOK)
    assert len(watched.office.letters) == 1


def test_nothing_listens_beyond_this_machine(watched: Watched) -> None:
    programs = {name for name, _ in watched.places}
    assert {"gcs_server", "raylet"} <= programs, "Ray was seen"
    assert len(watched.places) >= 5, watched.places
    beyond = {at for at in watched.places if at[1] not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")}
    assert not beyond


def test_ray_had_a_token_of_its_own(watched: Watched) -> None:
    assert len(watched.ray_token) == 64
    assert watched.ray_token != TOKEN


@pytest.mark.parametrize(
    "name", ["access", "secret", "prefect", "token", "ray", "hook", "hook secret", "mail"]
)
def test_no_secret_is_let_out(name: str, watched: Watched) -> None:
    """Not in the output with tracebacks, the store, Ray's logs, Prefect's database or the home."""
    planted = {"access": ACCESS, "secret": SECRET, "prefect": PREFECT, "token": TOKEN}
    planted |= {"hook": HOOK, "hook secret": HOOK_SECRET, "mail": PASSWORD}
    secret = planted.get(name) or watched.ray_token
    words = spellings(secret) | (
        spellings(secret.partition(":")[2]) if name == "prefect" else set()
    )
    _, out, err = watched.ended
    assert any("gcs_server.out" in path for path in watched.files), "Ray's logs were seen"
    assert any(path.endswith("prefect.db") for path in watched.files), "Prefect's database was seen"
    everything = {"stdout": out.encode(), "stderr": err.encode(), **watched.files}
    everything["told"] = b"".join(request.body for request in watched.hook.posted)
    for place, text in {**everything, **watched.objects}.items():
        leaks = [word for word in words if word in text or word in place.encode()]
        assert not leaks, (place, leaks)


@pytest.fixture(scope="module")
def forked() -> Iterator[Callable[..., Ended]]:
    """The command, in a process of its own."""
    with forking_douga({}) as douga:
        yield douga


@pytest.mark.parametrize(
    ("words", "more", "code", "said"),
    [
        (
            ("plan", "s3://me:hidden-word@films/ep.mkv"),
            {},
            1,
            "s3://films/ep.mkv: has a user or a password in it",
        ),
        (
            ("plan", "s3://films/ep.mkv"),
            {"DOUGA_S3_ENDPOINT": "http://me:hidden-word@127.0.0.1:9"},
            64,
            "the S3 endpoint has a user or a password in it",
        ),
        (
            ("plan", "s3://films/ep.mkv"),
            {"AWS_ENDPOINT_URL": "http://me:hidden-word@127.0.0.1:9"},
            64,
            "the S3 endpoint has a user or a password in it",
        ),
        (
            ("render", "FILM", "--store", "s3://me:hidden-word@bucket/ep"),
            {},
            64,
            "store: expected s3://bucket/prefix",
        ),
        (
            ("render", "FILM", "--ray", "me:hidden-word@head:6379"),
            {},
            64,
            "expected host:port of a Ray head, got 'head:6379'",
        ),
        (
            ("render", "FILM"),
            {
                "PREFECT_API_URL": "http://me:hidden-word@127.0.0.1:9/api",
                "DOUGA_PREFECT": "embedded",
            },
            1,
            "PREFECT_API_URL has a user or a password in it",
        ),
        (
            ("plan", "s3://films/ep.mkv"),
            {
                "DOUGA_S3_ENDPOINT": "http://127.0.0.1:9",
                "DOUGA_S3_ATTEMPTS": "1",
                "DOUGA_S3_ACCESS_KEY": "hidden-word",
                "DOUGA_S3_SECRET_KEY": "hidden-word",
            },
            1,
            "the S3 service does not answer",
        ),
        (
            ("plan", "s3://films/ep.mkv"),
            {"DOUGA_S3_ACCESS_KEY": "hidden-word", "DOUGA_S3_SECRET_KEY_FILE": "/nowhere/key"},
            64,
            "DOUGA_S3_SECRET_KEY_FILE=/nowhere/key: cannot be read",
        ),
    ],
    ids=["source", "endpoint", "aws", "store", "ray", "prefect", "silent", "file"],
)
def test_an_error_repeats_no_password(
    words: tuple[str, ...],
    more: dict[str, str],
    code: int,
    said: str,
    forked: Callable[..., Ended],
    tiny_film: Path,
    tmp_path: Path,
) -> None:
    """Nor does its traceback. `hidden-word` stands for it."""
    given = [str(tiny_film) if word == "FILM" else word for word in words]
    output = ("-o", tmp_path / "film.mkv")
    ended = forked("--debug", *given, *output, cwd=tmp_path, **more)
    assert ended.code == code, ended.err
    assert said in ended.err.splitlines()[-1]
    assert "hidden-word" not in ended.out + ended.err
