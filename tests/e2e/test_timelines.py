"""An editor's timeline comes out as the film it describes, and goes back with shots as media."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import opentimelineio as otio
import pytest
from typer.testing import CliRunner

from cluster.errors import InputError, UsageError
from flows.export.deliver import deliver_timeline
from flows.export.places import Export
from flows.plan.decisions import Decision, write_decision
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.runs.result import EpisodeResult
from flows.verify.check import check_document

RATE = Fraction(24000, 1001)
SLACK_S = 0.001 + 1 / 48_000
BLACK = -1
SHOWN = [
    *[BLACK] * 5,
    *range(14, 22),
    *[BLACK] * 18,
    *range(22, 30, 2),
    *[30] * 3,
    *range(34, 40),
    *[BLACK] * 2,
]
"""The source frame that each frame of the film is to show."""
SHOTS = {
    "sh010": range(14, 22),
    "sh020": range(22, 30, 2),
    "sh030": [30] * 3,
    "sh040": range(34, 40),
}


def span(start: int, count: int) -> otio.opentime.TimeRange:
    """Frames at the film's rate."""
    rate = float(RATE)
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(count, rate)
    )


def clip(name: str, start: int, count: int, *effects: otio.schema.Effect) -> otio.schema.Clip:
    """A clip of the film, of which the editor has said this and that."""
    made = otio.schema.Clip(
        name=name,
        media_reference=otio.schema.ExternalReference(target_url="23.976.mkv"),
        source_range=span(start, count),
        metadata={"cmx_3600": {"reel": "A001"}, "cutter": {"take": 7}, "douga": {"old": True}},
    )
    made.effects.extend(list(effects))
    made.markers.append(otio.schema.Marker(name="look", marked_range=span(start + 1, 1)))
    return made


def gap(count: int) -> otio.schema.Gap:
    """No picture."""
    return otio.schema.Gap(source_range=span(0, count), metadata={"cutter": {"why": "titles"}})


def write_edit(path: Path) -> None:
    """SHOWN as an editor writes it."""
    words = {"cutter": {"lane": 1}, "douga": {"old": True}}
    track = otio.schema.Track(name="V 1", kind="Video", metadata=words)
    track.extend(
        [
            gap(5),
            clip("one", 14, 8),
            gap(18),
            clip("fast", 22, 4, otio.schema.LinearTimeWarp(time_scalar=2.0)),
            clip("still", 30, 3, otio.schema.FreezeFrame()),
            clip("last", 34, 6),
            gap(2),
        ]
    )
    timeline = otio.schema.Timeline("the cut", metadata={"cutter": {"reel": 1}})
    timeline.global_start_time = otio.opentime.RationalTime(86400, float(RATE))
    timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(path))


@dataclass(frozen=True, kw_only=True)
class Edited:
    """The episode that SHOWN is cut from, rendered."""

    lab: Any
    folder: Path
    document: dict[str, Any]
    result: EpisodeResult

    @property
    def film(self) -> Path:
        return self.folder / "film.mkv"

    def request(self, **changes: Any) -> Any:
        """The request of the same."""
        document = {**self.document, **changes}
        return self.lab.request(self.folder, document, output=str(self.film), chunk=5)

    def deliver(self, out: Path, **options: Any) -> dict[str, Any]:
        """Export to a folder."""
        handles = options.pop("handles", None)
        export = Export(timeline=out, shots=out.with_suffix(".shots"), **options)
        return deliver_timeline(self.request(), export, Silent(), handles=handles)


