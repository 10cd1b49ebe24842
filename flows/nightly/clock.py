"""When a night must end: a time of day somewhere, or so long after it began."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from tzlocal import get_localzone_name

from cluster.errors import shortly

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
LONGEST_S = 366 * 24 * 3600.0
"""So long a night may be given at the most."""
_LAST = re.compile(r"\b\d*LW?\b|#", re.I)
"""The last day, or the nth weekday, of a month: cronsim and Prefect write them differently."""


def parse_deadline(text: str) -> time | timedelta:
    """`06:00` is a time of day, `8h`, `1h30m` and `90s` are durations of up to a year. ValueError
    otherwise."""
    if clock := _TIME.fullmatch(text):
        return time(int(clock[1]), int(clock[2]))
    lasting = _DURATION.fullmatch(text)
    if not text or lasting is None:
        raise ValueError(
            f"expected a time of day such as 06:00 or a duration such as 8h, got {shortly(text)}"
        )
    hours, minutes, seconds = (float(part or 0) for part in lasting.groups())
    lasts_s = (hours * 60 + minutes) * 60 + seconds
    if not 0 < lasts_s <= LONGEST_S:
        raise ValueError(
            "expected a duration of more than nothing and of a year at the most, got "
            f"{shortly(text)}; leave deadline out for none"
        )
    return timedelta(seconds=lasts_s)


def next_end(deadline: time | timedelta, *, began: datetime, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which a night that began at `began` must be over: the next time that the
    clock in `zone` shows the time of day, or that much later."""
    if isinstance(deadline, timedelta):
        return (began + deadline).astimezone(UTC)
    here = began.astimezone(zone)
    end = datetime.combine(here.date(), deadline, tzinfo=zone)
    if end.astimezone(UTC) <= began.astimezone(UTC):
        end = datetime.combine(here.date() + timedelta(days=1), deadline, tzinfo=zone)
    return end.astimezone(UTC)


def is_cron(text: str) -> bool:
    """Whether a text is cron's five fields, each a list of `*`, numbers, names and ranges, with
    steps, of a day that comes."""
    if len(text.split()) != 5 or _LAST.search(text):
        return False
    try:
        CronSim(text, datetime(2000, 1, 1))
    except CronSimError:
        return False
    return True


def zone_named(name: str) -> ZoneInfo:
    """A time zone by its name in the tz database. ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"expected a time zone such as Europe/Berlin or UTC, got {shortly(name)}"
        ) from error


def local_zone_name() -> str:
    """This machine's time zone by name; UTC where it does not say which."""
    try:
        return ZoneInfo(get_localzone_name() or "UTC").key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
