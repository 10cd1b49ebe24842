"""Preview first: every Nth frame is shown and waits; the rest is rendered when people approve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from cluster.errors import Exit, RefusedError, UsageError
from cluster.store.open import open_store
from flows.plan.partial import missing_spans
from flows.plan.prepare import Prepared, prepare
from flows.plan.preview import preview_key
from flows.progress import Silent
from flows.render import render
from flows.review.gate import decide, review_document
from flows.runs.result import EpisodeResult, waits_for_review
from flows.spec.request import RenderRequest, make_request
from tasks.worker.item import SegmentItem, WorkItem
from tests.farm_here import FarmHere

EPISODE = """
name: ep
source: {film}
cut: [24]
store: store
recipe: [{{interpolate: {{{params}, engine: average}}}}]
delivery: {{encoder: ffv1}}
"""
EVERY = 9
"""Of the 48 frames that each of the two shots comes out with: 0, 9, 18, 27, 36, 45."""
SHOWN = 6


class Desk:
    """Renders an episode of two shots on a farm in this process."""

    def __init__(self, folder: Path, source: Path, farm: FarmHere) -> None:
        self.folder, self.source, self.farm = folder, source, farm

    def ask(self, params: str = "factor: 2", **options: Any) -> RenderRequest:
        episode = self.folder / "ep.yaml"
        episode.write_text(EPISODE.format(film=self.source, params=params))
        output = str(self.folder / "film.mkv")
        return make_request(str(episode), **{"output": output, "preview_every": EVERY, **options})

    def see(self, **options: Any) -> Prepared:
        return prepare(self.ask(**options), Silent())

    def render(self, **options: Any) -> EpisodeResult:
        result = render(self.ask(**options), Silent(), farm=self.farm.opened)
        assert (result.failed, result.findings) == ((), ())
        return result

    def frames(self, since: int = 0) -> list[tuple[str, int]]:
        """(shot, frame) of all that workers have computed."""
        items = [item for item in self.farm.made[since:] if isinstance(item, WorkItem)]
        return sorted((i.shot, at) for i in items for span in missing_spans(i) for at in span)


@pytest.fixture
def desk(tmp_path: Path, tiny_film: Path) -> Desk:
    return Desk(tmp_path, tiny_film, FarmHere())


def shots(result: EpisodeResult) -> list[str]:
    return [line.split(":")[0] for line in result.waiting]


def samples(film: Path) -> int:
    """How long the sound is."""
    with av.open(str(film)) as file:
        return sum(frame.samples for frame in file.decode(audio=0))


def test_every_nth_frame_is_made_shown_and_waits(desk: Desk) -> None:
    result = desk.render()
    assert desk.frames() == [(s, i) for s in ("sh010", "sh020") for i in range(0, 48, EVERY)]
    assert not [item for item in desk.farm.made if isinstance(item, SegmentItem)]
    assert (result.film, result.state) == (None, "waiting for review")
    assert shots(result) == ["sh010", "sh020"]
    assert not (desk.folder / "film.mkv").exists()
    assert result.sheet is not None
    sheet = (desk.folder / "film.preview.png").read_bytes()
    assert open_store(str(desk.folder / "store")).get(result.sheet) == sheet
    picture = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] > picture.shape[0] > 100
    error = waits_for_review(result, "douga render ep --preview-every 9")
    assert error.exit_code == Exit.REFUSED
    for word in ("film.preview.mkv", "douga approve", "douga render ep --preview-every 9"):
        assert word in str(error)
    assert "\n" not in str(error)


def test_the_proxy_holds_each_frame_until_the_next_one_with_the_films_sound(desk: Desk) -> None:
    desk.render()
    with av.open(str(desk.folder / "film.preview.mkv")) as proxy, av.open(str(desk.source)) as film:
        assert [stream.type for stream in proxy.streams] == ["video", "audio"]
        assert proxy.streams.video[0].codec_context.name == "h264"
        assert proxy.duration == pytest.approx(film.duration, abs=av.time_base / 24)
        frames = list(proxy.decode(video=0))
    assert samples(desk.folder / "film.preview.mkv") == samples(desk.source)
    times = [*range(0, 48, EVERY), *(48 + at for at in range(0, 48, EVERY))]
    assert [frame.time for frame in frames] == pytest.approx([at / 48 for at in times], abs=0.002)
    # What is shown is what will be in the film.
    for shot in ("sh010", "sh020"):
        decide(desk.see(), [shot], "approved")
    assert desk.render().film is not None
    with av.open(str(desk.folder / "film.mkv")) as film:
        whole = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    for at, frame in zip(times, frames, strict=True):
        shown = frame.to_ndarray(format="gray").astype(float)
        assert np.abs(shown - whole[at].astype(float)).mean() < 4, at


def test_the_full_render_starts_at_approval_and_reuses_the_previews_frames(
    desk: Desk, tmp_path: Path
) -> None:
    desk.render()
    since = len(desk.farm.made)
    assert shots(desk.render()) == ["sh010", "sh020"]
    assert desk.farm.made[since:] == []
    decide(desk.see(), ["sh010"], "approved")
    partly = desk.render()
    assert (partly.film, shots(partly)) == (None, ["sh020"])
    assert [shot.state for shot in partly.shots] == ["rendered", "frames stored"]
    assert partly.frames_reused == SHOWN
    decide(desk.see(), [], "approved")
    whole = desk.render()
    assert (whole.film, whole.state) == (str(desk.folder / "film.mkv"), "done")
    assert whole.frames_reused == SHOWN
    assert desk.frames() == [(s, i) for s in ("sh010", "sh020") for i in range(48)]
    (tmp_path / "scratch").mkdir()
    scratch = Desk(tmp_path / "scratch", desk.source, desk.farm)
    scratch.render(preview_every=None)
    here, there = (open_store(str(one.folder / "store")) for one in (desk, scratch))
    for name in scratch.see().plan.names():
        assert here.get(name) == there.get(name), name


def test_a_retake_keeps_a_shot_at_its_preview_until_it_comes_out_different(desk: Desk) -> None:
    desk.render()
    decide(desk.see(), ["sh010"], "approved")
    decide(desk.see(), ["sh020"], "retake", note="too fast", by="mika")
    result = desk.render()
    assert result.waiting == ("sh020: retake: too fast",)
    lines = review_document(desk.see())["shots"]
    assert [(s["rendered"], s["verdict"], s["by"]) for s in lines][1] == (False, "retake", "mika")
    changed = desk.render(params="factor: 3")
    assert shots(changed) == ["sh010", "sh020"], "nobody has seen what they are now"
    assert "retake" not in " ".join(changed.waiting)
    decide(desk.see(params="factor: 3"), [], "approved")
    assert desk.render(params="factor: 3").film is not None


def test_a_decision_is_on_what_was_seen(desk: Desk) -> None:
    """A changed recipe, or another N, is another preview, and going back to one seen is not."""
    desk.render()
    decide(desk.see(), [], "approved")
    assert shots(desk.render(params="factor: 3")) == ["sh010", "sh020"]
    assert shots(desk.render(preview_every=5)) == ["sh010", "sh020"]
    keys = {preview_key(shot, every) for shot in desk.see().plan.shots for every in (5, EVERY)}
    assert len(keys) == 4
    assert desk.render().film is not None


def test_nobody_can_decide_on_what_was_not_shown(desk: Desk) -> None:
    with pytest.raises(RefusedError, match="not rendered yet"):
        decide(desk.see(), ["sh010"], "approved")
    assert shots(desk.render(shots="sh010")) == ["sh010"]
    assert desk.frames() == [("sh010", at) for at in range(0, 48, EVERY)]
    with pytest.raises(RefusedError, match="ep/sh020: is not rendered yet"):
        decide(desk.see(), ["sh020"], "approved")
    assert [decision.shot for decision in decide(desk.see(), [], "approved")] == ["sh010"]
    with av.open(str(desk.folder / "film.preview.mkv")) as proxy:
        *_, last = proxy.decode(video=0)
    assert last.to_ndarray(format="gray").max() < 20, "a shot not shown is black"


def test_a_rendered_shot_needs_no_preview(desk: Desk) -> None:
    desk.render(preview_every=None, shots="sh010")
    since = len(desk.farm.made)
    assert shots(desk.render()) == ["sh020"]
    assert {shot for shot, _ in desk.frames(since)} == {"sh020"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"preview_every": 0}, "--preview-every: expected a number of frames from 1, got 0"),
        ({"preview_every": -8}, "got -8"),
        ({"preview_every": 8, "frames": "sh010:3"}, "--preview-every and --frames"),
    ],
)
def test_a_preview_of_nothing_is_refused_in_a_line(
    desk: Desk, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        desk.ask(**options)
    assert raised.value.exit_code == Exit.USAGE
