"""A night as JUnit XML, as Jenkins, GitLab and GitHub's readers take it.

A suite per episode, a case per shot, and a case `film` for what concerns the whole film. The
elements are those of Jenkins' schema (junit-10.xsd); a shot's log and frames are named in its
`system-out` as `[[ATTACHMENT|path]]` and in the suite's properties.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from flows.report.night.attachments import Attached, Attachments
from flows.report.night.words import regression_words
from flows.runs.night import Night, NightEpisode, NightShot
from flows.runs.outcome import Outcome, Verdict
from flows.words import safe_text

FILM = "film"
GOOD_SHOTS = ("rendered", "stored", "done", "reused")
"""States of a shot that is there; the others were not asked for, or not reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    seconds: float
    verdict: Verdict
    kind: str = ""
    message: str = ""
    attached: Attached


def junit_xml(night: Night, attachments: Attachments, *, base: Path | None = None) -> bytes:
    """The document, in UTF-8. Attachments are named from `base`, the working folder where none is
    given, if they lie under it, else by their whole path."""
    base = (base or Path.cwd()).resolve()
    root = ET.Element("testsuites", name=safe_text(night.nightly))
    counts = {"tests": 0, "failures": 0, "errors": 0}
    for number, episode in enumerate(night.episodes):
        suite = _suite(night, episode, number, attachments, base)
        for count in counts:
            counts[count] += int(suite.get(count, "0"))
        root.append(suite)
    for count, value in counts.items():
        root.set(count, str(value))
    root.set("time", f"{sum(episode.wall_s for episode in night.episodes):.3f}")
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(
    night: Night, episode: NightEpisode, number: int, attachments: Attachments, base: Path
) -> ET.Element:
    cases = [_shot_case(episode, shot, attachments) for shot in episode.shots]
    cases.append(_film_case(episode, attachments))
    verdicts = [case.verdict for case in cases]
    suite = ET.Element(
        "testsuite",
        name=safe_text(episode.episode),
        id=str(number),
        package=safe_text(episode.show or night.nightly),
        tests=str(len(cases)),
        failures=str(verdicts.count("failure")),
        errors=str(verdicts.count("error")),
        skipped=str(verdicts.count("skipped")),
        time=f"{episode.wall_s:.3f}",
        timestamp=_timestamp(night.began_at),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(night, episode, cases, base):
        ET.SubElement(properties, "property", name=safe_text(name), value=safe_text(value))
    for case in cases:
        suite.append(_element(episode, case, base))
    return suite


def _properties(
    night: Night, episode: NightEpisode, cases: Iterable[_Case], base: Path
) -> Iterable[tuple[str, str]]:
    known = {
        "nightly": night.nightly,
        "night": night.night,
        "show": episode.show,
        "run": episode.run,
        "state": episode.state,
        "film": episode.film,
        "store": episode.store,
    }
    yield from ((name, value) for name, value in known.items() if value)
    yield "gpu_hours", f"{episode.gpu_hours:.4f}"
    yield "cpu_hours", f"{episode.cpu_hours:.4f}"
    yield "money", f"{episode.money:.4f}"
    for case in cases:
        if case.attached.log is not None:
            yield f"{case.name}.log", _named(case.attached.log, base)
        if case.attached.frames:
            yield f"{case.name}.frame", _named(case.attached.frames[0], base)


def _shot_case(episode: NightEpisode, shot: NightShot, attachments: Attachments) -> _Case:
    attached = attachments.of(episode.episode, shot.id)
    verdict: Verdict = "good"
    kind = message = ""
    if shot.state == "failed" or shot.error:
        verdict, kind = "failure", "failed"
        message = shot.error or "failed"
    elif shot.regressions:
        verdict, kind, message = "failure", "regressed", regression_words(shot.regressions)
    elif shot.state not in GOOD_SHOTS:
        verdict, message = "skipped", shot.state
    return _Case(
        name=shot.id,
        seconds=shot.seconds,
        verdict=verdict,
        kind=kind,
        message=message,
        attached=attached,
    )


def _film_case(episode: NightEpisode, attachments: Attachments) -> _Case:
    verdict, kind = episode.state.verdict, episode.state.value
    message = episode.why or episode.state.words
    if episode.state is Outcome.DONE and episode.regressions:
        verdict, kind, message = "failure", "regressed", regression_words(episode.regressions)
    return _Case(
        name=FILM,
        seconds=max(0.0, episode.wall_s - sum(shot.seconds for shot in episode.shots)),
        verdict=verdict,
        kind=kind,
        message=message,
        attached=attachments.of(episode.episode),
    )


def _element(episode: NightEpisode, case: _Case, base: Path) -> ET.Element:
    element = ET.Element(
        "testcase",
        name=safe_text(case.name),
        classname=safe_text(episode.episode),
        time=f"{case.seconds:.3f}",
    )
    message = safe_text(" ".join(case.message.split()))
    if case.verdict == "skipped":
        ET.SubElement(element, "skipped", message=message)
    elif case.verdict != "good":
        found = ET.SubElement(element, case.verdict, message=message, type=case.kind)
        found.text = safe_text(case.attached.log_text or case.message)
    paths = [*case.attached.frames, *filter(None, [case.attached.log])]
    if paths and case.verdict in ("failure", "error"):
        out = ET.SubElement(element, "system-out")
        out.text = safe_text("\n".join(f"[[ATTACHMENT|{_named(path, base)}]]" for path in paths))
    return element


def _named(path: Path, base: Path) -> str:
    whole = path.resolve()
    return os.path.relpath(whole, base) if whole.is_relative_to(base) else str(whole)


def _timestamp(moment: str) -> str:
    """Without fractions and zone, as the schemas want it."""
    try:
        return datetime.fromisoformat(moment).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return "1970-01-01T00:00:00"
