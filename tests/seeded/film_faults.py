"""Faults seeded into a finished film: each into a copy of its own."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import merge
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from cluster.chunk import read_frames
from flows.prepare import Prepared
from tasks.assemble import assemble_film
from tasks.encode import encode_segment
from tasks.ffmpeg import run_ffmpeg
from tasks.frames import BLACK
from tasks.item import chunk_name, segment_name
from tests.seeded.placed import COUNTED, Placed, place, shot_ranges

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
        parts = [read_frames(store, chunk_name(key)) for key, _ in segment.chunks.chunks]
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


# -- pictures ------------------------------------------------------------------------------


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
    frames = read_frames(forger.prepared.store, chunk_name(segment.chunks.chunks[0][0]))
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


# -- the file ------------------------------------------------------------------------------


def film_cut_short(forger: Forger) -> Placed:
    data = forger.film.read_bytes()
    forger.out.write_bytes(data[: int(len(data) * forger.rng.uniform(0.6, 0.9))])
    return Placed(name="film cut short", says="frame count", also=".")


def wrong_duration(forger: Forger) -> Placed:
    data = bytearray(forger.film.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    (length,) = struct.unpack(">d", data[at : at + 8])
    data[at : at + 8] = struct.pack(">d", length * 1.1)
    forger.out.write_bytes(data)
    return Placed(name="wrong duration", says="^duration")


def wrong_colour_tag(forger: Forger) -> Placed:
    picture = replace(forger.plan.picture, matrix_tag="bt470bg")
    forger.join(forger.segments(), picture=picture)
    return Placed(name="wrong colour tag", says="^matrix")


def wrong_colour_tag_in_the_stream(forger: Forger) -> Placed:
    forger.ffmpeg("-bsf:v", "h264_metadata=matrix_coefficients=5")
    return Placed(name="wrong colour tag in the stream", says="^matrix")


def another_size(forger: Forger) -> Placed:
    forger.ffmpeg("-c:v", "libx264", "-vf", "scale=48:32")
    return Placed(name="another size", says="^(frame )?size", also="^segment")


def a_wrong_frame_in_a_film_encoded_anew(forger: Forger) -> Placed:
    number = forger.shot()
    frame = forger.frame(number)
    far = (frame + 500) % len(forger.plan.times)
    order = (
        f"[0:v]split[a][b];[a]trim=end_frame={frame},setpts=PTS-STARTPTS[x];"
        f"[b]split[c][d];[c]trim=start_frame={far}:end_frame={far + 1},setpts=PTS-STARTPTS[y];"
        f"[d]trim=start_frame={frame + 1},setpts=PTS-STARTPTS[z];[x][y][z]concat=n=3[v]"
    )
    run_ffmpeg(
        ["-i", str(forger.film), "-filter_complex", order, "-map", "[v]", "-map", "0",
         "-map", "-0:v", "-c", "copy", "-c:v", "libx264", "-crf", "14", str(forger.out)]
    )  # fmt: skip
    return forger.place("wrong frame, encoded anew", "picture", number, frames=(frame, frame + 1))


# -- streams -------------------------------------------------------------------------------


def no_sound(forger: Forger) -> Placed:
    forger.remux(drop=("audio",))
    return Placed(name="no sound", says="^sound streams")


def no_subtitles(forger: Forger) -> Placed:
    forger.remux(drop=("subtitle",))
    return Placed(name="no subtitles", says="^subtitle streams")


def no_font(forger: Forger) -> Placed:
    forger.remux(drop=("attachment",))
    return Placed(name="no font", says="^attachments")


def no_chapters(forger: Forger) -> Placed:
    forger.remux(chapters=False)
    return Placed(name="no chapters", says="^chapters")


SOUND = "^(sound|duration)"


def sound_shifted(forger: Forger) -> Placed:
    late = forger.rng.choice((Fraction(40, 1000), Fraction(90, 1000)))

    def later(packets: Packets) -> Packets:
        for packet in packets:
            packet.pts += round(late / packet.time_base)
            packet.dts = packet.pts
        return packets

    forger.remux(sound=later)
    return Placed(name="sound shifted", says=rf"^sound .*{float(late):.3f} s late", also=SOUND)


def sound_shifted_within_its_length(forger: Forger) -> Placed:
    length = float(forger.plan.end)
    forger.ffmpeg("-c:a", "flac", "-af", f"adelay=40:all=1,atrim=end={length:.6f}")
    return Placed(name="sound shifted within", says="^sound .*0.040 s late", also=SOUND)


def sound_early(forger: Forger) -> Placed:
    length = float(forger.plan.end)
    trim = f"atrim=start=0.1,asetpts=PTS-STARTPTS,apad,atrim=end={length:.6f}"
    forger.ffmpeg("-c:a", "flac", "-af", trim)
    return Placed(name="sound early", says="^sound .*0.100 s early", also=SOUND)


def sound_cut_short(forger: Forger) -> Placed:
    forger.remux(sound=lambda packets: packets[: len(packets) * 3 // 4])
    return Placed(name="sound cut short", says="^sound end", also=SOUND)


def loud_moments(film: Path) -> list[float]:
    """When its sound can be heard well, in seconds."""
    with av.open(str(film)) as file:
        frames = list(file.decode(audio=0))
        full = float(np.iinfo(frames[0].to_ndarray().dtype).max)
        return [f.time for f in frames if np.abs(f.to_ndarray() / full).max() > 0.1]


def a_second_without_sound(forger: Forger) -> Placed:
    at = forger.rng.choice([time for time in loud_moments(forger.film) if time > 2]) - 0.5
    mute = f"volume=0:enable='between(t,{at:.3f},{at + 1:.3f})'"
    forger.ffmpeg("-c:a", "flac", "-af", mute)
    frames = (int(at * 24000 / 1001), int((at + 1) * 24000 / 1001) + 1)
    return Placed(name="a second without sound", says="^sound.*silence", frames=frames)


def flipped_bit_in_the_sound(forger: Forger) -> Placed:
    def flip(packets: Packets) -> Packets:
        at = forger.rng.randrange(len(packets))
        data = bytearray(bytes(packets[at]))
        data[forger.rng.randrange(16, len(data))] ^= 1 << forger.rng.randrange(8)
        packets[at] = copy_of(packets[at], bytes(data))
        return packets

    forger.remux(sound=flip)
    return Placed(name="flipped bit in the sound", says="^sound data", also="^(sound|decoding)")


_ALL: tuple[Callable[[Forger], Placed], ...] = (
    frame_dropped,
    frame_dropped_and_the_rest_moved_up,
    frame_of_another_shot,
    run_of_frames_twice,
    flipped_bit,
    shots_of_one_length_exchanged,
    shots_exchanged,
    neighbours_exchanged,
    black_frames,
    a_frozen_run,
    frame_at_the_wrong_time,
    two_frames_times_exchanged,
    all_frames_late,
    film_cut_short,
    wrong_duration,
    wrong_colour_tag,
    wrong_colour_tag_in_the_stream,
    another_size,
    a_wrong_frame_in_a_film_encoded_anew,
    no_sound,
    no_subtitles,
    no_font,
    no_chapters,
    sound_shifted,
    sound_shifted_within_its_length,
    sound_early,
    sound_cut_short,
    a_second_without_sound,
    flipped_bit_in_the_sound,
)
FILM_FAULTS = {fault.__name__: fault for fault in _ALL}


def seed(name: str, prepared: Prepared, film: Path, out: Path, rng: random.Random) -> Placed:
    """Make `out`, a copy of a film with the fault of that name."""
    return FILM_FAULTS[name](Forger(prepared, film, out, rng))
