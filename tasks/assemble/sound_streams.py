"""A sound stream of the film: added, with what feeds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, cast

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from tasks.assemble.padding import padded_template
from tasks.assemble.sound import Cut, SoundForm, encode_sound, join_sound
from tasks.assemble.sound_copy import copy_sound, settle_sound
from tasks.assemble.source import Source, SourceRange, SourceStream
from tasks.assemble.streams import Container, StreamPlan, carries_delay

Timed = tuple[Fraction, "Packet[Any]"]

ENCODERS: Mapping[str, str] = {"aac": "aac", "flac": "flac", "opus": "libopus"}
BITS_PER_CHANNEL: Mapping[str, int] = {"aac": 96_000, "opus": 80_000}
"""bit/s; 192 and 160 kbit/s for stereo, where listeners stop telling these encoders apart."""
OPUS_RATE = 48_000
LAYOUTS: Mapping[int, str] = {
    1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1",
}  # fmt: skip
"""What a count of channels is taken to mean where a source names no layout, as ffmpeg does."""


def add_copied_sound(
    film: OutputContainer,
    opened: InputContainer,
    plan: StreamPlan,
    *,
    source: Source,
    origin_s: Fraction,
    container: Container,
) -> tuple[AudioStream, Iterator[Timed]]:
    """Add a stream that is copied from the source open as `opened`."""
    edits = container in ("mp4", "mov")
    sound = settle_sound(source.path, plan.stream, origin_s=origin_s, exact=edits)
    template = cast(AudioStream, opened.streams[plan.stream.index])
    delay = round((plan.stream.audible_s - plan.stream.first_s) * plan.stream.rate)
    carried = delay if carries_delay(source, plan.stream) else 0
    if edits or sound.padding == carried:
        stream = film.add_stream_from_template(template, opaque=True)
    else:
        context = template.codec_context
        with padded_template(
            plan.codec,
            headers=bytes(context.extradata or b""),
            rate=context.sample_rate,
            channels=context.channels,
            padding=sound.padding,
        ) as padded:
            stream = film.add_stream_from_template(padded.streams.audio[0], opaque=True)
    context = stream.codec_context
    context.layout = _layout(context.layout.name, context.channels)
    stream.time_base = Fraction(1, plan.stream.rate)
    return stream, copy_sound(source.path, sound, onto=stream, trims_in_packet=not edits)


def add_encoded_sound(
    film: OutputContainer, plan: StreamPlan, *, ranges: Sequence[tuple[Source, SourceRange]]
) -> tuple[AudioStream, Iterator[Timed]]:
    """Add a stream that is cut from the ranges' sources, joined and encoded once."""
    form = _form(plan)
    stream = cast(
        AudioStream, film.add_stream(ENCODERS[plan.codec], rate=form.rate, layout=form.layout)
    )
    if plan.codec == "flac":
        stream.codec_context.format = form.format.removesuffix("p")
    else:
        stream.codec_context.bit_rate = BITS_PER_CHANNEL[plan.codec] * form.channels
    stream.time_base = Fraction(1, form.rate)
    cuts = [
        Cut(
            path=part.path,
            index=None if part.silent else _index(source, plan.place),
            start_s=part.start_s,
            end_s=part.end_s,
        )
        for source, part in ranges
    ]
    return stream, encode_sound(stream, join_sound(cuts, form=form), form=form)


def _form(plan: StreamPlan) -> SoundForm:
    stream = plan.stream
    lossless = {16: "s16p", 32: "s32p"}[stream.bits]
    return SoundForm(
        rate=OPUS_RATE if plan.codec == "opus" else stream.rate,
        layout=_layout(stream.layout, stream.channels),
        format=lossless if plan.codec == "flac" else "fltp",
    )


def _index(source: Source, place: int) -> int | None:
    streams: tuple[SourceStream, ...] = source.of("audio")
    return streams[place].index if place < len(streams) else None


def _layout(name: str, channels: int) -> str:
    unnamed = not name or name.endswith(" channels")
    return LAYOUTS.get(channels, name) if unnamed else name
