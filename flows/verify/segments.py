"""Every chunk and segment of a plan: stored, undamaged, and as planned."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate

from cluster.chunks.chunk import ChunkInfo, Picture, chunk_info, iter_frames
from cluster.errors import DigestError, InputError, StoreError
from cluster.keys import Key
from cluster.scratch import scratch_folder
from cluster.store.base import NotStored, Store
from flows.plan.plan import RenderPlan, ShotPlan
from flows.plan.shot_plan import RunPlan
from flows.verify.expected import Mismatch, SourceComparison
from tasks.frames.track import Track
from tasks.verify import Finding, PacketDigests, frames_words, read_packet_digests
from tasks.verify.pictures import Small, is_nonsense, small_stored
from tasks.worker.delivered import nonsense_of
from tasks.worker.item import WorkItem, chunk_name, segment_name

AS_PUT = "as it was put"


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

    @property
    def name(self) -> str:
        return chunk_name(self.key)

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
    `missing_is_wrong` is False for a film without its store: its frames may no longer be stored.
    """

    def __init__(
        self,
        store: Store,
        plan: RenderPlan,
        source: SourceComparison | None,
        *,
        missing_is_wrong: bool = True,
    ) -> None:
        self._store = store
        self._source = source
        self._delivered = plan.picture
        self._missing_is_wrong = missing_is_wrong
        places = list(chunk_places(plan))
        self._others = [place for place in places if not place.last]
        self._chunks = [place for place in places if place.last]
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
            if number not in self._was_read:
                self._chunk(number)
        others = [found for place in self._others for found in self._read_head(place)]
        self._ahead.shutdown()
        mismatches = self._source.finish() if self._source else []
        own = [found for number in sorted(self._findings) for found in self._findings[number]]
        return own + others + [_mismatch_finding(self._chunks, found) for found in mismatches]

    def _chunk(self, number: int) -> _ReadChunk:
        if self._current[0] != number:
            read = self._start(number).result()
            del self._reading[number]
            if number + 1 < len(self._chunks) and number + 1 not in self._was_read:
                self._start(number + 1)
            self._current = (number, read)
            if number not in self._was_read:
                self._was_read.add(number)
                self._findings[number] = read.findings
        return self._current[1]

    def _start(self, number: int) -> Future[_ReadChunk]:
        if number not in self._reading:
            self._reading[number] = self._ahead.submit(self._read, number)
        return self._reading[number]

    def _read(self, number: int) -> _ReadChunk:
        place = self._chunks[number]
        data, wrong = self._get(place)
        if data is None:
            return _ReadChunk(findings=tuple(wrong))
        try:
            if wrong := _compare_head(place, chunk_info(data)):
                return _ReadChunk(findings=tuple(wrong))
            return self._look(number, place, data)
        except StoreError as error:
            return _ReadChunk(findings=(_damaged(place, error),))

    def _look(self, number: int, place: ChunkPlace, data: bytes) -> _ReadChunk:
        """Look at every frame of a chunk, one at a time: of 4K, 24 are more than a gigabyte."""
        times = place.run.track.times
        wrong: list[StoreFinding] = []
        small: list[Small] = []
        before: Picture | None = None
        nonsense = False
        known = nonsense_of(chunk_info(data))
        for index, time, frame in iter_frames(data):
            here = (index, index + 1)
            if (due := times[index] - times[0]) != time:
                what = "frame time of a chunk"
                wrong.append(place.finding(what, str(due), str(time), frames=here))
            if frame is not before:
                nonsense = index in known if isinstance(frame, tuple) else is_nonsense(frame)
            same = frame is before
            small.append(small[-1] if same else small_stored(frame, self._delivered))
            before = frame
            if nonsense:
                got = "codes at the ends of their room (NaN, overflow)"
                wrong.append(place.finding("picture codes", "a picture", got, frames=here))
        if self._source and number not in self._was_read:
            self._source.add_frames(place.shot, place.item.out.start, small)
        return _ReadChunk(small=tuple(small), findings=tuple(wrong))

    def _read_head(self, place: ChunkPlace) -> list[StoreFinding]:
        data, wrong = self._get(place)
        try:
            return wrong if data is None else _compare_head(place, chunk_info(data))
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


def read_segments(
    store: Store, plan: RenderPlan, *, missing_is_wrong: bool = True
) -> tuple[list[PacketDigests | None], list[StoreFinding]]:
    """The digests of every shot's segment, None where it is not whole, and what is wrong.
    StoreError where the store, or the room for a copy, fails."""
    digests: list[PacketDigests | None] = []
    found: list[StoreFinding] = []
    with scratch_folder("verify") as folder:
        for shot, first in _shots(plan):
            if shot.segment is None:
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
                    shot=shot, run=run, item=item, first=first, last=last, key=plan.key_of(item)
                )


def _compare_head(place: ChunkPlace, info: ChunkInfo) -> list[StoreFinding]:
    """Compare a chunk's own description with the plan's."""
    track: Track = place.run.track
    out = place.item.out
    found: list[StoreFinding] = []
    for what, due, got in (
        ("chunk's key", str(place.key), info.meta.get("key", str(place.key))),
        ("chunk's stages", place.item.name, info.meta.get("stage", place.item.name)),
        ("frames of a chunk", _span(out.start, len(out)), _span(info.first, info.count)),
        (
            "size of a chunk's frames",
            f"{track.picture.width}x{track.picture.height}",
            f"{info.width}x{info.height}",
        ),
    ):
        if due != got:
            found.append(place.finding(what, due[:16], got[:16]))
    return found


def _span(first: int, count: int) -> str:
    return f"{count} from {first} on"


def _mismatch_finding(chunks: Sequence[ChunkPlace], mismatch: Mismatch) -> StoreFinding:
    """A mismatch with the source as a finding about the chunks that hold it."""
    start, end = mismatch.frames
    own = [
        place
        for place in chunks
        if place.shot is mismatch.shot and place.item.out.start < end and start < place.item.out.end
    ]
    found = own[0].finding(mismatch.what, mismatch.expected, mismatch.got, frames=mismatch.frames)
    objects = tuple(place.name for place in own)
    return StoreFinding(finding=found.finding, shot=found.shot, objects=objects)
