"""A film from stored segments: assembled beside its place, verified, then given its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cluster.errors import DigestError, StoreError
from cluster.keys import Digest, digest_file
from cluster.scratch import sweep_scratch
from cluster.settings import home_folder
from cluster.store.base import NoDigest
from cluster.store.set_aside import set_aside
from flows.changes.manifest import write_missing_manifests
from flows.farm.film_record import record_film, recorded_notes
from flows.farm.output import folder_beside
from flows.plan.audio import local_index
from flows.plan.plan import RenderPlan
from flows.plan.prepare import Prepared
from flows.progress import Reporter
from flows.verify.check import check_film
from flows.verify.segments import read_evidence
from tasks.assemble import FilmInfo, assemble_film
from tasks.decode.source import FILMS
from tasks.decode.unchanged import held_films
from tasks.worker.item import segment_name


class SegmentsLost(StoreError):
    """Segments that were stored were damaged, and are set aside: their shots are to be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The film under its name, None where there is none; what to know of it, what is wrong."""

    film: Path | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def deliver_film(prepared: Prepared, plan: RenderPlan, reporter: Reporter) -> Delivery:
    """The verified film of a plan whose segments are all stored; made only where it is not there.

    One that fails verification is kept as `NAME.wanting.SUFFIX` and replaces nothing. SegmentsLost
    where stored ones were damaged.
    """
    film = Path(prepared.request.output)
    sweep_scratch(film.parent)
    notes = recorded_notes(prepared, plan, film)
    if notes is not None:
        return Delivery(film=film, notes=notes)
    write_missing_manifests(prepared.store, plan)
    films = [local_index(index) for index in prepared.indices if index.kind in FILMS]
    with folder_beside(film) as folder:
        fresh = folder / film.name
        with held_films(films, cache_dir=home_folder("cache")):
            evidence = read_evidence(prepared.store, plan)
            info, digests = _assemble(prepared, plan, fresh, reporter)
            vouched = {s: e for s, e in evidence.items() if e.segment == digests[s]}
            checked = check_film(prepared, plan, fresh, reporter, evidence=vouched)
        if checked.findings:
            failed = film.with_name(f"{film.stem}.wanting{film.suffix}")
            fresh.replace(failed)
            kept = f"the film that failed verification is at {failed}"
            findings = tuple(f"{found}; next: {found.next}" for found in checked.findings)
            return Delivery(notes=(*info.notes, kept), findings=findings)
        fresh.replace(film)
    record_film(prepared, plan, film, info.notes)
    return Delivery(film=film, notes=info.notes)


def _assemble(
    prepared: Prepared, plan: RenderPlan, fresh: Path, reporter: Reporter
) -> tuple[FilmInfo, dict[str, Digest]]:
    """Fetch the segments beside the film (one file system) and join them; the digest of each."""
    reporter.phase("assembling")
    paths: list[Path] = []
    digests: dict[str, Digest] = {}
    lost: list[str] = []
    for shot in plan.shots:
        if shot.segment is not None:
            name = segment_name(shot.segment.key)
            paths.append(fresh.with_name(f".{shot.shot.id}.mkv"))
            try:
                prepared.store.get_file(name, paths[-1])
                digests[shot.shot.id] = digest_file(paths[-1])
            except NoDigest:
                raise
            except DigestError as error:
                if error.retryable:  # on the way, not in the store
                    raise
                try:
                    set_aside(prepared.store, name)
                except StoreError:  # the key may not
                    raise error from None
                lost.append(shot.shot.id)
    if lost:
        raise SegmentsLost(
            f"segments were damaged and are set aside ({', '.join(lost)})",
            where=prepared.name,
            remedy="run the same again to make them",
            retryable=True,
        )
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
    return info, digests
