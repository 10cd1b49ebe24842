"""Writes the report of a night or a run into a folder: report.html, report.json, junit.xml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import DougaError, os_reason
from cluster.settings import settings
from cluster.store.base import Store
from flows.report.night.attachments import Attachments, attach
from flows.report.night.junit import junit_xml
from flows.report.night.objects import Objects
from flows.report.night.of_run import night_of_run
from flows.report.night.trends import NIGHTS_SHOWN
from flows.runs.night import Night, NightEpisode, NightShot
from flows.runs.outcome import Outcome
from flows.runs.state import RunStatus, known_status, places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.report.night.page import Thumbnail


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What was written; `attachments` are the logs and frames that JUnit links."""

    folder: Path
    html: Path
    json: Path
    junit: Path
    attachments: tuple[Path, ...]


def write_report(night: Night, nights: Sequence[Night], folder: Path, store: Store) -> ReportFiles:
    """Write the report of a night; `nights` are the earlier ones, for the plots.

    What the store does not have any more is left out. DougaError where the folder cannot be
    written.
    """
    return _write(night, nights, folder, store, document=night.to_json())


def write_run_report(
    document: Mapping[str, Any],
    folder: Path,
    store: Store,
    *,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> ReportFiles:
    """The same of a single run, from its record; `earlier` are other runs of the episode."""
    nights = [night_of_run(each) for each in earlier]
    return _write(
        night_of_run(document), nights, folder, store, document=dict(document), word="Run"
    )


def write_report_of(store: Store, status: RunStatus, *, folder: Path) -> ReportFiles:
    """The report of what `douga wait` found, with the newest of its kind before it."""
    before = [
        known_status(store, place)
        for place in places(store, f"{status.place.rpartition('/')[0]}/")
        if place < status.place
    ][-NIGHTS_SHOWN:]
    ended = [each.document for each in before if each is not None and each.exit_code is not None]
    if not status.is_night:
        return write_run_report(status.document, folder, store, earlier=ended)
    nights = [Night.from_json(each) for each in ended if "episodes" in each]
    return write_report(night_of(status), nights, folder, store)


def write_junit_of(store: Store, status: RunStatus, path: Path) -> Path:
    """Only the JUnit of what `douga wait` found, its logs and frames beside it."""
    night = night_of(status)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        attachments = attach(night, path.parent, Objects(store))
        path.write_bytes(junit_xml(night, attachments))
    return path


def night_of(status: RunStatus) -> Night:
    """A run or a night as a night; one that has not ended has no episodes yet."""
    if not status.is_night:
        return night_of_run(status.document)
    if "episodes" in status.document:
        return Night.from_json(status.document)
    state = Outcome.STOPPED if status.exit_code is None else Outcome.of_exit(status.exit_code)
    why = status.error or status.state
    missing = NightEpisode(episode=status.name, show="", state=state, why=why)
    return Night(
        nightly=status.name,
        night=status.run,
        began_at=status.document.get("began_at", ""),
        ended_at="",
        episodes=(missing,),
    )


def _write(
    night: Night,
    nights: Sequence[Night],
    folder: Path,
    store: Store,
    *,
    document: dict[str, Any],
    word: str = "Night",
) -> ReportFiles:
    from flows.report.night.page import render_page

    objects = Objects(store)
    html, data, junit = (folder / name for name in ("report.html", "report.json", "junit.xml"))
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        attachments: Attachments = attach(night, folder, objects)
        junit.write_bytes(junit_xml(night, attachments))
        data.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")
        page = render_page(
            night,
            nights,
            objects=objects,
            attachments=attachments,
            currency=settings().currency,
            word=word,
            thumbnail=_from_sheet(night, document, objects),
        )
        html.write_text(page, encoding="utf-8", errors="replace")
    return ReportFiles(
        folder=folder, html=html, json=data, junit=junit, attachments=tuple(attachments.paths())
    )


def _from_sheet(night: Night, document: Mapping[str, Any], objects: Objects) -> Thumbnail | None:
    """The pictures of a run's shots out of its contact sheet; None where it has none."""
    if not document.get("sheet"):
        return None
    from flows.report.night.page import THUMBNAIL
    from flows.report.night.pictures import cut_sheet, jpeg_uri
    from tasks.frames.contact_sheet import COLUMNS, GAP, LABEL, SHEET_WIDTH

    episode = night.episodes[0]
    shown = [shot for shot in episode.shots if shot.state == "rendered"]
    cells = cut_sheet(
        objects.get(str(document["sheet"]), episode),
        len(shown),
        columns=COLUMNS,
        gap=GAP,
        width=SHEET_WIDTH,
    )
    pictures = {
        shot.id: jpeg_uri(cell[:-LABEL], width=THUMBNAIL, quality=70)
        for shot, cell in zip(shown, cells, strict=False)
    }

    def uri(_: NightEpisode, shot: NightShot) -> str:
        return pictures.get(shot.id, "")

    return uri


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DougaError(
            f"the report cannot be written ({os_reason(error)})",
            where=str(place),
            remedy="name another folder",
        ) from error
