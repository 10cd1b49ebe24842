"""The files that a night leaves for people and CI servers: the report's three."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

from cluster.errors import printable
from cluster.store.base import Store
from flows.nightly.spec import NightlySpec
from flows.runs.night import Night
from flows.runs.nights import SHARED_NIGHTS, Past


def write_reports(night: Night, spec: NightlySpec, store: Store, *, folder: str = "") -> str:
    """Write the night's report where it was asked for, on the command line or in the file; say so
    on stderr. Where its page lies, empty if it was not asked for. DougaError where it cannot be
    written."""
    place = folder or spec.resolve(spec.report)
    if not place:
        return ""
    from flows.report.night import write_report

    past = Past(store, spec.name, before=night.night)
    nights = [each.night for each in islice(past, SHARED_NIGHTS)]
    files = write_report(night, nights[::-1], Path(place), store)
    for path in (files.html, files.json, files.junit):
        print(printable(f"douga: wrote {path}"), file=sys.stderr)
    return str(files.html.absolute())
