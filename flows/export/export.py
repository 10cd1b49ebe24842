"""A rendered episode handed back to its editor: its shots as files, and the OTIO naming them.

The files come first, the timeline last and by a rename, so that whoever finds the timeline finds
its media.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from cluster.errors import InputError, UsageError
from cluster.keys import Key
from flows.export.handles import Handles
from flows.export.places import Export, make_folders, write_document
from flows.export.provenance import about_shot, about_timeline, rendered_by
from flows.export.shot_files import write_shot_file
from flows.export.write import Part, Sound, build_timeline, write_edl
from flows.farm.film_record import is_recorded
from flows.plan.decisions import standing_decisions
from flows.plan.plan import ShotPlan
from flows.plan.prepare import Prepared
from flows.progress import Reporter
from flows.timeline.conform import Conformed, conform
from flows.words import count_words, few_words
from tasks.assemble import probe_source
from tasks.worker.item import segment_name


def export_timeline(
    prepared: Prepared, export: Export, handles: Handles, reporter: Reporter
) -> dict[str, Any]:
    """Write the files and the timeline; the document of `douga timeline --json`.

    Errors: InputError naming the shots that are not rendered (unless `partial`), UsageError for a
    film whose rate varies, EncodeError for a place that cannot be written.
    """
    rate = constant_rate(prepared)
    plan = prepared.plan
    shots = [shot for shot in plan.shots if shot.segment is not None]
    missing = refuse_missing(prepared, export)
    container = export.container_of(prepared.request.episode.delivery.encoder)
    edit = _edited(prepared)
    make_folders(export)
    runs = rendered_by(prepared.store, plan.episode, shots)
    decisions = standing_decisions(prepared.store, plan.episode)
    reporter.phase("writing shots")
    parts: list[Part] = []
    files: dict[str, Path] = {}
    items = edit.items if edit else (None,) * len(plan.shots)
    for number, (shot, item) in enumerate(zip(plan.shots, items, strict=True)):
        reporter.fraction(number / len(plan.shots))
        name = shot.shot.id
        if shot.segment is None:
            continue
        head, tail = handles.of(name)
        is_gap = prepared.indices[shot.shot.source].kind == "black"
        if not is_gap and name not in missing:
            files[name] = export.shots / f"{name}.{container}"
            write_shot_file(
                files[name],
                store=prepared.store,
                segments=_segments(shot.segment.key, head, tail),
                frames=_count(head) + len(shot.track) + _count(tail),
                rate=rate,
                picture=plan.picture,
                container=container,
            )
        about = about_shot(prepared, shot, run=runs[name])
        parts.append(
            Part(
                id=name,
                frames=len(shot.track),
                is_gap=is_gap,
                url=export.url(files[name]) if name in files else None,
                head=_count(head),
                tail=_count(tail),
                item=item,
                about=about | ({"clip": item.name} if item is not None else {}),
                decision=decisions.get((name, shot.segment.key)),
            )
        )
    timeline = build_timeline(
        parts,
        name=prepared.name,
        rate=rate,
        about=about_timeline(prepared),
        edited=edit.timeline if edit else None,
        sound=_sound(prepared, export),
    )
    write_document(export.timeline, timeline.to_json_string(indent=2))
    if export.edl is not None:
        write_document(export.edl, write_edl(timeline, rate=rate))
    return _document(prepared, export, parts, files, missing, rate)


def constant_rate(prepared: Prepared) -> Fraction:
    """The film's one rate. UsageError where it varies: a timeline counts frames."""
    plan = prepared.plan
    times = [*plan.times, plan.end]
    step = (times[-1] - times[0]) / (len(times) - 1)
    if any(time != times[0] + k * step for k, time in enumerate(times)):
        raise UsageError(
            "the film's rate varies, and a timeline counts frames of one rate",
            where=prepared.name,
            remedy="give the recipe a rate, as interpolate: {rate: 24}",
        )
    return 1 / step


def refuse_missing(prepared: Prepared, export: Export) -> list[str]:
    """The shots that are not rendered. InputError naming them unless the export is `partial`."""
    stored = prepared.plan.stored
    missing = [
        shot.shot.id
        for shot in prepared.plan.shots
        if shot.segment and segment_name(shot.segment.key) not in stored
    ]
    if missing and not export.partial:
        raise InputError(
            f"{count_words(len(missing), 'shot')} not rendered: {few_words(missing)}",
            where=prepared.name,
            remedy="render first, or leave them without media with --partial",
        )
    return missing


def _edited(prepared: Prepared) -> Conformed | None:
    """The editor's own timeline, where the episode is cut by one."""
    episode = prepared.request.episode
    if not isinstance(episode.cut, str) or episode.cut == "auto":
        return None
    sources = prepared.indices[: len(episode.sources)]
    return conform(Path(episode.resolve(episode.cut)), sources=sources)


def _segments(own: Key, head: ShotPlan | None, tail: ShotPlan | None) -> list[Key]:
    around = [part.segment.key if part and part.segment else None for part in (head, tail)]
    return [key for key in (around[0], own, around[1]) if key is not None]


def _count(part: ShotPlan | None) -> int:
    return len(part.track) if part else 0


def _sound(prepared: Prepared, export: Export) -> Sound | None:
    """The film's sound, where the verified film is in its place and has any."""
    film = Path(prepared.request.output)
    if not film.is_file() or not is_recorded(prepared, film):
        return None
    if not probe_source(film).of("audio"):
        return None
    return Sound(
        url=export.url(film),
        first_s=prepared.plan.times[0],
        length_s=prepared.plan.end,
    )


def _document(
    prepared: Prepared,
    export: Export,
    parts: Sequence[Part],
    files: Mapping[str, Path],
    missing: Sequence[str],
    rate: Fraction,
) -> dict[str, Any]:
    return {
        "episode": prepared.name,
        "timeline": str(export.timeline),
        "edl": str(export.edl) if export.edl else None,
        "rate": str(rate),
        "frames": sum(part.frames for part in parts),
        "missing": list(missing),
        "shots": [
            {
                "id": part.id,
                "file": str(files[part.id]) if part.id in files else None,
                "gap": part.is_gap,
                "frames": part.frames,
                "head": part.head,
                "tail": part.tail,
            }
            for part in parts
        ],
    }
