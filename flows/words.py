"""How numbers and names are worded for people: one way for a duration, a size, a price, a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

NONE = "–"
"""Where there is no number."""
NAMED = 5
"""Names of a list that are written out."""
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def duration_words(seconds: float) -> str:
    """`0.042 s`, `3.1 s`, `45 s`, `3 min 20 s`, `42 min`, `3 h 20 min`, `1,234 h`."""
    whole, minutes = round(seconds), round(seconds / 60)
    if whole < 10:
        return f"{round(seconds, 3):.2g} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 6000:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{seconds / 3600:,.0f} h"


def size_words(size_bytes: float | None) -> str:
    """`312 B`, `4.2 kB`, `1.3 GB`; a dash for none."""
    if size_bytes is None:
        return NONE
    if round(size_bytes) < 1000:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size_bytes /= 1000
        if size_bytes < 999.95 or unit == "TB":
            break
    return f"{size_bytes:,.1f} {unit}"


def money_words(amount: float, currency: str) -> str:
    """`12.40 EUR`, `0.0042 EUR`."""
    return f"{amount:,.{2 if amount >= 0.1 or not amount else 4}f} {currency}"


def device_words(gpu_hours: float, cpu_hours: float) -> str:
    """Time of busy devices: `GPU 3 h 20 min, CPU 14 min`."""
    named = [("GPU", gpu_hours)] if gpu_hours else []
    named += [("CPU", cpu_hours)] if cpu_hours or not gpu_hours else []
    return ", ".join(f"{name} {duration_words(hours * 3600)}" for name, hours in named)


def percent_words(share: float | None) -> str:
    """`87.3 %`, `4 %`; a dash where there is nothing to have a share of."""
    return NONE if share is None else f"{round(100 * share, 2):.3g} %"


def number_words(number: float | None, digits: int = 0) -> str:
    """`1,234`, `0.985`; a dash for none."""
    return NONE if number is None else f"{number:,.{digits}f}"


def count_words(number: int, what: str) -> str:
    """A number of things: `1 chunk`, `24 chunks`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def moment_words(moment: str) -> str:
    """A moment as our records write it, to the minute: `2026-11-01 22:05`."""
    return moment[:16].replace("T", " ")


def few_words(names: Sequence[str], most: int = NAMED) -> str:
    """`sh010, sh020 and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def safe_text(text: str) -> str:
    """Text without the characters that XML 1.0 has no way to write, control characters above
    all; each is replaced by U+FFFD."""
    return _FORBIDDEN.sub("\ufffd", text)
