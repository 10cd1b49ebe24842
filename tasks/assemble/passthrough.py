"""Adds the streams beside the pictures to the film, then feeds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream

from cluster.errors import UsageError
from tasks.assemble.sound_streams import Timed, add_copied_sound, add_encoded_sound
from tasks.assemble.source import Passthrough, Source, SourceRange, probe_source
from tasks.assemble.streams import Container, FilmPlan, StreamPlan, plan_streams
from tasks.assemble.subtitles import (
    CLOCK,
    Cue,
    Cues,
    converted_packets,
    copied_packets,
    move_cues,
    read_cues,
)

NANOSECOND = Fraction(1, 10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRange:
    """A range of a probed source and when it begins in the film."""

    source: Source
    range: SourceRange
    film_s: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class PassthroughStreams:
    """The streams beside the pictures. `stack` closes the open sources."""

    container: Container
    passthrough: Passthrough
    placed: tuple[PlacedRange, ...]
    plan: FilmPlan
    stack: ExitStack

    def describe(self, film: OutputContainer, video: Stream, extra: Mapping[str, str]) -> None:
        """Words about the film and its pictures, from the first source, `extra` on top."""
        if self.placed:
            source = self.placed[0].source
            film.metadata.update(source.metadata)
            video.metadata.update(source.video_metadata)
            video.disposition = Disposition(source.video_disposition)
        film.metadata.update(extra)

    def add_chapters(self, film: OutputContainer, *, end_s: Fraction) -> None:
        """Chapters within the film, on its clock."""
        chapters = film_chapters(self.placed, end_s=end_s) if self.passthrough.chapters else ()
        film.set_chapters(
            [
                {
                    "id": number + 1,
                    "start": round(start / NANOSECOND),
                    "end": round(finish / NANOSECOND),
                    "time_base": NANOSECOND,
                    "metadata": dict(words),
                }
                for number, (start, finish, words) in enumerate(chapters)
            ]
        )

    def add_streams(self, film: OutputContainer) -> list[Iterator[Timed]]:
        """Add every planned stream, in order; returns what feeds them."""
        ways: list[Iterator[Timed]] = []
        if not self.placed:
            return ways
        cues = self._read_cues()
        source = av.open(str(self.placed[0].source.path), metadata_errors="replace")
        opened = self.stack.enter_context(source)
        for plan in self.plan.streams:
            added = self._add_stream(film, opened, plan, cues)
            if added is not None:
                ways.append(added)
        return ways

    def _add_stream(
        self,
        film: OutputContainer,
        opened: InputContainer,
        plan: StreamPlan,
        cues: list[dict[int, Cues]],
    ) -> Iterator[Timed] | None:
        kind = plan.stream.kind
        if kind == "audio":
            return self._add_sound(film, opened, plan)
        if kind == "subtitle":
            return self._add_subtitle(film, opened, plan, cues)
        return self._add_file(film, opened, plan)

    def _add_sound(
        self, film: OutputContainer, opened: InputContainer, plan: StreamPlan
    ) -> Iterator[Timed]:
        if plan.how == "encode":
            ranges = [(one.source, one.range) for one in self.placed]
            stream, way = add_encoded_sound(film, plan, ranges=ranges)
        else:
            first = self.placed[0]
            stream, way = add_copied_sound(
                film,
                opened,
                plan,
                source=first.source,
                origin_s=first.range.start_s,
                container=self.container,
            )
        name_stream(stream, plan)
        return way

    def _read_cues(self) -> list[dict[int, Cues]]:
        """Cues of each range's source by place among its subtitles, on the source's clock."""
        wanted = {p.place: p.how == "convert" for p in self.plan.streams if _is_subtitle(p)}
        found = []
        for one in self.placed if wanted else ():
            streams = one.source.of("subtitle")
            index = {place: streams[place].index for place in wanted if place < len(streams)}
            texts = frozenset(index[place] for place in index if wanted[place])
            read = read_cues(one.source.path, index.values(), texts=texts)
            found.append({place: read[at] for place, at in index.items()})
        return found

    def _add_subtitle(
        self,
        film: OutputContainer,
        opened: InputContainer,
        plan: StreamPlan,
        cues: list[dict[int, Cues]],
    ) -> Iterator[Timed]:
        moved: list[Cue] = []
        for one, found in zip(self.placed, cues, strict=True):
            if plan.place in found and not one.range.silent:
                moved += move_cues(
                    found[plan.place].cues,
                    start_s=one.range.start_s,
                    end_s=one.range.end_s,
                    film_s=one.film_s,
                )
        if plan.how == "convert":
            stream = cast(SubtitleStream, film.add_stream(plan.codec))
            stream.codec_context.subtitle_header = cues[0][plan.place].header
            packets = converted_packets(moved, context=stream.codec_context)
        else:
            template = cast(SubtitleStream, opened.streams[plan.stream.index])
            stream = film.add_stream_from_template(template, opaque=True)
            ass = plan.codec in ("ass", "ssa")
            packets = copied_packets(moved, renumber=ass and not self.passthrough.whole)
        stream.time_base = CLOCK
        name_stream(stream, plan)
        return _onto(stream, packets)

    def _add_file(
        self, film: OutputContainer, opened: InputContainer, plan: StreamPlan
    ) -> Iterator[Timed] | None:
        template = opened.streams[plan.stream.index]
        words = plan.stream.metadata
        if plan.stream.kind == "attachment":
            stream = film.add_stream_from_template(template)
            stream.metadata.update(words)
            return None
        picture = next(packet for packet in opened.demux(template) if packet.size)
        if self.container == "mkv":
            mime = {"mjpeg": "image/jpeg"}.get(plan.codec, f"image/{plan.codec}")
            name = words.get("filename") or f"cover.{'jpg' if plan.codec == 'mjpeg' else 'png'}"
            film.add_attachment(name, words.get("mimetype") or mime, bytes(picture))
            return None
        stream = film.add_stream_from_template(template, opaque=True)
        stream.disposition = Disposition.attached_pic
        return _onto(stream, iter([(Fraction(0), picture)]))


def plan_passthrough(
    passthrough: Passthrough | None, *, container: Container, stack: ExitStack
) -> PassthroughStreams:
    """Probe the sources and decide what becomes of their streams.

    Errors: InputError, UsageError (a range without an end that is not the last).
    """
    if passthrough is None or not passthrough.ranges:
        empty = Passthrough(ranges=())
        return PassthroughStreams(
            container=container, passthrough=empty, placed=(), plan=FilmPlan(), stack=stack
        )
    placed = place_ranges(passthrough)
    plan = plan_streams(
        placed[0].source,
        passthrough=passthrough,
        container=container,
    )
    return PassthroughStreams(
        container=container,
        passthrough=passthrough,
        placed=placed,
        plan=replace(plan, notes=(*plan.notes, *_differences(placed))),
        stack=stack,
    )


def place_ranges(passthrough: Passthrough) -> tuple[PlacedRange, ...]:
    """The probed ranges, and when each begins in the film. Errors: InputError, UsageError."""
    placed: list[PlacedRange] = []
    probed: dict[Path, Source] = {}
    film_s = Fraction(0)
    for number, part in enumerate(passthrough.ranges):
        if part.path not in probed:
            probed[part.path] = probe_source(part.path)
        placed.append(PlacedRange(source=probed[part.path], range=part, film_s=film_s))
        if part.end_s is not None:
            film_s += part.end_s - part.start_s
        elif number + 1 < len(passthrough.ranges):
            raise UsageError(f"range {number + 1} of {len(passthrough.ranges)} needs an end")
    return tuple(placed)


def film_chapters(
    placed: tuple[PlacedRange, ...], *, end_s: Fraction
) -> list[tuple[Fraction, Fraction, Mapping[str, str]]]:
    """Chapters of all ranges, clipped to them and to the film, on the film's clock.

    A chapter that goes on over neighbouring ranges of one source stays one chapter.
    """
    found: list[tuple[Fraction, Fraction, Mapping[str, str]]] = []
    for one in placed:
        for start, finish, words in () if one.range.silent else one.source.chapters:
            begin = max(start, one.range.start_s)
            until = finish if one.range.end_s is None else min(finish, one.range.end_s)
            shift = one.film_s - one.range.start_s
            begin, until = begin + shift, min(until + shift, end_s)
            if until <= begin:
                continue
            if found and found[-1][1] == begin and found[-1][2] == words:
                begin = found.pop()[0]
            found.append((begin, until, words))
    return found


def name_stream(stream: Stream, plan: StreamPlan) -> None:
    """Give a stream of the film the words and flags it had in the source."""
    stream.metadata.clear()
    stream.metadata.update(plan.stream.metadata)
    stream.disposition = Disposition(plan.stream.disposition)


def _is_subtitle(plan: StreamPlan) -> bool:
    return plan.stream.kind == "subtitle"


def _differences(placed: tuple[PlacedRange, ...]) -> list[str]:
    first = placed[0].source
    notes = []
    for kind in ("audio", "subtitle"):
        counts = {len(one.source.of(kind)) for one in placed}
        if len(counts) > 1:
            notes.append(
                f"sources have different numbers of {kind} streams: those of "
                f"{first.path.name} are kept, missing ones are empty"
            )
    return notes


def _onto(stream: Stream, packets: Iterator[tuple[Fraction, Packet[Any]]]) -> Iterator[Timed]:
    for time, packet in packets:
        packet.stream = stream
        yield time, packet
