"""Every chunk and segment of a plan: stored, undamaged, and as planned."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate

from cluster.chunks.chunk import chunk_info
from cluster.errors import DigestError, InputError, StoreError
from cluster.keys import Key
from cluster.scratch import scratch_folder
from cluster.store.base import NotStored, Store
from cluster.store.records import read_if_whole
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.shot_plan import RunPlan
from flows.verify.expected import SourceComparison
from tasks.frames.picture import Picture
from tasks.verify import Finding, PacketDigests, frames_words, read_packet_digests
from tasks.verify.chunks import ChunkExpectation, ChunkFault, ChunkLook, compare_head
from tasks.verify.evidence import Evidence, evidence_of
from tasks.verify.pictures import Small
from tasks.verify.shown import Mismatch
from tasks.worker.item import WorkItem, chunk_name, evidence_name, segment_name

AS_PUT = "as it was put"
AT_ONCE = 16
"""Records read at once: most of the time of each is the way there and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFinding:
    """A finding with the objects to be made again, `where` counted in the shot as it comes out."""

    finding: Finding
    shot: str
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlace:
    """A chunk of a plan: which one, of which run and shot, and where its shot begins in the film;
    `last` where the film is encoded from it."""

    shot: ShotPlan
    run: RunPlan
    item: WorkItem
    first: int
    last: bool

    key: Key
    """What it is stored under."""
    delivered: Picture

    @property
    def name(self) -> str:
        return chunk_name(self.key)

    @property
    def expected(self) -> ChunkExpectation:
        """What its object should hold."""
        return ChunkExpectation(
            key=self.key,
            stages=self.item.name,
            out=self.item.out,
            track=self.run.track,
            delivered=self.delivered,
        )

    def findings(self, faults: Sequence[ChunkFault]) -> tuple[StoreFinding, ...]:
        """What is wrong with the chunk, as findings."""
        return tuple(self.finding(f.what, f.expected, f.got, frames=f.frames) for f in faults)

    def finding(
        self, what: str, expected: str, got: str, *, frames: tuple[int, int] | None = None
    ) -> StoreFinding:
        """About these frames of the run, all of the chunk's if none are given."""
        span = frames or (self.item.out.start, self.item.out.end)
        stage = "" if self.last else f" {self.run.name}"
        return StoreFinding(
            finding=Finding(
                what=what,
                where=f"{self.shot.shot.id}{stage} {frames_words(span)}",
                expected=expected,
                got=got,
                frames=(self.first + span[0], self.first + span[1]) if self.last else None,
            ),
            shot=self.shot.shot.id,
            objects=(self.name,),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadChunk:
    """A chunk as it was read: its frames made small, and what is wrong with it."""

    small: tuple[Small, ...] = ()
    findings: tuple[StoreFinding, ...] = ()


class StoredFrames:
    """The frames that a film was encoded from, by film frame; every chunk is read once.

    The next chunk is read while one is compared. Only small pictures are kept, of two chunks.
    Those of shots `vouched` for only where they are asked for. `missing_is_wrong` is False for a
    film without its store: its frames may no longer be stored.
    """

    def __init__(
        self,
        store: Store,
        plan: RenderPlan,
        source: SourceComparison | None,
        *,
        vouched: Collection[str] = (),
        missing_is_wrong: bool = True,
    ) -> None:
        self._store = store
        self._source = source
        self._missing_is_wrong = missing_is_wrong
        places = list(chunk_places(plan))
        self._others = [p for p in places if not p.last and p.shot.shot.id not in vouched]
        self._chunks = [place for place in places if place.last]
        self._vouched = vouched
        lengths = (len(place.item.out) for place in self._chunks)
        self._firsts = list(accumulate(lengths, initial=0))
        self._ahead = ThreadPoolExecutor(max_workers=1)
        self._reading: dict[int, Future[_ReadChunk]] = {}
        self._was_read: set[int] = set()
        self._current: tuple[int, _ReadChunk] = (-1, _ReadChunk())
        self._findings: dict[int, tuple[StoreFinding, ...]] = {}

    def __call__(self, frame: int) -> Small | None:
        """The frame made small, in 8-bit R'G'B'; None where it is not stored or not whole."""
        number = bisect_right(self._firsts, frame) - 1
        if not 0 <= number < len(self._chunks):
            return None
        small = self._chunk(number).small
        return small[frame - self._firsts[number]] if small else None

    def finish(self) -> list[StoreFinding]:
        """Read what was not read yet; all that is wrong, in film order."""
        for number in range(len(self._chunks)):
            if number not in self._was_read and not self._is_vouched(number):
                self._chunk(number)
        others = [found for place in self._others for found in self._read_head(place)]
        self._ahead.shutdown()
        mismatches = self._source.finish() if self._source else []
        own = [found for number in sorted(self._findings) for found in self._findings[number]]
        return own + others + [_mismatch_finding(self._chunks, *found) for found in mismatches]

    def _chunk(self, number: int) -> _ReadChunk:
        if self._current[0] != number:
            read = self._start(number).result()
            del self._reading[number]
            ahead = number + 1
            is_next = ahead < len(self._chunks) and ahead not in self._was_read
            if is_next and not self._is_vouched(ahead):
                self._start(ahead)
            self._current = (number, read)
            if number not in self._was_read:
                self._was_read.add(number)
                self._findings[number] = read.findings
        return self._current[1]

    def _is_vouched(self, number: int) -> bool:
        return self._chunks[number].shot.shot.id in self._vouched

    def _start(self, number: int) -> Future[_ReadChunk]:
        if number not in self._reading:
            self._reading[number] = self._ahead.submit(self._read, number)
        return self._reading[number]

    def _read(self, number: int) -> _ReadChunk:
        place = self._chunks[number]
        data, wrong = self._get(place)
        if data is None:
            return _ReadChunk(findings=tuple(wrong))
        look = ChunkLook(place.expected)
        try:
            for _ in look.frames(data):  # one at a time: of 4K, 24 are more than a gigabyte
                pass
        except StoreError as error:
            return _ReadChunk(findings=(_damaged(place, error),))
        if self._source and number not in self._was_read and not self._is_vouched(number):
            self._source.add_frames(place.shot, place.item.out.start, look.small)
        return _ReadChunk(small=tuple(look.small), findings=place.findings(look.faults))

    def _read_head(self, place: ChunkPlace) -> list[StoreFinding]:
        data, wrong = self._get(place)
        try:
            if data is None:
                return wrong
            return [*place.findings(compare_head(place.expected, chunk_info(data)))]
        except StoreError as error:
            return [_damaged(place, error)]

    def _get(self, place: ChunkPlace) -> tuple[bytes | None, list[StoreFinding]]:
        """A chunk's bytes, or None and what is wrong. A store that does not answer, or a disk with
        no room, is no damage of what is stored: StoreError."""
        try:
            return self._store.get(place.name), []
        except NotStored:
            missing = place.finding("chunk", "in the store", "not there")
            return None, [missing] if self._missing_is_wrong else []
        except DigestError as error:
            if error.retryable:
                raise
            return None, [_damaged(place, error)]


def _damaged(place: ChunkPlace, error: StoreError) -> StoreFinding:
    return place.finding("chunk", AS_PUT, _in_few_words(error))


def read_evidence(store: Store, plan: RenderPlan) -> dict[str, Evidence]:
    """What was found of every shot's segment by whoever encoded it, by shot: where that is nothing,
    and all was looked at that is today."""

    def read(shot: ShotPlan) -> Evidence | None:
        if shot.segment is None:
            return None
        name = evidence_name(shot.segment.key)
        return read_if_whole(store, name, evidence_of, then="its shot is looked at again")

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = zip(plan.shots, threads.map(read, plan.shots), strict=True)
        return {shot.shot.id: evidence for shot, evidence in found if evidence and evidence.good}


def read_segments(
    store: Store,
    plan: RenderPlan,
    *,
    evidence: Mapping[str, Evidence],
    missing_is_wrong: bool = True,
) -> tuple[list[PacketDigests | None], list[StoreFinding]]:
    """The digests of every shot's segment, None where it is not whole, and what is wrong. Those
    with `evidence` are not read. StoreError where the store, or the room for a copy, fails."""
    digests: list[PacketDigests | None] = []
    found: list[StoreFinding] = []
    with scratch_folder("verify") as folder:
        for shot, first in _shots(plan):
            if shot.segment is None:
                continue
            if shot.shot.id in evidence:
                digests.append(evidence[shot.shot.id].packets)
                continue
            name = segment_name(shot.segment.key)
            path, got = folder / "segment.mkv", ""
            try:
                store.get_file(name, path)
                digests.append(read_packet_digests(path))
            except NotStored:
                digests.append(None)
                got = "not there" if missing_is_wrong else ""
            except DigestError as error:
                if error.retryable:
                    raise
                digests.append(None)
                got = _in_few_words(error)
            except InputError as error:
                digests.append(None)
                got = error.what
            path.unlink(missing_ok=True)
            read = digests[-1]
            if read is not None and len(read) != shot.segment.frames:
                got = f"{len(read)} frames"
            if got:
                finding = Finding(
                    what="segment",
                    where=shot.shot.id,
                    expected=f"{shot.segment.frames} frames, whole",
                    got=got,
                    frames=(first, first + len(shot.track)),
                )
                found.append(StoreFinding(finding=finding, shot=shot.shot.id, objects=(name,)))
    return digests, found


def _in_few_words(error: StoreError) -> str:
    """An error in a few words: digests fill a table's line."""
    return "damaged (other digest)" if isinstance(error, DigestError) else error.what


def _shots(plan: RenderPlan) -> Iterator[tuple[ShotPlan, int]]:
    """Every shot with the film's frame that it begins at."""
    firsts = accumulate((len(shot.track) for shot in plan.shots), initial=0)
    return zip(plan.shots, firsts, strict=False)


def chunk_places(plan: RenderPlan) -> Iterator[ChunkPlace]:
    for shot, first in _shots(plan):
        for run in shot.runs:
            for item in run.items:
                last = run is shot.runs[-1]
                yield ChunkPlace(
                    shot=shot,
                    run=run,
                    item=item,
                    first=first,
                    last=last,
                    key=plan.key_of(item),
                    delivered=plan.picture,
                )


def _mismatch_finding(
    chunks: Sequence[ChunkPlace], shot: ShotPlan, mismatch: Mismatch
) -> StoreFinding:
    """A mismatch with the source as a finding about the chunks that hold it."""
    start, end = mismatch.frames
    own = [
        place
        for place in chunks
        if place.shot is shot and place.item.out.start < end and start < place.item.out.end
    ]
    found = own[0].finding(mismatch.what, mismatch.expected, mismatch.got, frames=mismatch.frames)
    objects = tuple(place.name for place in own)
    return StoreFinding(finding=found.finding, shot=found.shot, objects=objects)
