"""A wrong film made of a good one: packets changed, or segments put together wrongly."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from flows.plan.prepare import Prepared
from tasks.assemble import assemble_film
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.encode.segment import encode_segment
from tasks.worker.item import chunk_name, segment_name
from tests.seeded.placed import Placed, place, shot_ranges
from tests.stored_codes import stored_codes

Frames = np.ndarray[Any, Any]
Packets = list[Packet]


@dataclass
class Forger:
    """Makes a wrong film `out` of a good one."""

    prepared: Prepared
    film: Path
    out: Path
    rng: random.Random

    def __post_init__(self) -> None:
        self.plan = self.prepared.plan
        self.ranges = shot_ranges(self.plan)
        self.long = [n for n, shot in enumerate(self.plan.shots) if len(shot.track) >= 20]

    def shot(self) -> int:
        """A shot long enough for a fault within it."""
        return self.rng.choice(self.long)

    def frame(self, number: int) -> int:
        """A frame of the film inside a shot."""
        start, end = self.ranges[number]
        return self.rng.randrange(start + 4, end - 4)

    def place(self, name: str, says: str, *numbers: int, **more: Any) -> Placed:
        """Where the fault is: shots by number."""
        return place(self.plan, name, says, numbers, **more)

    # -- ways ----------------------------------------------------------------------------

    def remux(
        self,
        edit: Callable[[Packets], Packets] = lambda packets: packets,
        *,
        sound: Callable[[Packets], Packets] = lambda packets: packets,
        drop: Sequence[str] = (),
        chapters: bool = True,
    ) -> None:
        """The film's packets into another file, edited; streams of the kinds `drop` left out."""
        with av.open(str(self.film)) as source, av.open(str(self.out), "w") as target:
            target.metadata.update(source.metadata)
            onto = {}
            for stream in source.streams:
                if stream.type not in drop:
                    opaque = {} if stream.type == "attachment" else {"opaque": True}
                    onto[stream.index] = target.add_stream_from_template(stream, **opaque)
                    onto[stream.index].metadata.update(stream.metadata)
                    onto[stream.index].disposition = stream.disposition
            if chapters:
                target.set_chapters(source.chapters())
            kinds: dict[str, Packets] = {}
            for packet in source.demux([s for s in source.streams if s.type != "attachment"]):
                if packet.size and packet.stream.index in onto:
                    kind, packet.stream = packet.stream.type, onto[packet.stream.index]
                    kinds.setdefault(kind, []).append(packet)
            kinds["video"] = edit(kinds["video"])
            if "audio" in kinds:
                kinds["audio"] = sound(kinds["audio"])
            for packet in merge(*kinds.values(), key=moment):
                target.mux(packet)

    def of_shot(self, packets: Packets, number: int) -> list[int]:
        """Where a shot's packets are among all of them."""
        stamps = sorted(packet.pts for packet in packets)
        start, end = self.ranges[number]
        stamps.append(stamps[-1] + 1)
        return [at for at, p in enumerate(packets) if stamps[start] <= p.pts < stamps[end]]

    def segments(self) -> list[Path]:
        """Every shot's segment, fetched."""
        paths = []
        for shot in self.plan.shots:
            assert shot.segment is not None
            paths.append(self.out.with_name(f"{shot.shot.id}.mkv"))
            self.prepared.store.get_file(segment_name(shot.segment.key), paths[-1])
        return paths

    def encode(self, number: int, change: Callable[[Frames], Frames]) -> Path:
        """A shot's segment made of changed frames."""
        segment = self.plan.shots[number].segment
        assert segment is not None
        store = self.prepared.store
        names = [chunk_name(key) for key, _ in segment.chunks.chunks]
        parts = [stored_codes(store, name, segment.picture) for name in names]
        path = self.out.with_name("changed.mkv")
        encode_segment(
            path,
            [change(np.concatenate(parts))],
            count=segment.frames,
            spec=segment.spec,
            picture=segment.picture,
            rate=segment.rate,
        )
        return path

    def join(self, segments: Sequence[Path], **changes: Any) -> None:
        """A film of these segments."""
        given: dict[str, Any] = {
            "segments": segments,
            "times": self.plan.times,
            "end": self.plan.end,
            "picture": self.plan.picture,
            "container": "mkv",
            "passthrough": self.prepared.passthrough,
        }
        assemble_film(self.out, **(given | changes))

    def ffmpeg(self, *words: str) -> None:
        """The film through ffmpeg, every stream copied that the words do not name."""
        run_ffmpeg(["-i", str(self.film), "-map", "0", "-c", "copy", *words, str(self.out)])


def moment(packet: Packet) -> Fraction:
    """When a packet is decoded, in seconds; subtitles may say only when they are shown."""
    ticks = packet.pts if packet.dts is None else packet.dts
    return (ticks or 0) * packet.time_base


def copy_of(packet: Packet, data: bytes) -> Packet:
    """A packet with other bytes in its place."""
    fresh = Packet(data)
    fresh.stream = packet.stream
    fresh.pts, fresh.dts, fresh.duration = packet.pts, packet.dts, packet.duration
    fresh.time_base, fresh.is_keyframe = packet.time_base, packet.is_keyframe
    return fresh
