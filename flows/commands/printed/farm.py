"""What commands print of a farm: its queue, its nodes, what serves it."""

from __future__ import annotations

from flows.commands.printed.base import Printed
from flows.queue.line import Standing
from flows.queue.submission import SentFile, SubmissionEnd


class Up(Printed):
    deployment: str | None
    id: str | None
    api: str
    lasting: bool
    served: bool
    farm: str = ""
    cron: str | None
    timezone: str | None


class Down(Printed):
    taken_away: list[str]


class Doing(Printed):
    episode: str
    run: str
    workers: int


class WordOnNode(Printed):
    kind: str
    by: str
    at: str
    why: str
    until: str
    said: str


class FarmNode(Printed):
    """`out` says why renders leave it alone, `here` whether it told of itself just now, `load` is
    per core."""

    name: str
    state: str
    here: bool
    out: WordOnNode | None
    doing: list[Doing]
    host: str
    cpus: float
    memory_bytes: int
    cards: list[str]
    tags: list[str]
    licences: dict[str, int]
    douga: str
    ray: str
    load: float
    disk_free_bytes: int
    seen_at: str | None


class Farm(Printed):
    farm: str
    nodes: list[FarmNode]


class Submitted(Printed):
    """What `submit` handed in; with --dry-run only the episode and its files, with --wait the end
    too."""

    episode: str
    files: list[SentFile]
    job: str = ""
    queue: str = ""
    store: str = ""
    farm: str = ""
    ended: SubmissionEnd | None = None
    film: str = ""


class QueuedRun(Printed):
    """`position` counts those that wait, from 1; 0: it goes, or is paused. Times are ISO 8601."""

    job: str
    episode: str
    queue: str
    state: Standing
    position: int
    holds: int
    wants: int
    why: str
    by: str
    deadline: str
    late: bool
    since: str
    store: str


class QueueDocument(Printed):
    farm: str
    host: str
    runs: list[QueuedRun]


class Ordered(Printed):
    job: str
    episode: str
    was: Standing


class Orders(Printed):
    """What `pause`, `resume` and `cancel` were done to."""

    paused: list[Ordered] = []
    resumed: list[Ordered] = []
    cancelled: list[Ordered] = []


class Moved(Printed):
    job: str
    episode: str
    queue: str


class Recovered(Printed):
    queued: list[Moved]