@pytest.fixture(scope="module")
def edited(lab: Any, local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Edited:
    """Rendered once."""
    folder = tmp_path_factory.mktemp("edited")
    write_edit(folder / "cut.otio")
    document = {
        "name": "ep",
        "source": str(lab.source("23.976.mkv").path),
        "cut": "cut.otio",
        "recipe": [],
    }
    (folder / "store").mkdir()
    result = lab.render(folder, document, output=str(folder / "film.mkv"), chunk=5)
    return Edited(lab=lab, folder=folder, document=document, result=result)


def test_gaps_are_black_and_retimes_show_their_frames(edited: Edited) -> None:
    assert (edited.result.findings, edited.result.verified) == ((), True)
    seen = edited.lab.look(edited.film)
    assert [frame.number for frame in seen] == [max(0, number) for number in SHOWN]
    for k, frame in enumerate(seen):
        assert abs(frame.time - k / RATE) <= Fraction(1, 1000)
    for planes, number in zip(edited.lab.planes(edited.film), SHOWN, strict=True):
        if number == BLACK:
            assert [set(plane.ravel().tolist()) for plane in planes] == [{16}, {128}, {128}]


def test_sound_is_heard_with_its_frames_and_gaps_are_silent(edited: Edited) -> None:
    # Beeps begin with the source's frames 16, 24 and 36: the one at 24 is in the retimed clip.
    due = [float(SHOWN.index(frame) / RATE) for frame in (16, 36)]
    assert edited.lab.beeps(edited.film) == pytest.approx(due, abs=SLACK_S)


def test_chapters_and_subtitles_stay_with_the_frames_they_are_of(edited: Edited) -> None:
    with av.open(str(edited.film)) as file:
        titles = [chapter["metadata"]["title"] for chapter in file.chapters()]
        starts = [float(chapter["start"] * chapter["time_base"]) for chapter in file.chapters()]
        cues = [packet.pts * packet.time_base for packet in file.demux(subtitles=0) if packet.size]
    first, last = (SHOWN.index(frame) / RATE for frame in (14, 34))
    part_a = first + Fraction(667, 1000) - 14 / RATE
    assert titles == ["Opening", "Part A", "Part A"]
    assert starts == pytest.approx([float(first), float(part_a), float(last)], abs=0.001)
    # "First" is on screen when the first clip begins, "Second" when the last one does.
    assert [float(cue) for cue in cues] == pytest.approx([float(first), float(last)], abs=0.001)


def test_the_film_verifies_and_is_found_wanting_where_black_is_not(edited: Edited) -> None:
    prepared = prepare(edited.request(), Silent())
    assert check_document(prepared, edited.film, Silent())["good"]
    bare = edited.request(cut=[14])
    document = check_document(prepare(bare, Silent()), edited.film, Silent(), film_only=True)
    assert not document["good"]


def test_black_takes_the_recipes_size_and_times(edited: Edited) -> None:
    recipe = [{"interpolate": {"rate": 60, "engine": "average"}}, {"upscale": {"scale": 2}}]
    plan = prepare(edited.request(recipe=recipe), Silent()).plan
    steps = {b - a for a, b in zip(plan.times, plan.times[1:], strict=False)}
    assert steps == {Fraction(1, 60)}
    assert len(plan.times) == ceil(len(SHOWN) / RATE * 60)
    assert (plan.picture.width, plan.picture.height) == (192, 128)
    dark = next(shot for shot in plan.shots if shot.shot.id == "gap020")
    assert [run.name for run in dark.runs] == ["decode"]


def media_of(timeline: Path, item: otio.schema.Clip) -> Path:
    """The file that a clip names, as a program finds it from the timeline's folder."""
    return timeline.parent / unquote(item.media_reference.target_url)


def test_every_clip_finds_its_shot_and_shows_the_films_frames(
    edited: Edited, tmp_path: Path
) -> None:
    out = tmp_path / "for the editor" / "ép 1 100%25#.otio"
    edited.deliver(out)
    film = edited.lab.look(edited.film)
    timeline = otio.adapters.read_from_file(str(out))
    at, found = 0, []
    for item in timeline.video_tracks()[0]:
        shown = item.source_range
        assert shown.duration.rate == float(RATE)
        count = int(shown.duration.value)
        if isinstance(item, otio.schema.Clip):
            found.append(item.name)
            media = media_of(out, item)
            seen = edited.lab.look(media)
            assert [frame.time for frame in seen] == [k / RATE for k in range(count)]
            own = film[at : at + count]
            assert [frame.digest for frame in seen] == [frame.digest for frame in own]
            assert item.available_range() == item.source_range == span(0, count)
            check_media(media, count)
        at += count
    assert (at, found) == (len(film), list(SHOTS))
    assert [type(item).__name__ for item in timeline.video_tracks()[0]] == [
        "Gap", "Clip", "Gap", "Clip", "Clip", "Clip", "Gap",
    ]  # fmt: skip


def check_media(path: Path, count: int) -> None:
    """Durations to the tick, and the film's colour tags."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        assert (stream.start_time, stream.average_rate) == (0, RATE)
        assert stream.duration * stream.time_base == count / RATE
        tags = (context.colorspace, context.color_primaries, context.color_trc)
        assert (*tags, context.color_range) == (1, 1, 1, 1)
        lengths = {
            packet.duration * packet.time_base for packet in file.demux(stream) if packet.size
        }
        assert lengths == {1 / RATE}


def test_the_editors_own_words_stay_beside_dougas(edited: Edited, tmp_path: Path) -> None:
    prepared = prepare(edited.request(), Silent())
    fast = next(shot for shot in prepared.plan.shots if shot.shot.id == "sh020")
    assert fast.segment is not None
    said = Decision(
        episode="ep",
        shot="sh020",
        segment=fast.segment.key,
        verdict="retake",
        by="mika",
        at="2026-01-01T00:00:00.000+00:00",
        note="too fast",
    )
    write_decision(prepared.store, said)
    out = tmp_path / "ep.otio"
    edited.deliver(out)
    timeline = otio.adapters.read_from_file(str(out))
    track = timeline.video_tracks()[0]
    assert (timeline.name, timeline.global_start_time.value) == ("the cut", 86400)
    assert (timeline.metadata["cutter"]["reel"], track.metadata["cutter"]["lane"]) == (1, 1)
    assert "douga" not in track.metadata
    assert track[0].metadata["cutter"]["why"] == "titles"
    made = track[3]
    assert made.metadata["cmx_3600"]["reel"] == "A001"
    assert made.metadata["cutter"]["take"] == 7
    own = json.loads(json.dumps({**made.metadata["douga"]}, default=list))
    assert own["segment"] == fast.segment.key
    assert own["run"] == edited.result.run
    assert (own["frames"], own["picks"]) == ([22, 29], [22, 24, 26, 28])
    assert (own["shot"], own["clip"], own["source"]) == ("sh020", "fast", "23.976.mkv")
    assert own["source_digest"] == prepared.indices[0].digest
    assert "old" not in own
    assert not made.effects
    look, decided = made.markers
    assert (look.name, look.marked_range.start_time.value) == ("look", 1)
    assert (decided.name, decided.color) == ("retake by mika: too fast", "RED")


def test_sound_is_the_films(edited: Edited, tmp_path: Path) -> None:
    edited.deliver(tmp_path / "ep.otio")
    timeline = otio.adapters.read_from_file(str(tmp_path / "ep.otio"))
    (sound,) = timeline.audio_tracks()[0]
    assert media_of(tmp_path / "ep.otio", sound).resolve() == edited.film
    assert sound.source_range == span(0, len(SHOWN))


@pytest.mark.parametrize("back", ["otio", "edl"])
def test_what_was_exported_conforms_to_the_same_film(
    edited: Edited, lab: Any, local_ray: None, tmp_path: Path, back: str
) -> None:
    out = tmp_path / "out" / "ep.otio"
    made = edited.deliver(out, edl=out.with_suffix(".edl"))
    files = [shot["file"] for shot in made["shots"] if shot["file"]]
    events = [line.split() for line in out.with_suffix(".edl").read_text().splitlines()]
    reels = [words[1] for words in events if len(words) == 8 and words[2] == "V"]
    assert reels == ["BL", "sh010", "BL", "sh020", "sh030", "sh040", "BL"]
    again = lab.render(
        tmp_path / "again",
        {
            "name": "again",
            "sources": files,
            "cut": str(out.with_suffix(f".{back}")),
            "recipe": [],
            "delivery": {"encoder": "ffv1"},
        },
        output=str(tmp_path / "again.mkv"),
    )
    assert (again.findings, again.verified) == ((), True)
    first, second = lab.look(edited.film), lab.look(tmp_path / "again.mkv")
    assert [frame.digest for frame in second] == [frame.digest for frame in first]
    assert [frame.time for frame in second] == [frame.time for frame in first]


def test_handles_are_the_sources_frames_around_a_shot(edited: Edited, tmp_path: Path) -> None:
    out = tmp_path / "ep.otio"
    made = deliver_timeline(
        edited.request(handles=9),
        Export(timeline=out, shots=tmp_path / "shots"),
        Silent(),
        handles=None,
    )
    assert {shot["id"]: (shot["head"], shot["tail"]) for shot in made["shots"]} == {
        "gap010": (0, 0),
        "sh010": (9, 9),
        "gap020": (0, 0),
        "sh020": (0, 0),
        "sh030": (0, 0),
        "sh040": (9, 8),
        "gap030": (0, 0),
    }
    film = edited.lab.look(edited.film)
    track = otio.adapters.read_from_file(str(out)).video_tracks()[0]
    first = track[1]
    assert (first.available_range(), first.source_range) == (span(0, 26), span(9, 8))
    assert first.markers[0].marked_range.start_time.value == 10
    seen = edited.lab.look(media_of(out, first))
    assert [frame.number for frame in seen] == list(range(5, 31))
    assert [frame.time for frame in seen] == [k / RATE for k in range(26)]
    assert [frame.digest for frame in seen[9:17]] == [frame.digest for frame in film[5:13]]
    last = edited.lab.look(media_of(out, track[5]))
    assert [frame.number for frame in last] == list(range(25, 48))


def test_what_is_not_rendered_is_named(edited: Edited, tmp_path: Path) -> None:
    request = edited.request(store=str(tmp_path / "empty"))
    export = Export(timeline=tmp_path / "ep.otio", shots=tmp_path / "shots")
    with pytest.raises(InputError, match=r"ep: 7 shots not rendered: gap010, sh010, .* 2 more"):
        deliver_timeline(request, export, Silent(), handles=5)
    assert list(tmp_path.glob("*.otio")) == []
    some = Export(timeline=tmp_path / "ep.otio", shots=tmp_path / "shots", partial=True)
    document = deliver_timeline(request, some, Silent(), handles=0)
    assert document["missing"][1] == "sh010"
    track = otio.adapters.read_from_file(str(tmp_path / "ep.otio")).video_tracks()[0]
    assert isinstance(track[1].media_reference, otio.schema.MissingReference)
    assert track[1].source_range == span(0, 8)


def test_an_export_replaces_neither_source_nor_cut(edited: Edited, tmp_path: Path) -> None:
    cut = Export(timeline=edited.folder / "cut.otio", shots=tmp_path / "shots")
    with pytest.raises(UsageError, match=r"cut\.otio: the export would replace"):
        deliver_timeline(edited.request(), cut, Silent(), handles=None)


def test_a_film_of_varying_rate_has_no_timeline(lab: Any, local_ray: None, tmp_path: Path) -> None:
    document = {"name": "v", "source": str(lab.source("varying.mkv").path), "recipe": []}
    request = lab.request(tmp_path, document)
    export = Export(timeline=tmp_path / "v.otio", shots=tmp_path / "shots")
    with pytest.raises(UsageError, match="v: the film's rate varies"):
        deliver_timeline(request, export, Silent(), handles=None)


def test_the_command_says_where_the_timeline_lies(edited: Edited, tmp_path: Path) -> None:
    from flows.cli import app

    edited.request()
    words = ["timeline", str(edited.folder / "episode.yaml"), "--film", str(edited.film)]
    more = ["--chunk", "5", "-o", str(tmp_path / "a.otio"), "--edl", str(tmp_path / "a.edl")]
    plain = CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
    assert plain.exit_code == 0
    assert plain.stdout.splitlines()[0] == str(tmp_path / "a.otio")
    told = CliRunner().invoke(app, [*words, *more, "--json"], catch_exceptions=False)
    document = json.loads(told.stdout)
    assert document["frames"] == len(SHOWN)
    assert (document["rate"], document["missing"]) == ("24000/1001", [])
    assert [Path(shot["file"]).is_file() for shot in document["shots"] if not shot["gap"]] == [
        True
    ] * 4
