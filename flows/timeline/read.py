"""A timeline's file as OTIO's objects, whichever of the two formats it has."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from cluster.errors import InputError, UsageError, os_reason
from flows.timeline.edl import plain_edl

MAX_BYTES = 64 << 20
"""No episode's timeline is larger: some 1 KiB a clip."""
EXPORT_AGAIN = "export the timeline again, as OTIO or CMX3600"


def read_timeline(path: Path, *, rate: Fraction | None) -> Any:
    """The `otio.schema.Timeline` of an .otio or .edl file, an EDL read at the whole rate next to
    `rate`. UsageError for what is none, InputError for a file that cannot be read."""
    import opentimelineio as otio

    if not path.is_file():
        raise UsageError("no such timeline", where=str(path), remedy="check the path")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(
                f"larger than {MAX_BYTES >> 20} MiB", where=str(path), remedy=EXPORT_AGAIN
            )
        text = path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
        if path.suffix.lower() == ".edl":
            whole = round(rate or Fraction(24))
            plain = plain_edl(text, where=str(path), rate=rate or Fraction(24))
            timeline = otio.adapters.read_from_string(plain, "cmx_3600", rate=float(whole))
        else:
            json.loads(text)  # OTIO's own reader crashes on what is nested too deeply
            timeline = otio.adapters.read_from_string(text, "otio_json")
    except otio.exceptions.OTIOError as error:
        raise UsageError(
            f"cannot be read: {str(error)[:300]}", where=str(path), remedy=EXPORT_AGAIN
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot be read ({os_reason(error)})",
            where=str(path),
            remedy="check the path",
        ) from error
    except RecursionError as error:
        raise UsageError("nested too deeply", where=str(path), remedy=EXPORT_AGAIN) from error
    except (ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise UsageError(
            f"is not a timeline ({str(error)[:300]})", where=str(path), remedy=EXPORT_AGAIN
        ) from error
    if not isinstance(timeline, otio.schema.Timeline):
        raise UsageError(
            f"holds a {type(timeline).__name__}, not a timeline",
            where=str(path),
            remedy=EXPORT_AGAIN,
        )
    return timeline
