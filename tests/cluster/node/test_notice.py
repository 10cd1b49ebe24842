"""The clouds' notices, from a server that answers as each of them does; a file; a waking packet."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cluster.errors import UsageError
from cluster.node.notice import listener
from cluster.node.wake import wake

TOKEN = "session-token"


@contextmanager
def metadata(cloud: str, told: list[str]) -> Iterator[str]:
    """A cloud's metadata server: its notice is what `told` holds; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
            aws = cloud == "AWS" and self.path == "/latest/api/token" and asked
            self._answer(TOKEN if aws else None)

        def do_GET(self) -> None:
            place, header, needs = {
                "AWS": (
                    "/latest/meta-data/spot/instance-action",
                    "X-aws-ec2-metadata-token",
                    TOKEN,
                ),
                "Google": ("/computeMetadata/v1/instance/preempted", "Metadata-Flavor", "Google"),
                "Azure": ("/metadata/scheduledevents?api-version=2020-07-01", "Metadata", "true"),
            }[cloud]
            known = self.path == place and self.headers.get(header) == needs
            self._answer(told[0] if known and told else None)

        def _answer(self, text: str | None) -> None:
            self.send_response(200 if text is not None else 404)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("cloud", "before", "notice", "left_s"),
    [
        ("AWS", [], '{"action": "terminate", "time": "ISO"}', 3600),
        ("Google", ["FALSE"], "TRUE", 25),
        (
            "Azure",
            ['{"DocumentIncarnation": 1, "Events": [{"EventType": "Reboot"}]}'],
            '{"DocumentIncarnation": 2, "Events": [{"EventType": "Preempt", "NotBefore": "MAIL"}]}',
            3600,
        ),
    ],
)
def test_a_cloud_s_notice_is_heard(
    cloud: str, before: list[str], notice: str, left_s: float
) -> None:
    told = list(before)
    with metadata(cloud, told) as base:
        hears = listener(base=base)
        assert hears.clouds == (cloud,)
        assert hears() is None
        soon = datetime.now(UTC) + timedelta(seconds=3600)
        iso, mail = f"{soon:%Y-%m-%dT%H:%M:%SZ}", format_datetime(soon, usegmt=True)
        told[:] = [notice.replace("ISO", iso).replace("MAIL", mail)]
        heard = hears()
    assert heard is not None
    assert cloud in heard.what
    assert heard.within_s == pytest.approx(left_s, abs=60)


def test_where_no_cloud_answers_nothing_is_heard() -> None:
    hears = listener(base="http://127.0.0.1:9")
    assert (hears.clouds, hears()) == ((), None)
    assert "no cloud" in str(hears)


def test_a_file_that_appears_is_a_notice(tmp_path: Path) -> None:
    file = tmp_path / "taken"
    hears = listener(file=str(file))
    assert hears() is None
    file.touch()
    heard = hears()
    assert heard is not None
    assert heard.within_s > 0


@pytest.mark.parametrize("mac", ["00:11:22:aa:bb:cc", "00-11-22-AA-BB-CC", "001122aabbcc"])
def test_a_sleeping_machine_hears_its_address_sixteen_times(mac: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card:
        card.bind(("127.0.0.1", 0))
        card.settimeout(5)
        wake(mac, broadcast="127.0.0.1", port=card.getsockname()[1])
        heard = card.recv(200)
    assert heard == b"\xff" * 6 + bytes.fromhex("001122aabbcc") * 16


def test_what_is_no_address_of_a_card_is_named() -> None:
    with pytest.raises(UsageError, match="MAC"):
        wake("00:11:22", broadcast="127.0.0.1")
