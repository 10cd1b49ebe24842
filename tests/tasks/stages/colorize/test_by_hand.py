"""The artist's last word: doubtful regions are left to a person, corrections are carried."""

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from cluster.errors import StageError, UsageError
from cluster.keys import make_key
from tasks.frames.codes import from_uint8, to_uint8
from tasks.frames.picture import Picture
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.stages.registry import make_stage
from tasks.stages.stage import ShotContext, Window
from tests.tasks.stages.colorize.test_colorize import BLUE, RED, figure, grey, png

GREEN, GOLD = (30, 160, 60), (230, 190, 40)
XS = (50, 54, 58, 62, 66, 70)
HEAD = {"colour": "#1ea03c"}


def track_of(count, drawing=()):
    return Track(
        picture=Picture(width=160, height=100),
        times=tuple(Fraction(i, 24) for i in range(count)),
        end=Fraction(count, 24),
        rate=Fraction(24),
        drawing=drawing,
    )


def render(pictures, files, *, chunk=99, **params):
    """Frames of the stage, and the notes it leaves, by name."""
    frames = from_uint8(np.stack(pictures))
    frames.flags.writeable = False
    track = track_of(len(frames))
    stage = make_stage("colorize", params)
    stage.setup(Device(), files.__getitem__)
    made: list[Any] = []
    notes: dict[str, Any] = {}
    for start in range(0, len(frames), chunk):
        out = Span(start, min(start + chunk, len(frames)))
        indices = stage.needs(out, track)
        window = Window(track=track, indices=indices, frames_nhwc=frames[list(indices)])
        made.append(to_uint8(stage.process(window, out)))
        notes.update((note.name, note.data) for note in stage.take_notes())
        assert stage.take_notes() == ()
    return np.concatenate(made), notes


def walk(**params):
    drawings = [figure(x, painted=False) for x in XS]
    return render(drawings, {"a": png(figure(50, painted=True))}, reference="a", **params)


def heads(made):
    return [tuple(picture[30, x]) for picture, x in zip(made, XS, strict=True)]


def test_a_correction_is_carried_forward_and_back():
    made, _ = walk(corrections=[{"frame": 3, "point": (62, 30), **HEAD}])
    assert heads(made) == [RED, *[GREEN] * 5]
    assert tuple(made[5][85, 70 - 15]) == BLUE


def test_a_correction_of_the_references_own_frame_changes_that_too():
    made, _ = walk(corrections=[{"frame": 0, "point": (50, 30), **HEAD}])
    assert heads(made) == [GREEN] * 6


def test_the_nearest_correction_wins():
    later = {"frame": 5, "point": (70, 30), "colour": "#e6be28"}
    made, _ = walk(corrections=[{"frame": 1, "point": (54, 30), **HEAD}, later])
    assert heads(made) == [RED, GREEN, GREEN, GREEN, GOLD, GOLD]


def test_a_correction_stops_at_the_next_reference():
    drawings = [figure(x, painted=False) for x in XS]
    files = {"a": png(figure(50, painted=True)), "b": png(figure(66, painted=True))}
    references = [{"frame": 0, "path": "a"}, {"frame": 4, "path": "b"}]
    told = [{"frame": 2, "point": (58, 30), **HEAD}]
    made, _ = render(drawings, files, references=references, corrections=told)
    assert heads(made) == [RED, GREEN, GREEN, GREEN, RED, RED]


def test_a_correction_names_a_region_or_takes_a_references_colour():
    like = {"reference": "a", "point": (35, 85)}
    by_point, _ = walk(corrections=[{"frame": 2, "point": (58, 30), "like": like}])
    assert heads(by_point)[2] == BLUE
    region = yaml.safe_load(walk(ask_below=1)[1]["000001.yaml"])
    head = next(r for r in region if abs(r["point"][0] - 54) < 8 and abs(r["point"][1] - 30) < 8)
    told = [{"frame": 1, "region": head["region"], **HEAD}]
    assert heads(walk(corrections=told)[0])[1] == GREEN


@pytest.mark.parametrize("chunk", [1, 4])
def test_chunks_show_neither_in_frames_nor_in_notes(chunk):
    told = [{"frame": 3, "point": (62, 30), **HEAD}, {"frame": 1, "point": (54, 85), **HEAD}]
    whole, notes = walk(corrections=told, ask_below=1)
    parts, parted = walk(corrections=told, ask_below=1, chunk=chunk)
    assert notes
    assert np.array_equal(whole, parts)
    assert notes == parted


def test_only_frames_that_a_correction_reaches_have_another_key():
    references = [{"frame": 0, "path": "a"}, {"frame": 6, "path": "b"}]
    track = track_of(12)

    def keys(told):
        stage = make_stage("colorize", {"references": references, "corrections": told})
        spans = [Span(0, 6), Span(6, 12)]
        return [make_key([stage.key_params(), stage.key_context(s, track)]) for s in spans]

    plain, told = keys([]), keys([{"frame": 2, "point": (5, 5), **HEAD, "where": "f.yaml:3"}])
    assert plain[0] != told[0]
    assert plain[1] == told[1]
    moved = keys([{"frame": 2, "point": (5, 5), **HEAD, "where": "f.yaml:9"}])
    assert moved == told


def with_newcomer():
    """A box that the reference does not know comes into the second drawing and moves on."""
    pictures = [figure(x, painted=False) for x in (50, 54, 58)]
    for i in (1, 2):
        cv2.rectangle(pictures[i], (110 + 4 * i, 20), (140 + 4 * i, 70), (0, 0, 0), 1)
        cv2.line(pictures[i], (110 + 4 * i, 20), (140 + 4 * i, 70), (0, 0, 0), 1)
    return pictures, {"a": png(figure(50, painted=True))}


