"""From stored segments to a verified film under its name, and the record of it in the store."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import EncodeError, UsageError
from cluster.keys import Key, digest_file, make_key
from flows.changes.manifest import write_missing_manifests
from flows.farm.notes import gather_notes
from flows.farm.shot import ShotResult
from flows.farm.summary import sum_up
from flows.plan.partial_record import ask_store
from flows.plan.plan import RenderPlan
from flows.plan.prepare import Prepared
from flows.plan.preview import previewed_shots, waiting_previews
from flows.progress import Reporter
from flows.review.gate import waiting_shots
from flows.review.proxy import Proxy, make_proxy
from flows.review.sheet import store_sheet
from flows.runs.result import EpisodeResult
from flows.verify.check import check_film
from tasks.assemble import FilmInfo, assemble_film
from tasks.worker.item import asset_name, segment_name, source_name
from tasks.worker.readers import pack_index

FILM_FORMAT = 1
"""Raised when the same segments would be joined into another file."""


def upload_inputs(prepared: Prepared) -> None:
    """Put into the store what workers read besides frames: indices, assets, and the sources
    themselves where workers on other machines could not open their paths."""
    store = prepared.store
    for index, name in prepared.index_names():
        if not store.has([name]):
            store.put(name, pack_index(index))
        copy = source_name(index.digest)
        distant = prepared.request.ray and store.url.startswith("s3://")
        plain = "://" not in index.path and Path(index.path).is_file()
        if distant and plain and not store.has([copy]):
            store.put_file(copy, Path(index.path))
    for entry in prepared.inputs:
        for path, digest in entry.assets.items():
            if not store.has([asset_name(digest)]):
                store.put_file(asset_name(digest), Path(prepared.request.episode.resolve(path)))


def check_output(prepared: Prepared) -> None:
    """See, before the work begins, that the film can lie where it is to go.

    UsageError where its name is a source's or a folder's; EncodeError where nothing can be written.
    Makes nothing, not even the folders that are missing.
    """
    film = Path(prepared.request.output)
    episode = prepared.request.episode
    sources = [Path(episode.resolve(source.path)) for source in episode.sources]
    if film.exists() and any(path.exists() and path.samefile(film) for path in sources):
        raise UsageError(
            "the film would replace its own source", where=str(film), remedy="name another with -o"
        )
    if film.is_dir():
        raise UsageError("is a folder", where=str(film), remedy="name a file with -o")
    there = next(folder for folder in film.parents if folder.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise _unwritable(film, error) from error


def _unwritable(film: Path, error: OSError) -> EncodeError:
    why = (error.strerror or str(error)).lower()
    return EncodeError(
        f"cannot be written ({why})", where=str(film), remedy="name another place with -o"
    )


def finish_film(
    prepared: Prepared,
    results: Sequence[ShotResult],
    reporter: Reporter,
    *,
    began: float,
    render_s: float = 0.0,
    quarantined: tuple[str, ...] = (),
) -> EpisodeResult:
    """Assemble and verify the film if every shot is there; what the run came to."""
    store = prepared.store
    plan = ask_store(store, prepared.plan)
    made = Made()
    film: Path | None = None
    complete = all(plan.is_done(shot) for shot in plan.shots)
    gate = prepared.request.episode.review.gate
    waiting = waiting_shots(store, plan) if complete and gate else []
    if complete and not waiting:
        film = Path(prepared.request.output)
        record = _film_record(prepared, plan)
        known = _known_film(prepared, film, record)
        if known is None:
            write_missing_manifests(store, plan)
            made = _make_film(prepared, plan, film, reporter)
            if made.findings:
                film = None
            else:
                _record_film(prepared, plan, film, record, made.notes)
        else:
            made = Made(notes=known)
    else:
        write_missing_manifests(store, plan)
    shown: Proxy | None = None
    if previewed_shots(plan) and prepared.request.preview_every and not _failed(results):
        waiting = waiting_previews(store, plan, every=prepared.request.preview_every)
        shown = make_proxy(prepared, plan, reporter)
    sheet = shown.sheet if shown else store_sheet(store, plan, made={r.shot for r in results})
    left = gather_notes(store, plan, Path(prepared.request.output))
    return sum_up(
        prepared,
        plan,
        results,
        film=film,
        verified=film is not None,
        notes=(*made.notes, *left),
        findings=made.findings,
        sheet=sheet,
        waiting=tuple(f"{shot}: {why}" for shot, why in waiting),
        preview=str(shown.film) if shown else None,
        wall_s=time.monotonic() - began,
        render_s=render_s,
        quarantined=quarantined,
    )


def _failed(results: Sequence[ShotResult]) -> bool:
    return any(result.error is not None for result in results)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of making a film: what to know of it, what is wrong with it."""

    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def _make_film(prepared: Prepared, plan: RenderPlan, film: Path, reporter: Reporter) -> Made:
    """Assemble beside the film's place, verify, and only then give it its name.

    One that is found wanting is kept as `NAME.wanting.SUFFIX` and replaces nothing.
    """
    with _folder_beside(film) as folder:
        fresh = Path(folder) / film.name
        info = _assemble(prepared, plan, fresh, reporter)
        checked = check_film(prepared, plan, fresh, reporter)
        findings = tuple(f"{found}; next: {found.next}" for found in checked.findings)
        if not findings:
            fresh.replace(film)
            return Made(notes=info.notes)
        wanting = film.with_name(f"{film.stem}.wanting{film.suffix}")
        fresh.replace(wanting)
        kept = f"what was found wanting lies at {wanting}"
        return Made(notes=(*info.notes, kept), findings=findings)


