"""The edit of an episode for an editor: an OTIO whose clips are the shots' files as they are
downloaded from the desk, so that it relinks in the folder that holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import opentimelineio as otio

from flows.desk.shots import Episode, Shot, Version


def edit_of(
    episode: Episode, versions: Mapping[str, Version], *, file_of: Callable[[Shot], str]
) -> str:
    """The OTIO document of the shots in film order; one that is not rendered is missing media."""
    timeline = otio.schema.Timeline(name=episode.name)
    track = otio.schema.Track(name="V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    for shot in episode.shots:
        if not shot.frames:
            continue
        version = versions.get(shot.id)
        rate = float(version.rate) if version else 24.0
        whole = otio.opentime.TimeRange(
            otio.opentime.RationalTime(0, rate), otio.opentime.RationalTime(shot.frames, rate)
        )
        media = (
            otio.schema.ExternalReference(target_url=file_of(shot), available_range=whole)
            if version
            else otio.schema.MissingReference(available_range=whole)
        )
        about = {"state": shot.state.value, "run": shot.run, "segment": shot.segment}
        track.append(
            otio.schema.Clip(
                name=shot.id,
                media_reference=media,
                source_range=whole,
                metadata={"douga": about},
            )
        )
    text: str = timeline.to_json_string(indent=1)
    return text