def test_a_new_region_is_listed_once_and_drawn_where_it_is():
    pictures, files = with_newcomer()
    _, notes = render(pictures, files, reference="a", ask_below=0.5)
    assert set(notes) == {"000001.png", "000001.yaml"}
    entries = yaml.safe_load(notes["000001.yaml"])
    places = [entry["point"] for entry in entries]
    assert all(110 < x < 146 and 20 < y < 70 for x, y in places)
    assert len(entries) == 2
    for entry in entries:
        assert entry["frame"] == 1
        assert entry["confidence"] < 0.5
        assert entry["why"]
        left, top, wide, high = entry["box"]
        x, y = entry["point"]
        assert left <= x < left + wide
        assert top <= y < top + high
    overlay = cv2.imdecode(np.frombuffer(notes["000001.png"], np.uint8), cv2.IMREAD_COLOR)
    assert overlay.shape[0] >= 720
    scale = overlay.shape[0] // 100
    marked = (np.abs(overlay.astype(int) - (120, 38, 214)).max(-1) < 12).reshape(
        100, scale, 160, scale
    ).any((1, 3))  # fmt: skip
    assert marked[20:70, 112:148].sum() > 100
    assert marked[:, :80].sum() == 0


def test_doubtful_regions_can_be_left_as_paper():
    pictures, files = with_newcomer()
    proposed, _ = render(pictures, files, reference="a", ask_below=0.5)
    left, _ = render(pictures, files, reference="a", ask_below=0.5, doubtful="paper")
    assert (left[1][60, 120:130] == 255).all()
    assert np.array_equal(left[0], proposed[0])
    assert tuple(left[2][30, 58]) == RED


def test_listed_entries_can_be_copied_as_corrections():
    pictures, files = with_newcomer()
    _, notes = render(pictures, files, reference="a", ask_below=0.5)
    entries = [{**entry, "colour": "#1ea03c"} for entry in yaml.safe_load(notes["000001.yaml"])]
    document = yaml.safe_dump({"sh010": entries}).encode()
    read = {"fix.yaml": document}.__getitem__
    context = ShotContext(shot="sh010", shots=("sh010",), cast={}, read=read)
    stage = type(make_stage("colorize", {}))
    params = stage.params_for_shot(
        {"reference": "a", "ask_below": 0.5, "corrections": "fix.yaml"}, context
    )
    made, after = render(pictures, files, **params)
    for entry in entries:
        x, y = entry["point"]
        assert tuple(made[1][y, x]) == GREEN
        assert tuple(made[2][y, x + 4]) == GREEN
    assert after == {}


def test_what_was_hidden_gets_its_colour_back():
    def scene(x, painted):
        picture = figure(50, painted=painted)
        cv2.circle(picture, (115, 40), 12, GOLD if painted else (255, 255, 255), -1)
        cv2.circle(picture, (115, 40), 12, (0, 0, 0), 1)
        for colour, thick in (
            ((200, 200, 200) if painted else (255, 255, 255), -1),
            ((0, 0, 0), 1),
        ):
            cv2.rectangle(picture, (x, 20), (x + 40, 95), colour, thick)
        return picture

    drawings = [scene(x, False) for x in (119, 105, 98, 84, 76)]
    art = scene(119, True)
    cv2.rectangle(art, (5, 5), (15, 15), (0, 0, 0), 1)
    made, _ = render(drawings, {"a": png(scene(119, True))}, reference="a")
    assert tuple(made[2][60, 118]) == (200, 200, 200)
    drawings += [scene(x, False) for x in (60, 20)]
    back, _ = render(drawings, {"a": png(scene(119, True))}, reference="a")
    assert tuple(back[6][40, 115]) == GOLD


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"frame": 9, "point": (1, 1), **HEAD}, "frame below 6"),
        ({"frame": 2, "point": (160, 1), **HEAD}, "within 160x100, got 160, 1"),
    ],
)
def test_corrections_beyond_the_shot_are_refused_when_planning(told, message):
    stage = make_stage(
        "colorize", {"reference": "a", "corrections": [{**told, "where": "fix.yaml:7"}]}
    )
    with pytest.raises(UsageError, match=message) as refused:
        stage.track_after(track_of(6))
    assert str(refused.value).startswith("fix.yaml:7")


def test_a_region_that_is_not_there_is_refused_by_its_line():
    told = [{"frame": 1, "region": 99, **HEAD, "where": "fix.yaml:4"}]
    with pytest.raises(StageError, match=r"fix.yaml:4: expected a region from 1 to \d+ in frame 1"):
        walk(corrections=told)


def test_grey_frames_cannot_be_corrected():
    told = [{"frame": 1, "point": (3, 3), **HEAD, "where": "fix.yaml:2"}]
    with pytest.raises(StageError, match=r"fix\.yaml:2: grey frames have no regions"):
        walk(corrections=told, mode="grey")


def test_grey_regions_that_hold_do_not_flicker():
    colour = [figure(x, painted=True) for x in (50, 53, 56, 59, 62)]
    for picture in colour:
        picture[5:95, 110:155] = (90, 140, 70)
        picture[20:60, 120:140] = (180, 90, 60)
    frames = [grey(picture) for picture in colour]
    made, _ = render(frames, {"a": png(colour[0])}, reference="a", mode="grey")
    still = np.stack(frames)[:, :, 104:].astype(int)
    assert np.abs(np.diff(still, axis=0)).max() == 0
    assert np.abs(np.diff(made[:, :, 104:].astype(int), axis=0)).max() == 0
    moved = np.abs(made[-1][30, 62].astype(int) - RED).max()
    assert moved <= 24
