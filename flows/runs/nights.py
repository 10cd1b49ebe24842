"""What earlier nights say: each show's use of the farm, and what was last good. Nothing rewritten.

A night lies in the store as `nights/NIGHTLY/NIGHT.json`; that a person accepted what came out
different, as `nightaccepts/NIGHTLY/NIGHT/KEY.json`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice

from cluster.errors import UsageError
from cluster.keys import make_key
from cluster.store.base import NotStored, Store
from cluster.store.records import (
    DamagedRecord,
    note_damage,
    read_if_whole,
    read_record,
    record_text,
    shape,
)
from flows.runs.night import Night, NightEpisode, NightShot
from flows.runs.outcome import Outcome

PREFIX = "nights/"
ACCEPTS = "nightaccepts/"
SHARED_NIGHTS = 30
"""Nights that fair share looks back on, and a report shows."""
COMPARED = (Outcome.DONE, Outcome.WAITING)
"""States of an episode whose shots are all rendered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A person's word that what a night came to is right. `shots` are EPISODE/SHOT; an EPISODE
    alone stands for its film and all its shots; none: the whole night."""

    nightly: str
    night: str
    by: str
    at: str
    shots: tuple[str, ...] = ()
    note: str = ""

    def covers(self, episode: str, shot: str = "") -> bool:
        """Whether it speaks of a shot, or of the film where `shot` is empty."""
        return not self.shots or episode in self.shots or f"{episode}/{shot}" in self.shots


@dataclass(frozen=True, slots=True, kw_only=True)
class PastNight:
    """A night that was, and what people accepted of it."""

    night: Night
    accepted: tuple[Acceptance, ...] = ()

    def stands(self, episode: NightEpisode, shot: NightShot | None) -> bool:
        """Whether a shot, or the film where it is None, may be compared with: its episode came out
        without a regression that nobody accepted, or it was accepted itself."""
        if episode.state not in COMPARED:
            return False
        if any(each.covers(episode.episode, shot.id if shot else "") for each in self.accepted):
            return True
        film_good = not episode.regressions or self._accepts(episode.episode, "")
        return film_good and all(
            not each.regressions or self._accepts(episode.episode, each.id)
            for each in episode.shots
        )

    def _accepts(self, episode: str, shot: str) -> bool:
        return any(each.covers(episode, shot) for each in self.accepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """What an episode is compared with. `shots` by their id, each from the newest night in which it
    stands; `timed` those that were rendered whole, from the newest such night."""

    film: NightEpisode | None
    film_night: str
    shots: dict[str, NightShot]
    timed: dict[str, NightShot]


def night_name(nightly: str, night: str) -> str:
    """Where the store keeps a night."""
    return f"{PREFIX}{nightly}/{night}.json"


def night_names(store: Store, nightly: str) -> list[str]:
    """The nights of a nightly, oldest first."""
    names = (entry.name.rpartition("/")[2] for entry in store.list(f"{PREFIX}{nightly}/"))
    nights = (name.removesuffix(".json") for name in names)
    return sorted(night for night in nights if "." not in night)  # others are older words on them


class Past:
    """A nightly's nights from the newest to the oldest, each read once, when it is asked for.

    What is damaged is left out; `unread` has the names of these records, as far as was read.
    """

    def __init__(self, store: Store, nightly: str, *, before: str = "") -> None:
        self.unread: list[str] = []
        self._to_come = _read_past(store, nightly, before=before, unread=self.unread)
        self._known: list[PastNight] = []

    def __iter__(self) -> Iterator[PastNight]:
        place = 0
        while place < len(self._known) or self._read_on():
            yield self._known[place]
            place += 1

    def _read_on(self) -> bool:
        for each in self._to_come:
            self._known.append(each)
            return True
        return False


def _read_past(
    store: Store, nightly: str, *, before: str, unread: list[str]
) -> Iterator[PastNight]:
    accepted: dict[str, list[str]] = defaultdict(list)
    for entry in store.list(f"{ACCEPTS}{nightly}/"):
        accepted[entry.name.split("/")[2]].append(entry.name)
    for night in reversed(night_names(store, nightly)):
        if before and night >= before:
            continue
        name = night_name(nightly, night)
        try:
            found = read_record(store, name, Night.from_json)
        except NotStored:
            continue
        except DamagedRecord as error:
            note_damage(error, then="nothing is compared with that night")
            unread.append(name)
            continue
        words = (_read_acceptance(store, name) for name in accepted[night])
        yield PastNight(night=found, accepted=tuple(each for each in words if each))


def last_good(
    past: Iterable[PastNight],
    episode: str,
    *,
    shots: AbstractSet[str] | None = None,
    timed: AbstractSet[str] = frozenset(),
) -> LastGood:
    """What stands of an episode, from nights given newest first.

    With `shots` no more nights are looked at than it takes to find these, the film, and when those
    of `timed` were rendered whole.
    """
    film: NightEpisode | None = None
    film_night = ""
    standing: dict[str, NightShot] = {}
    whole: dict[str, NightShot] = {}
    for each in past:
        found = next((one for one in each.night.episodes if one.episode == episode), None)
        if found is None:
            continue
        if film is None and each.stands(found, None):
            film, film_night = found, each.night.night
        for shot in found.shots:
            if shot.segment and each.stands(found, shot):
                standing.setdefault(shot.id, shot)
                if shot.computed and shot.computed == shot.chunks:
                    whole.setdefault(shot.id, shot)
        if (
            film is not None
            and shots is not None
            and shots <= standing.keys()
            and timed <= whole.keys()
        ):
            break
    return LastGood(film=film, film_night=film_night, shots=standing, timed=whole)


def hours_by_show(nights: Iterable[Night]) -> dict[str, float]:
    """Device hours that each show has had."""
    used: dict[str, float] = defaultdict(float)
    for night in nights:
        for episode in night.episodes:
            used[episode.show] += episode.gpu_hours + episode.cpu_hours
    return dict(used)


def accept(
    store: Store, nightly: str, *, night: str = "", shots: Sequence[str] = (), by: str, note: str
) -> Acceptance:
    """Record that a night, or some of it, is what later ones are to be compared with.

    Without a night the newest. UsageError for a night, episode or shot that there is not, or that
    was not rendered whole: nothing can be compared with it.
    """
    names = night_names(store, nightly)
    if not names or (night and night not in names):
        raise UsageError(
            f"no night {night!r}" if names else "no night is kept",
            where=f"{store.url}: {PREFIX}{nightly}/",
            remedy=f"the newest is {names[-1]}" if names else "run it, or name its --store",
        )
    chosen = night or names[-1]
    kept = read_record(store, night_name(nightly, chosen), Night.from_json)
    known = {episode.episode: episode for episode in kept.episodes}
    known |= {f"{each.episode}/{shot.id}": each for each in kept.episodes for shot in each.shots}
    for name in shots:
        if name not in known:
            raise UsageError(
                f"no {name!r} in it",
                where=f"night {chosen}",
                remedy="name episodes as ep01, shots as ep01/sh010",
            )
    asked = [known[name] for name in shots] or list(kept.episodes)
    void = [each for each in asked if each.state not in COMPARED]
    if void and (shots or len(void) == len(asked)):
        raise UsageError(
            f"{void[0].episode} ended {void[0].state.words!r}: nothing can be compared with that",
            where=f"night {chosen}",
            remedy="name with --night one in which it was rendered whole",
        )
    acceptance = Acceptance(
        nightly=nightly,
        night=chosen,
        by=by,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        shots=tuple(shots),
        note=note,
    )
    name = f"{ACCEPTS}{nightly}/{chosen}/{make_key(acceptance)}.json"
    store.put(name, record_text(asdict(acceptance), ensure_ascii=False).encode())
    return acceptance


def standing_segments(store: Store) -> tuple[frozenset[str], tuple[str, ...]]:
    """Every segment that a next night may be compared with, as the store names it: what `douga gc`
    must leave. The newest night's too, for a person may still accept it. Then the names of nights
    that are damaged: which they name is not known."""
    kept: set[str] = set()
    unread: list[str] = []
    nightlies = {entry.name.split("/")[1] for entry in store.list(PREFIX)}
    for nightly in nightlies:
        past = Past(store, nightly)
        for newest in islice(past, 1):
            kept |= {shot.segment for each in newest.night.episodes for shot in each.shots}
        episodes = {each.episode for one in past for each in one.night.episodes}
        for episode in episodes:
            kept |= {shot.segment for shot in last_good(past, episode).shots.values()}
        unread += past.unread
    return frozenset(kept - {""}), tuple(unread)


def _read_acceptance(store: Store, name: str) -> Acceptance | None:
    return read_if_whole(store, name, shape(Acceptance), then="accept that night again")
