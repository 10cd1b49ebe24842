"""Since when and until when, as people type it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from cluster.errors import UsageError

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


def parse_period(since: str, until: str, *, now: datetime) -> tuple[datetime, datetime]:
    """The moments `[since, until)` that two texts name, in UTC.

    `30d`, `12h` and `8w` are before now, `all` is since ever, empty is now; a date is UTC's, and as
    an end its whole day counts; a moment without a zone is in UTC. UsageError for anything else, or
    if nothing lies between.
    """
    begin = _moment(since, now, option="--since")
    end = _moment(until, now, option="--until", to_its_end=True) if until else now
    if begin >= end:
        raise UsageError(
            f"nothing lies between {begin:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} UTC",
            where="--since",
            remedy="name an earlier one, such as 30d",
        )
    return begin, end


def _moment(text: str, now: datetime, *, option: str, to_its_end: bool = False) -> datetime:
    if text == "all":
        return ALWAYS
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if found:
        return max(ALWAYS, now - int(found[1]) * UNITS[found[2]])
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return day + timedelta(days=1) if to_its_end else day
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the last day of 9999 has no end
        raise UsageError(
            f"expected 30d, 12h, 8w, all, or a date such as 2026-11-01, got {text!r}", where=option
        ) from None
