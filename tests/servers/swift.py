"""A real S3 server for tests and demonstrations: OpenStack Swift with its S3 API.

    with swift_server() as server:
        server.bucket("films")
        os.environ.update(server.environment())

Swift lives in `.venv-swift`, an environment of its own (`make .venv-swift`), so that its needs
never move our pins. Measured: ready after 1.5 s, four processes, no root, all on 127.0.0.1.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).parents[2]
SWIFT_PYTHON = ROOT / ".venv-swift" / "bin" / "python"
STARTS = 3
"""Tries: a port found free may be taken before the server binds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """Where an S3 server is and how to sign for it."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    process: subprocess.Popen[str] | None = field(default=None, repr=False, compare=False)

    def environment(self) -> dict[str, str]:
        """Variables with which douga finds and may use this server."""
        return {
            "DOUGA_S3_ENDPOINT": self.endpoint,
            "DOUGA_S3_REGION": self.region,
            "DOUGA_S3_ACCESS_KEY": self.access_key,
            "DOUGA_S3_SECRET_KEY": self.secret_key,
        }

    def crash(self) -> None:
        """Kill all its processes at once; what it has stored stays on the disk."""
        self._tell("crash")

    def start_again(self) -> None:
        """Start it where it was, and wait until it answers."""
        self._tell("again")

    def _tell(self, word: str) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer.startswith("ready"), f"Swift ended at {word!r}"

    @cache  # noqa: B019
    def client(self) -> Any:
        """A bare boto3 client, for looking behind the store's back."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @cache  # noqa: B019
    def bucket(self, name: str = "douga") -> str:
        """A bucket of this name, made if need be; its name."""
        self.client().create_bucket(Bucket=name)
        return name


@contextmanager
def swift_server(*options: str) -> Iterator[S3Server]:
    """Swift, from its start to the end of the block; FileNotFoundError if it is not installed.

    `options` go to `swift_processes.py`.
    """
    if not SWIFT_PYTHON.exists():
        raise FileNotFoundError(f"no Swift: {SWIFT_PYTHON} is missing; run `make .venv-swift`")
    key, secret = "test:tester", secrets.token_hex(16)
    process, port = _start(key, secret, *options)
    try:
        yield S3Server(
            endpoint=f"http://127.0.0.1:{port}",
            access_key=key,
            secret_key=secret,
            process=process,
        )
    finally:
        _end(process)


def _start(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    program = Path(__file__).with_name("swift_processes.py")
    logs = ""
    for _ in range(STARTS):
        folder = Path(tempfile.mkdtemp(prefix="douga-swift-"))
        # -P: the program's folder holds a swift.py of its own.
        process = subprocess.Popen(
            [SWIFT_PYTHON, "-P", program, folder, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        word, _, port = process.stdout.readline().partition(" ")
        if word == "ready":
            return process, int(port)
        _end(process)
        logs = "\n".join(log.read_text()[-2000:] for log in sorted(folder.glob("*.log")))
        shutil.rmtree(folder)
    raise RuntimeError(f"Swift did not start in {STARTS} tries\n{logs}")


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate("stop\n", timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
