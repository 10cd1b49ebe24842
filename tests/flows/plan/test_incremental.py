"""An episode of 300 shots of which two are changed: these two, and hardly a byte besides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cluster.store.open import open_store
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.render import render
from flows.runs.result import EpisodeResult
from flows.spec.request import RenderRequest, make_request
from tasks.worker.item import SegmentItem, WorkItem, chunk_name
from tests.farm_here import FarmHere

SHOTS, LONG, CHUNK = 300, 24, 8
"""Two of the shots, and the last one, are long enough to be most of the store; the others are of a
frame each."""
CHANGED = (100, 200)
SIZE = (320, 180)


def lengths() -> list[int]:
    return [LONG if shot in (*CHANGED, SHOTS - 1) else 1 for shot in range(SHOTS)]


def paint(folder: Path, numbers: Iterable[int], *, seed: int) -> None:
    """Numbered frames: drawings of many colours in the long shots, plain ones in the others."""
    folder.mkdir(exist_ok=True)
    owner = [shot for shot, count in enumerate(lengths()) for _ in range(count)]
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        cells = (45, 80, 3) if lengths()[owner[number]] == LONG else (1, 1, 3)
        pixels = cv2.resize(rng.integers(0, 256, cells, np.uint8), SIZE)
        cv2.imwrite(str(folder / f"{number:04d}.png"), pixels)


def first_of(shot: int) -> int:
    return sum(lengths()[:shot])


@pytest.fixture
def request_300(tmp_path: Path) -> RenderRequest:
    paint(tmp_path / "frames", range(sum(lengths())), seed=0)
    cuts = [first_of(shot) for shot in range(1, SHOTS)]
    episode = tmp_path / "ep.yaml"
    episode.write_text(
        f"name: ep\nsource: {{path: {tmp_path / 'frames'}, fps: 24}}\ncut: {cuts}\n"
        "store: store\nrecipe: []\ndelivery: {preset: ultrafast}\n"
    )
    return make_request(str(episode), output=str(tmp_path / "film.mkv"), chunk=CHUNK)


def state(request: RenderRequest) -> dict[str, tuple[int, object, bytes]]:
    """Every object: its size, when it was written, and its bytes."""
    store = open_store(request.store)
    return {o.name: (o.size_bytes, o.modified, store.get(o.name)) for o in store.list()}


def verified(request: RenderRequest, farm: FarmHere) -> EpisodeResult:
    result = render(request, Silent(), farm=farm.opened)
    assert (result.failed, result.findings, result.verified) == ((), (), True)
    return result


@pytest.mark.nightly
def test_two_changed_shots_of_300_are_rendered_encoded_and_put_and_nothing_else(
    request_300: RenderRequest, tmp_path: Path
) -> None:
    farm = FarmHere()
    first = verified(request_300, farm)
    assert first.chunks_computed == SHOTS - 3 + 3 * LONG // CHUNK
    before, film = state(request_300), (tmp_path / "film.mkv").read_bytes()
    for shot in CHANGED:
        paint(tmp_path / "frames", range(first_of(shot), first_of(shot) + LONG), seed=1)

    farm.made.clear()
    second = verified(request_300, farm)
    names = [f"sh{(shot + 1) * 10}" for shot in CHANGED]
    assert {item.shot for item in farm.made if isinstance(item, WorkItem)} == set(names)
    assert sorted(i.shot for i in farm.made if isinstance(i, SegmentItem)) == names
    assert [shot.id for shot in second.shots if shot.state != "stored"] == names
    assert (second.chunks_computed, second.chunks_reused) == (
        len(CHANGED) * LONG // CHUNK,
        first.chunks_computed - len(CHANGED) * LONG // CHUNK,
    )
    assert (tmp_path / "film.mkv").read_bytes() != film

    after = state(request_300)
    assert {name: after[name] for name in before} == before
    put = {name: size for name, (size, _, _) in after.items() if name not in before}
    plan = prepare(request_300, Silent()).plan
    own = {name for shot in plan.shots if shot.shot.id in names for name in shot.names()}
    assert {name for name in put if name.startswith(("frames/", "segments/"))} == own
    (sheet,) = (name for name in put if name.startswith("reviews/"))  # one picture of all shots
    records = sum(put[name] for name in put.keys() - own - {sheet})
    assert records <= 0.01 * sum(put[name] for name in own)

    # Its last shot loses five frames, as an editor would trim it: what the trim touches is the
    # chunk that the shot ends in now.
    for number in range(sum(lengths()) - 5, sum(lengths())):
        (tmp_path / "frames" / f"{number:04d}.png").unlink()
    farm.made.clear()
    trimmed = verified(request_300, farm)
    made = [item for item in farm.made if isinstance(item, WorkItem)]
    assert [(item.shot, item.out.start, item.out.end) for item in made] == [("sh3000", 16, 19)]
    assert [item.shot for item in farm.made if isinstance(item, SegmentItem)] == ["sh3000"]
    assert trimmed.frames_out == second.frames_out - 5
    last = prepare(request_300, Silent()).plan.shots[-1]
    assert chunk_name(next(last.items()).key) in after
