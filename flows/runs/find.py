"""Which run or night is meant by a run's, job's, episode's or nightly's name."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from cluster.errors import UsageError
from cluster.store.base import Store
from flows.runs.job import all_jobs, last_claim
from flows.runs.state import places

SIMILAR = 5
"""So many names are offered where one is not known."""


def find_place(store: Store, name: str) -> tuple[str, str]:
    """The place of what is meant, and the name of the claim on it where it was named by its job.

    A run or a night by its own name; a job's newest attempt; the newest run of an episode or night
    of a nightly; `EPISODE/RUN` names one run alone. UsageError, with the nearest names, for one
    that nothing has.
    """
    known = places(store)
    path = name.strip("/").removesuffix(".json")
    exact = [p for p in known if path in (p, p.partition("/")[2], p.rpartition("/")[2])]
    if exact:
        return exact[-1], ""
    if len(name) <= 1000 and name in all_jobs(store):
        claim = last_claim(store, name)
        if claim is not None:
            return claim.place, claim.name
    named = [place for place in known if place.split("/")[1] == name]
    if named:
        return named[-1], ""
    raise _unknown(name, store, known)


def _unknown(name: str, store: Store, known: Sequence[str]) -> UsageError:
    jobs = all_jobs(store)
    names = {part for place in known for part in place.split("/")[1:]} | jobs
    near = get_close_matches(name, sorted(names), n=SIMILAR, cutoff=0.5)
    newest = [place.rpartition("/")[2] for place in reversed(known)][:SIMILAR]
    if near:
        remedy = f"did you mean {' or '.join(near)}?"
    elif newest:
        remedy = f"the newest are {', '.join(newest)}; see douga status"
    else:
        remedy = "it has none at all: name the right one with --store"
    return UsageError(
        f"no run, job, episode or nightly {name[:100]!r} in {store.url}", remedy=remedy
    )