def _assemble(prepared: Prepared, plan: RenderPlan, fresh: Path, reporter: Reporter) -> FilmInfo:
    """Fetch the segments beside the film (one file system) and join them."""
    reporter.phase("assembling")
    paths: list[Path] = []
    for shot in plan.shots:
        if shot.segment is not None:
            paths.append(fresh.with_name(f".{shot.shot.id}.mkv"))
            prepared.store.get_file(segment_name(shot.segment.key), paths[-1])
    info = assemble_film(
        fresh,
        segments=paths,
        times=plan.times,
        end=plan.end,
        picture=plan.picture,
        container=prepared.request.container,
        passthrough=prepared.passthrough,
        metadata={"comment": f"rendered by douga, run {plan.run}"},
        progress=lambda done, total: reporter.fraction(done / total),
    )
    for path in paths:
        path.unlink()
    return info


@contextmanager
def _folder_beside(film: Path) -> Iterator[str]:
    """A folder of our own where the film goes, for the length of a `with`."""
    try:
        film.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".douga-", dir=film.parent)
    except OSError as error:
        raise _unwritable(film, error) from error
    with folder as name:
        yield name


def _film_record(prepared: Prepared, plan: RenderPlan) -> Key:
    """The key of everything that the film is made of."""
    return make_key(
        {
            "format": FILM_FORMAT,
            "segments": [shot.segment.key for shot in plan.shots if shot.segment],
            "times": make_key(plan.times),
            "end": plan.end,
            "container": prepared.request.container,
            "sources": [index.digest for index in prepared.indices],
            "audio": prepared.request.episode.delivery.audio,
        }
    )


def _known_film(prepared: Prepared, film: Path, record: Key) -> tuple[str, ...] | None:
    """The notes of the film if the file under its name is the one that was made and verified."""
    name = f"films/{prepared.name}/{record}.json"
    if not film.is_file() or not prepared.store.has([name]):
        return None
    known = json.loads(prepared.store.get(name))
    if film.stat().st_size != known["size_bytes"] or digest_file(film) != known["digest"]:
        return None
    return tuple(known["notes"])


def _record_film(
    prepared: Prepared, plan: RenderPlan, film: Path, record: Key, notes: Sequence[str]
) -> None:
    segments = [segment_name(shot.segment.key) for shot in plan.shots if shot.segment]
    document = {
        "film": str(film),
        "size_bytes": film.stat().st_size,
        "digest": digest_file(film),
        "run": prepared.plan.run,
        "notes": list(notes),
        "segments": segments,
    }
    name = f"films/{prepared.name}/{record}.json"
    prepared.store.put(name, json.dumps(document, indent=1).encode())
