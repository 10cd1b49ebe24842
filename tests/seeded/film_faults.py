"""Faults seeded into a finished film: each into a copy of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from flows.plan.prepare import Prepared
from tests.seeded import file_faults, picture_faults, stream_faults
from tests.seeded.forger import Forger
from tests.seeded.placed import Placed

_ALL: tuple[Callable[[Forger], Placed], ...] = (
    picture_faults.frame_dropped,
    picture_faults.frame_dropped_and_the_rest_moved_up,
    picture_faults.frame_of_another_shot,
    picture_faults.run_of_frames_twice,
    picture_faults.flipped_bit,
    picture_faults.shots_of_one_length_exchanged,
    picture_faults.shots_exchanged,
    picture_faults.neighbours_exchanged,
    picture_faults.black_frames,
    picture_faults.a_frozen_run,
    picture_faults.frame_at_the_wrong_time,
    picture_faults.two_frames_times_exchanged,
    picture_faults.all_frames_late,
    file_faults.film_cut_short,
    file_faults.wrong_duration,
    file_faults.wrong_colour_tag,
    file_faults.wrong_colour_tag_in_the_stream,
    file_faults.another_size,
    file_faults.a_wrong_frame_in_a_film_encoded_anew,
    stream_faults.no_sound,
    stream_faults.no_subtitles,
    stream_faults.no_font,
    stream_faults.no_chapters,
    stream_faults.sound_shifted,
    stream_faults.sound_shifted_within_its_length,
    stream_faults.sound_early,
    stream_faults.sound_cut_short,
    stream_faults.a_second_without_sound,
    stream_faults.flipped_bit_in_the_sound,
)
FILM_FAULTS = {fault.__name__: fault for fault in _ALL}


def seed(name: str, prepared: Prepared, film: Path, out: Path, rng: random.Random) -> Placed:
    """Make `out`, a copy of a film with the fault of that name."""
    return FILM_FAULTS[name](Forger(prepared, film, out, rng))
