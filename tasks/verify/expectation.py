"""Computes what a film should be from the spec and the sources, never from the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tasks.assemble.passthrough import PlacedRange, film_chapters, place_ranges
from tasks.assemble.sound import Cut
from tasks.assemble.source import Passthrough
from tasks.assemble.streams import Container, StreamPlan, plan_streams
from tasks.assemble.subtitles import Cue, flatten_cues, move_cues, read_cues
from tasks.frames.picture import Picture
from tasks.verify.facts import measure_sound

SOUND_LENGTH_TOLERANCE_S = Fraction(1, 20)
"""The last packet may be whole where the source cut it: 1152 samples at 24 kHz are 48 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundExpectation:
    """Sound, heard from `start_s` to `end_s` of the film; None: not known. `cuts` are the parts of
    the sources that it is, one after another; `copied` says that its packets are the source's."""

    codec: str
    language: str = ""
    title: str = ""
    start_s: Fraction | None = None
    end_s: Fraction | None = None
    length_tolerance_s: Fraction = SOUND_LENGTH_TOLERANCE_S
    cuts: tuple[Cut, ...] = ()
    copied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleExpectation:
    """Subtitles: how many cues, and when each begins, in order."""

    codec: str
    language: str = ""
    title: str = ""
    starts_s: tuple[Fraction, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmExpectation:
    """Everything that is checked of a film.

    `times_s` are the exact starts of all frames, `end_s` when the last goes. `codec` is ffmpeg's
    canonical name ("h264", "hevc", "av1", "prores", "ffv1"), empty: any. Colour tags that
    `picture` leaves empty are not checked. `attachments` are file names, `covers` a count.
    """

    times_s: tuple[Fraction, ...]
    end_s: Fraction
    picture: Picture
    codec: str = ""
    sounds: tuple[SoundExpectation, ...] = ()
    subtitles: tuple[SubtitleExpectation, ...] = ()
    chapters: tuple[tuple[Fraction, Fraction, str], ...] = ()
    attachments: tuple[str, ...] = ()
    covers: int = 0


def expect_film(
    *,
    times: Sequence[Fraction],
    end: Fraction,
    picture: Picture,
    container: Container,
    codec: str = "",
    passthrough: Passthrough | None = None,
) -> FilmExpectation:
    """What `assemble_film` with the same arguments should make. Errors: InputError."""
    bare = FilmExpectation(times_s=tuple(times), end_s=end, picture=picture, codec=codec)
    if passthrough is None or not passthrough.ranges:
        return bare
    placed = place_ranges(passthrough)
    plan = plan_streams(placed[0].source, passthrough=passthrough, container=container)
    by_kind = {
        kind: [part for part in plan.streams if part.stream.kind == kind]
        for kind in ("audio", "subtitle", "attachment", "cover")
    }
    chapters = film_chapters(placed, end_s=end) if passthrough.chapters else []
    return FilmExpectation(
        times_s=bare.times_s,
        end_s=end,
        picture=picture,
        codec=codec,
        sounds=tuple(_sound(part, placed) for part in by_kind["audio"]),
        subtitles=tuple(_subtitle(part, placed) for part in by_kind["subtitle"]),
        chapters=tuple((begin, until, words.get("title", "")) for begin, until, words in chapters),
        attachments=tuple(
            part.stream.metadata.get("filename", "") for part in by_kind["attachment"]
        ),
        covers=len(by_kind["cover"]),
    )


def _sound(part: StreamPlan, placed: Sequence[PlacedRange]) -> SoundExpectation:
    last = placed[-1]
    length_s = last.film_s
    if last.range.end_s is not None:
        length_s += last.range.end_s - last.range.start_s
        end_s: Fraction | None = length_s
    else:
        streams = last.source.of("audio")
        span = (
            measure_sound(last.source.path, streams[part.place].index)
            if part.place < len(streams)
            else None
        )
        end_s = span.end_s - last.range.start_s + last.film_s if span else None
    first_s = part.stream.audible_s - placed[0].range.start_s
    return SoundExpectation(
        codec=part.codec,
        language=part.stream.language,
        title=part.stream.metadata.get("title", ""),
        start_s=max(Fraction(0), first_s) if part.how == "copy" else Fraction(0),
        end_s=end_s,
        cuts=tuple(_cut(one, part.place) for one in placed),
        copied=part.how == "copy",
    )


def _cut(one: PlacedRange, place: int) -> Cut:
    streams = one.source.of("audio")
    return Cut(
        path=one.range.path,
        index=streams[place].index if place < len(streams) and not one.range.silent else None,
        start_s=one.range.start_s,
        end_s=one.range.end_s,
    )


def _subtitle(part: StreamPlan, placed: Sequence[PlacedRange]) -> SubtitleExpectation:
    cues: list[Cue] = []
    for one in placed:
        streams = one.source.of("subtitle")
        if part.place >= len(streams) or one.range.silent:
            continue
        index = streams[part.place].index
        texts = frozenset({index} if part.how == "convert" else ())
        found = read_cues(one.source.path, [index], texts=texts)[index]
        cues += move_cues(
            found.cues,
            start_s=one.range.start_s,
            end_s=one.range.end_s,
            film_s=one.film_s,
        )
    if part.how == "convert":
        cues = flatten_cues(cues)
    return SubtitleExpectation(
        codec=part.codec,
        language=part.stream.language,
        title=part.stream.metadata.get("title", ""),
        starts_s=tuple(cue.start_s for cue in cues),
    )
