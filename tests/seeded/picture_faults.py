"""Faults of the pictures: frames gone, in the wrong place, at the wrong time, damaged."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np

from tasks.frames.codes import BLACK
from tasks.worker.item import chunk_name
from tests.seeded.forger import Forger, Frames, Packets, copy_of
from tests.seeded.placed import COUNTED, Placed
from tests.stored_codes import stored_codes


def frame_dropped(forger: Forger) -> Placed:
    number = forger.shot()
    lost: list[int] = []

    def edit(packets: Packets) -> Packets:
        stamps = sorted(packet.pts for packet in packets)
        at = forger.rng.choice(forger.of_shot(packets, number)[4:])
        lost.append(stamps.index(packets[at].pts))
        return packets[:at] + packets[at + 1 :]

    forger.remux(edit)
    return forger.place(
        "frame dropped", "missing", number, frames=(lost[0], lost[0] + 1), also=COUNTED
    )


def frame_dropped_and_the_rest_moved_up(forger: Forger) -> Placed:
    number = forger.shot()
    lost: list[int] = []

    def edit(packets: Packets) -> Packets:
        stamps = sorted(packet.pts for packet in packets)
        at = forger.rng.choice(forger.of_shot(packets, number)[4:])
        lost.append(stamps.index(packets[at].pts))
        kept = packets[:at] + packets[at + 1 :]
        ranks = {packet.pts: rank for rank, packet in enumerate(sorted(kept, key=lambda p: p.pts))}
        decoded = [packet.dts for packet in packets]
        for at, packet in enumerate(kept):
            packet.pts, packet.dts = stamps[ranks[packet.pts]], decoded[at]
        return kept

    forger.remux(edit)
    return forger.place(
        "frame dropped, rest moved up", "missing", number, frames=(lost[0], lost[0] + 1),
        also=COUNTED,
    )  # fmt: skip


def frame_of_another_shot(forger: Forger) -> Placed:
    number, other = forger.rng.sample(forger.long, 2)

    def edit(packets: Packets) -> Packets:
        mine, theirs = forger.of_shot(packets, number), forger.of_shot(packets, other)
        packets[mine[0]] = copy_of(packets[mine[0]], bytes(packets[theirs[0]]))
        return packets

    forger.remux(edit)
    start = forger.ranges[number][0]
    return forger.place("frame of another shot", "wrong frames", number, frames=(start, start + 1))


def run_of_frames_twice(forger: Forger) -> Placed:
    number = forger.shot()
    frames: list[int] = []

    def edit(packets: Packets) -> Packets:
        stamps = sorted(packet.pts for packet in packets)
        places = forger.of_shot(packets, number)[2:10]
        for one, two in zip(places[:4], places[4:], strict=True):
            packets[two] = copy_of(packets[two], bytes(packets[one]))
            frames.append(stamps.index(packets[two].pts))
        return packets

    forger.remux(edit)
    span = (min(frames), max(frames) + 1)
    return forger.place("run twice", "wrong frames", number, frames=span, also=COUNTED)


def flipped_bit(forger: Forger) -> Placed:
    number = forger.shot()
    frames: list[int] = []

    def edit(packets: Packets) -> Packets:
        stamps = sorted(packet.pts for packet in packets)
        at = forger.rng.choice(forger.of_shot(packets, number))
        data = bytearray(bytes(packets[at]))
        data[forger.rng.randrange(len(data) // 2, len(data))] ^= 1 << forger.rng.randrange(8)
        packets[at] = copy_of(packets[at], bytes(data))
        frames.append(stamps.index(packets[at].pts))
        return packets

    forger.remux(edit)
    return forger.place("flipped bit", "picture data", number, frames=(frames[0], frames[0] + 1))


def shots_of_one_length_exchanged(forger: Forger) -> Placed:
    lengths: dict[int, list[int]] = {}
    for number in forger.long:
        start, end = forger.ranges[number]
        lengths.setdefault(end - start, []).append(number)
    one, two = forger.rng.choice([same[:2] for same in lengths.values() if len(same) > 1])
    return exchange(forger, one, two, "shots of one length exchanged")


def shots_exchanged(forger: Forger) -> Placed:
    lengths = [end - start for start, end in forger.ranges]
    # Far from each other: what lies between two near ones may as well be what was moved.
    pairs = [(a, b) for a in forger.long for b in forger.long if b > a + 4]
    one, two = forger.rng.choice([(a, b) for a, b in pairs if lengths[a] != lengths[b]])
    return exchange(forger, one, two, "shots exchanged")


def neighbours_exchanged(forger: Forger) -> Placed:
    one = forger.rng.choice([n for n in forger.long if n + 1 in forger.long])
    return exchange(forger, one, one + 1, "neighbours exchanged")


def exchange(forger: Forger, one: int, two: int, name: str) -> Placed:
    segments = forger.segments()
    segments[one], segments[two] = segments[two], segments[one]
    forger.join(segments)
    return forger.place(name, "frame|picture", min(one, two), max(one, two))


def black_frames(forger: Forger) -> Placed:
    number = forger.shot()
    at = forger.rng.randrange(4, 12)

    def blacken(frames: Frames) -> Frames:
        frames[at : at + 3] = BLACK
        return frames

    return changed(forger, number, blacken, (at, at + 3), "black frames")


def a_frozen_run(forger: Forger) -> Placed:
    lively = [n for n, s in enumerate(forger.plan.shots) if n in forger.long and moves(forger, n)]
    number = forger.rng.choice(lively)

    def freeze(frames: Frames) -> Frames:
        frames[6:14] = frames[5]
        return frames

    return changed(forger, number, freeze, (6, 14), "frozen run")


def moves(forger: Forger, number: int) -> bool:
    segment = forger.plan.shots[number].segment
    assert segment is not None
    name = chunk_name(segment.chunks.chunks[0][0])
    frames = stored_codes(forger.prepared.store, name, segment.picture)
    return not np.array_equal(frames[5], frames[9]) and not np.array_equal(frames[9], frames[13])


def changed(
    forger: Forger,
    number: int,
    change: Callable[[Frames], Frames],
    span: tuple[int, int],
    name: str,
) -> Placed:
    """A film of which one shot was encoded from other frames."""
    segments = forger.segments()
    segments[number] = forger.encode(number, change)
    forger.join(segments)
    start = forger.ranges[number][0]
    frames = (start + span[0], start + span[1])
    return forger.place(name, "picture|segment or film", number, frames=frames)


def frame_at_the_wrong_time(forger: Forger) -> Placed:
    number = forger.shot()
    frame = forger.frame(number)

    def edit(packets: Packets) -> Packets:
        packet = sorted(packets, key=lambda p: p.pts)[frame]
        packet.pts += round(Fraction(15, 1000) / packet.time_base)
        return packets

    forger.remux(edit)
    return forger.place("wrong time", "frame time", number, frames=(frame, frame + 1))


def two_frames_times_exchanged(forger: Forger) -> Placed:
    number = forger.shot()
    frames: list[int] = []

    def edit(packets: Packets) -> Packets:
        stamps = sorted(packet.pts for packet in packets)
        places = forger.of_shot(packets, number)
        pairs = [
            (a, b)
            for a, b in pairwise(places[3:])
            if packets[b].pts > packets[b].dts and packets[a].pts >= packets[b].dts
            and packets[b].pts >= packets[a].dts
        ]  # fmt: skip
        one, two = forger.rng.choice(pairs)
        frames.extend(sorted(stamps.index(packets[at].pts) for at in (one, two)))
        packets[one].pts, packets[two].pts = packets[two].pts, packets[one].pts
        return packets

    forger.remux(edit)
    return forger.place(
        "times exchanged", "frame order", number, frames=(frames[0], frames[-1] + 1)
    )


def all_frames_late(forger: Forger) -> Placed:
    times = [time + Fraction(1, 50) for time in forger.plan.times]
    forger.join(forger.segments(), times=times, end=forger.plan.end + Fraction(1, 50))
    whole = range(len(forger.plan.shots))
    return forger.place("all late", "frame time", *whole, also=COUNTED)
