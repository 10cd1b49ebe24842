"""A desk: its stores, its people, what it makes, and what it does of itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import DougaError, RefusedError
from cluster.settings import user_name
from cluster.store.records import shape
from flows.desk.access import Accounts, Attempts, Person, Role, Sessions, read_networks
from flows.desk.audit import AuditLog
from flows.desk.farm import FarmNodes, FarmQueue
from flows.desk.feed import Feed
from flows.desk.go_on import Renders
from flows.desk.library import Change, Library, Shelf
from flows.desk.media import Media
from flows.desk.shots import Episode, fold, gather
from flows.plan.decisions import Decision, write_decision
from flows.review.gate import new_decision
from flows.runs.night import Night, NightShot
from flows.runs.nights import Acceptance, PastNight, night_name

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How people come in: `local` without accounts and proxies, on this machine alone; else by
    accounts, and from `proxies` by the header `header`."""

    local: bool
    proxies: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a person decides on a shot: `seen` is the key of what they saw, a segment's or where
    `of` says so a preview's; `frame` and `strokes` as for `Decision`."""

    shot: str
    seen: str
    verdict: str
    of: str = "segment"
    note: str = ""
    frame: int | None = None
    strokes: str = ""


class Desk:
    """All that pages and API share. `folder` is its own, of mode 700; `urls` names the stores, and
    is asked again at every listing, for renders bring new ones."""

    def __init__(self, folder: Path, urls: Callable[[], Iterable[str]], access: Access) -> None:
        self.access = access
        self.networks = read_networks(access.proxies)
        self.library = Library(urls)
        self.media = Media(folder / "media")
        self.accounts = Accounts(folder)
        self.sessions = Sessions(folder)
        self.attempts = Attempts()
        self.audit = AuditLog(folder / "audit.jsonl")
        self.queue = FarmQueue()
        self.nodes = FarmNodes()
        self.renders = Renders(folder / "renders", tell=self._tell_failed)
        self.feed = Feed(self.library, hear=self.hear)
        self.local_person = Person(name=user_name(), role=Role.ADMIN, session="local")

    def episode(self, shelf: Shelf, name: str) -> Episode | None:
        """An episode as it stands; None where the store knows no run of it."""
        facts = gather(self.library, shelf, name)
        return fold(facts) if facts else None

    def episodes(self) -> list[Episode]:
        """Every episode of every store."""
        named = ((shelf, name) for shelf in self.library.shelves for name in shelf.episodes())
        found = (self.episode(shelf, name) for shelf, name in named)
        return [episode for episode in found if episode]

    def nightlies(self, shelf: Shelf) -> list[str]:
        """The nightlies of a store."""
        return sorted({entry.name.split("/")[1] for entry in shelf.under("nights/")})

    def measured(self) -> dict[tuple[str, str], NightShot]:
        """What the newest night of each nightly measured, by episode and shot."""
        found: dict[tuple[str, str], NightShot] = {}
        for shelf in self.library.shelves:
            for nightly in self.nightlies(shelf):
                for past in self.past_nights(shelf, nightly, most=1):
                    for episode in past.night.episodes:
                        found |= {(episode.episode, shot.id): shot for shot in episode.shots}
        return found

    def past_nights(self, shelf: Shelf, nightly: str, *, most: int) -> list[PastNight]:
        """The newest nights of a nightly, the newest first; one that is damaged is left out."""
        listed = [entry.name for entry in shelf.under(f"nights/{nightly}/")]
        names = [name for name in reversed(listed) if "." not in name.removesuffix(".json")][:most]
        then = "that night is not shown"
        nights = self.library.records(shelf, names, Night.from_json, then=then)
        return [PastNight(night=n, accepted=self._accepted(shelf, n)) for n in nights if n]

    def night(self, shelf: Shelf, nightly: str, night: str) -> Night | None:
        """A night by its name; None where it is not there or damaged."""
        name = night_name(nightly, night)
        then = "that night is not shown"
        return self.library.record(shelf, name, Night.from_json, then=then)

    def _accepted(self, shelf: Shelf, night: Night) -> tuple[Acceptance, ...]:
        listed = shelf.under(f"nightaccepts/{night.nightly}/{night.night}/")
        names = [entry.name for entry in listed]
        make = shape(Acceptance)
        found = self.library.records(shelf, names, make, then="accept that night again")
        return tuple(each for each in found if each)

    def decide(
        self, shelf: Shelf, episode: Episode, verdicts: Sequence[Verdict], *, by: Person
    ) -> list[Decision]:
        """Put decisions on shots as events. Nothing is put where one of them is not possible.

        RefusedError for a shot that is not there, that nobody can have seen, or that is another one
        by now than what was seen.
        """
        shots = {shot.id: shot for shot in episode.shots}
        made = []
        for each in verdicts:
            shot, where = shots.get(each.shot), f"{episode.name}/{each.shot}"
            if shot is None or not shot.seen:
                raise RefusedError("is not rendered yet", where=where, remedy="render it first")
            if (shot.seen, shot.of) != (each.seen, each.of):
                raise RefusedError(
                    "was rendered anew since you saw it", where=where, remedy="look again"
                )
            made.append(
                new_decision(
                    episode.name,
                    shot.id,
                    shot.seen,
                    "approved" if each.verdict == "approved" else "retake",
                    by=by.name,
                    note=each.note,
                    of="preview" if shot.of == "preview" else "segment",
                    frame=each.frame,
                    strokes=each.strokes,
                )
            )
        for decision in made:
            write_decision(shelf.store, decision)
        self.feed.look_now()
        return made

    def go_on(self, episode: Episode, *, by: str, again: bool = False) -> bool:
        """Run an episode's last command again, or queue it where it came from the queue; whether
        this desk has not done so already, or with `again` is not doing so. RefusedError where it
        cannot be run here."""
        shelf, job = self.library.shelf(episode.store), str(episode.run.document.get("job", ""))
        started = shelf is not None and self.queue.again(shelf.store, job)
        started = started or self.renders.go_on(episode, again=again)
        if started:
            command = str(episode.run.document.get("command", ""))
            self.audit.add(by, "render", where=episode.name, words=command)
        return started

    def _tell_failed(self, episode: str, line: str) -> None:
        self.audit.add("douga", "failed", where=episode, words=line)
        log.warning("%s: the render that the desk started failed: %s", episode, line)

    def hear(self, changes: list[Change]) -> None:
        """After the last approval, whoever put it and wherever, the film goes on."""
        decided = {(each.store, each.episode) for each in changes if each.kind == "decision"}
        for store, name in decided:
            shelf = self.library.shelf(store)
            episode = self.episode(shelf, name) if shelf else None
            if episode is None or not episode.can_go_on:
                continue
            newest = max(
                (shot.decision for shot in episode.shots if shot.decision), key=lambda d: d.at
            )
            try:
                self.go_on(episode, by=newest.by)
            except DougaError as error:
                log.warning("%s", error)
