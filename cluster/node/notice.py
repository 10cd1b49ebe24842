"""Whether a cloud is about to take a spot machine away: its notice, by one question each.

AWS: `spot/instance-action` of IMDSv2, two minutes before. Google: `instance/preempted`, 30 s
before. Azure: scheduled events of type Preempt, 30 s before at least. Elsewhere: a file appears.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

METADATA = "http://169.254.169.254"
"""Where the three clouds' machines ask about themselves."""
ASK_S = 1.0
SHORTEST_S = 25.0
"""Left after a notice that does not say when: Google and Azure promise 30 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What was heard, when the machine goes, and how many seconds are left."""

    what: str
    at: str
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Asks for a notice where one may come from: a file, or the clouds that answered at first."""

    file: str = ""
    clouds: tuple[str, ...] = ()
    base: str = METADATA

    def __str__(self) -> str:
        heard = self.file or " and ".join(self.clouds)
        return f"{heard} says when it goes" if heard else "no cloud answers that says when it goes"

    def __call__(self) -> Notice | None:
        """The notice, once there is one."""
        if self.file and Path(self.file).exists():
            return Notice(what=f"{self.file} is there", at="", within_s=SHORTEST_S)
        for cloud in self.clouds:
            try:
                at = CLOUDS[cloud](self.base)
            except (OSError, ValueError, LookupError):  # the next question may be answered
                continue
            if at is not None:
                return Notice(what=f"{cloud} takes the machine away", at=at, within_s=_left_s(at))
        return None


def listener(*, file: str = "", base: str = METADATA) -> Listener:
    """Who tells of notices on this machine: the file that is named, else the clouds that answer."""
    if file:
        return Listener(file=file)
    return Listener(clouds=tuple(cloud for cloud in CLOUDS if _answers(cloud, base)), base=base)


def _answers(cloud: str, base: str) -> bool:
    try:
        CLOUDS[cloud](base)
    except (OSError, ValueError, LookupError):
        return False
    return True


def _aws(base: str) -> str | None:
    token = _ask(
        f"{base}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, method="PUT"
    )
    try:
        told = _ask(
            f"{base}/latest/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token}
        )
    except urllib.error.HTTPError as error:
        if error.code == 404:  # none yet
            return None
        raise
    return str(json.loads(told)["time"])


def _google(base: str) -> str | None:
    told = _ask(f"{base}/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
    if told.strip() not in ("TRUE", "FALSE"):
        raise ValueError(told[:40])
    return "" if told.strip() == "TRUE" else None


def _azure(base: str) -> str | None:
    told = _ask(f"{base}/metadata/scheduledevents?api-version=2020-07-01", {"Metadata": "true"})
    for event in json.loads(told)["Events"]:
        if event["EventType"] == "Preempt":
            return str(event.get("NotBefore", ""))
    return None


CLOUDS: Mapping[str, Callable[[str], str | None]] = {
    "AWS": _aws,
    "Google": _google,
    "Azure": _azure,
}


def _ask(url: str, headers: Mapping[str, str], *, method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=ASK_S) as answer:
        told: bytes = answer.read(1 << 16)
    return told.decode(errors="replace")


def _left_s(at: str) -> float:
    """Seconds until a time that a cloud names, as ISO 8601 or as in mail."""
    if not at:
        return SHORTEST_S
    try:
        when = datetime.fromisoformat(at)
    except ValueError:
        try:
            when = parsedate_to_datetime(at)
        except ValueError:
            return SHORTEST_S
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
