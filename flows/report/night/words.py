"""Names and numbers as reports write them."""

from __future__ import annotations

import hashlib
import re

from flows.runs.night import Measure, Regression

SLUG_LENGTH = 60
UNITS: dict[Measure, tuple[str, str, int]] = {
    "psnr": ("PSNR", " dB", 1),
    "ssim": ("SSIM", "", 4),
    "flicker": ("flicker", "", 3),
    "loudness": ("loudness", " LUFS", 1),
    "duration": ("duration", " s", 3),
    "seconds": ("render time", " s", 1),
    "money": ("cost", "", 2),
}
"""What a measure is called, its unit, and its digits behind the point."""
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def safe_text(text: str) -> str:
    """Text without the characters that XML 1.0 has no way to write, control characters above
    all; each is replaced by U+FFFD."""
    return _FORBIDDEN.sub("\ufffd", text)


def file_slug(name: str) -> str:
    """A file name for any name at all: plain characters, and a digest where that lost something."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[:SLUG_LENGTH]
    if plain == name:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest


def regression_line(regression: Regression) -> str:
    """A regression in a sentence."""
    called, unit, digits = UNITS[regression.measure]
    now, was, limit = (
        f"{value:.{digits}f}" for value in (regression.now, regression.was, regression.limit)
    )
    at = "" if regression.frame is None else f" at frame {regression.frame}"
    return f"{called} {now}{unit}{at}, was {was}{unit}, limit {limit}{unit}"


def duration_words(seconds: float) -> str:
    """Seconds as a person reads them: `42 s`, `7 min 5 s`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
