"""Every kind of object that a store holds: how one is read, and what the loss of one costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from cluster.chunks.chunk import iter_frames
from cluster.errors import DigestError
from cluster.keys import digest_bytes
from cluster.ledger.parts import check_receipts
from cluster.ledger.receipts import PREFIX as LEDGER
from cluster.node.records import HERE, NODES, Here, Out
from cluster.scratch import scratch_folder
from cluster.store.base import Store
from cluster.store.records import parse_record, shape
from cluster.store.set_aside import DAMAGED
from flows.changes.manifest import manifest_of
from flows.farm.film_record import RecordedFilm
from flows.farm.pins import PINS, SWEEPS, pinned_names
from flows.farm.shares import LIVE, ORDERS, Order
from flows.nightly.collect import FRAMES
from flows.plan.decisions import Decision
from flows.plan.partial_record import PARTIALS, recorded_spans
from flows.plan.preview import shown_shots
from flows.queue.submission import DELIVERED, ENDED, SUBMITTED, Submission, SubmissionEnd
from flows.runs.failure import PREFIX as FAILURES
from flows.runs.failure import known_failure
from flows.runs.job import JOBS, claim_of
from flows.runs.night import Night
from flows.runs.nights import ACCEPTS, Acceptance
from flows.runs.record import BEGUN
from flows.runs.state import NIGHTS, RUNS, beginning, whole_run
from tasks.verify import read_packet_digests
from tasks.verify.evidence import evidence_of
from tasks.worker.notes import unpack_notes
from tasks.worker.readers import unpack_index

Look = Callable[[Store, str, bytes], None]
"""Reads the bytes of an object by its name. DigestError, DamagedRecord or InputError where they are
not of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Objects under a prefix; where it says so, under PREFIX/NAME/`inside`/, or with an ending.

    `costs` is what the loss of one costs. Of one that `proves` itself no bit can change unseen,
    with or without a digest. What is not to be `set_aside` stays where it is, for the reason that
    `costs` gives.
    """

    prefix: str
    what: str
    costs: str
    look: Look
    inside: str = ""
    ending: str = ""
    proves: bool = False
    set_aside: bool = True

    def holds(self, name: str) -> bool:
        """Whether an object is of this kind."""
        inside = name.split("/")[2:3] == [self.inside] or not self.inside
        return name.startswith(self.prefix) and inside and name.endswith(self.ending)


def kind_of(name: str) -> Kind | None:
    """The kind of an object by its name; None for one that douga does not know."""
    return next((kind for kind in KINDS if kind.holds(name)), None)


def _record(make: Callable[[Any], object]) -> Look:
    def look(store: Store, name: str, data: bytes) -> None:
        parse_record(store, name, data, make)

    return look


def _run(store: Store, name: str, data: bytes) -> None:
    parse_record(store, name, data, partial(whole_run, store.url))


def _chunk(_store: Store, _name: str, data: bytes) -> None:
    for _ in iter_frames(data):  # one at a time: whole chunks of 4K are gigabytes
        pass


def _segment(_store: Store, _name: str, data: bytes) -> None:
    with scratch_folder("check") as folder:
        file = folder / "segment.mkv"
        try:
            file.write_bytes(data)
        except OSError as error:  # no fault of the segment's
            raise OSError(error.errno, error.strerror, str(folder)) from error
        read_packet_digests(file)


def _notes(_store: Store, _name: str, data: bytes) -> None:
    unpack_notes(data)


def _index(_store: Store, _name: str, data: bytes) -> None:
    unpack_index(data)


def _named_by_content(_store: Store, name: str, data: bytes) -> None:
    if name.rpartition("/")[2].partition(".")[0] != digest_bytes(data):
        raise DigestError("its name tells of other bytes")


def _picture(_store: Store, _name: str, data: bytes) -> None:
    if not data or cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is None:
        raise DigestError("not a picture")


def _anything(_store: Store, _name: str, _data: bytes) -> None:
    """Nothing is expected of it."""


def _night(document: Any) -> Night:
    return Night.from_json({"began_at": "", "ended_at": "", **document})


KINDS = (
    Kind(
        prefix="frames/",
        what="chunk",
        costs="its frames are made again when the episode is rendered, if the source is there",
        look=_chunk,
        proves=True,
    ),
    Kind(
        prefix="segments/",
        what="segment",
        costs="its shot is encoded again when the episode is rendered",
        look=_segment,
    ),
    Kind(
        prefix="evidence/",
        what="evidence of a segment",
        costs="its shot is looked at again when its film is assembled",
        look=_record(evidence_of),
    ),
    Kind(
        prefix="notes/",
        what="notes of a chunk",
        costs="what a stage left for people is lost until its chunk is made again",
        look=_notes,
        proves=True,
    ),
    Kind(
        prefix="probes/",
        what="index of a source",
        costs="nothing: a render puts it anew",
        look=_index,
        proves=True,
    ),
    Kind(
        prefix="assets/",
        what="file of a stage",
        costs="nothing: a render puts it anew",
        look=_named_by_content,
        proves=True,
    ),
    Kind(
        prefix="sources/",
        what="copy of a source",
        costs="a render on a cluster copies the source anew, if it is there",
        look=_anything,
    ),
    Kind(
        prefix="shots/",
        what="manifest of a shot",
        costs="what the shot was made from is forgotten: render the episode before the next gc",
        look=_record(manifest_of),
    ),
    Kind(
        prefix="films/",
        what="record of a film",
        costs="the film is assembled and verified again",
        look=_record(shape(RecordedFilm)),
    ),
    Kind(
        prefix=PARTIALS,
        what="record of partial chunks",
        costs="the frames that it names are made again",
        look=_record(recorded_spans),
    ),
    Kind(
        prefix=RUNS,
        what="record of a run",
        costs="how that run ended is lost",
        look=_run,
    ),
    Kind(
        prefix=BEGUN,
        what="beginning of a run",
        costs="who began that run is lost",
        look=_record(beginning),
    ),
    Kind(
        prefix=NIGHTS,
        what="night",
        costs="what that night came to is lost; later ones are compared with another",
        look=_record(_night),
    ),
    Kind(
        prefix=ACCEPTS,
        what="acceptance of a night",
        costs="a person accepts that night again: douga nightly accept",
        look=_record(shape(Acceptance)),
    ),
    Kind(
        prefix=FRAMES,
        what="picture of a night",
        costs="the report of that night lacks a picture",
        look=_named_by_content,
        proves=True,
    ),
    Kind(
        prefix="reviews/",
        inside="decisions",
        what="decision of a person",
        costs="its shot counts as not decided: decide again with douga approve or retake",
        look=_record(shape(Decision)),
        set_aside=False,
    ),
    Kind(
        prefix="reviews/",
        inside="previews",
        what="record of previews",
        costs="that these previews were shown is forgotten; the next preview says so again",
        look=_record(shown_shots),
    ),
    Kind(
        prefix="reviews/",
        ending=".jpg",
        what="contact sheet",
        costs="the next render makes it again",
        look=_picture,
    ),
    Kind(
        prefix="reviews/",
        ending=".png",
        what="sheet of a preview",
        costs="the next preview makes it again",
        look=_picture,
    ),
    Kind(
        prefix=FAILURES,
        what="failure of a shot",
        costs="why that shot failed is lost",
        look=_record(known_failure),
    ),
    Kind(
        prefix=SUBMITTED,
        ending=ENDED,
        what="end of a submission",
        costs="what came of that submission is forgotten; its run tells",
        look=_record(shape(SubmissionEnd)),
    ),
    Kind(
        prefix=SUBMITTED,
        what="submission",
        costs="the episode is not rendered from the queue: submit it again",
        look=_record(shape(Submission)),
    ),
    Kind(
        prefix=DELIVERED,
        what="delivered film",
        costs="it cannot be fetched: submit the episode again, nothing is rendered twice",
        look=_anything,
    ),
    Kind(
        prefix=ORDERS,
        what="order of a person",
        costs="a render that goes counts in the queue that it was submitted to",
        look=_record(shape(Order)),
    ),
    Kind(
        prefix=JOBS,
        what="claim on a job",
        costs="a job that was done may be done again",
        look=_record(claim_of),
    ),
    Kind(
        prefix=NODES,
        ending=f"/{HERE}.json",
        what="node of a farm",
        costs="nothing: the node tells of itself again",
        look=_record(shape(Here)),
    ),
    Kind(
        prefix=NODES,
        what="word on a node",
        costs="that node counts as out until douga farm undrain, or until it comes back by itself",
        look=_record(shape(Out)),
        set_aside=False,
    ),
    Kind(
        prefix=PINS,
        ending="/names.json",
        what="pin of a run",
        costs="gc removes nothing while that run lives, and this when it has ended",
        look=_record(pinned_names),
        set_aside=False,
    ),
    Kind(
        prefix=LEDGER,
        what="receipts",
        costs="reports and forecasts lack the work that it tells of",
        look=check_receipts,
        proves=True,
    ),
)
LIVING = (PINS, SWEEPS, LIVE, "probe/", DAMAGED)
"""What processes say of themselves while they live, of any content; and what was set aside."""
