"""Two shots fail and the rest finish; the same command again makes only what was missing."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.servers.prefect import PrefectServer
from tests.servers.ray_nodes import RayNodes

EPISODE = """\
source: {path: frames, fps: 24}
cut: [3, 6, 9]
recipe: [{upscale: {scale: 2}}]
delivery: {encoder: ffv1}
"""
SHOTS = ["sh010", "sh020", "sh030", "sh040"]
DAMAGED = {"sh020": "frame_0004.png", "sh040": "frame_0011.png"}


@dataclass(frozen=True)
class Farm:
    """An episode of four shots, two of them with a damaged frame, rendered before and after
    these were mended; `objects` are the store's frames and segments in between."""

    folder: Path
    broken: Any
    objects: dict[str, tuple[int, int]]
    mended: Any
    again: Any


@pytest.fixture(scope="module")
def farm(
    douga: Any,
    prefect: PrefectServer,
    ray_cluster: RayNodes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Farm:
    folder = tmp_path_factory.mktemp("farm")
    (folder / "frames").mkdir()
    (folder / "ep.yaml").write_text(EPISODE)
    for number in range(12):
        cv2.imwrite(str(folder / "frames" / f"frame_{number:04}.png"), draw(number))
    good = {name: (folder / "frames" / name).read_bytes() for name in DAMAGED.values()}
    for name, data in good.items():
        middle = len(data) // 2
        flipped = bytes([data[middle] ^ 0x10])
        (folder / "frames" / name).write_bytes(data[:middle] + flipped + data[middle + 1 :])
    words = ("render", "ep.yaml", "-o", "ep.mkv", "--store", "store", "--chunk", "2", "--json")
    here = ray_cluster.environment()
    broken = douga(*words, cwd=folder, **here, **prefect.environment())
    objects = stored(folder)
    assert not (folder / "ep.mkv").exists()
    for name, data in good.items():
        (folder / "frames" / name).write_bytes(data)
    mended, again = (douga(*words, cwd=folder, **here) for _ in range(2))
    return Farm(folder, broken, objects, mended, again)


def draw(number: int) -> np.ndarray[Any, Any]:
    """A frame (32, 48, 3) of its own: noise, so that the middle of the file is picture."""
    return np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)


def stored(folder: Path) -> dict[str, tuple[int, int]]:
    """Every chunk and segment with its inode and time: an object written again has others."""
    found = (p for kind in ("frames", "segments") for p in (folder / "store" / kind).rglob("*.*"))
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}


def by_shot(ended: Any, name: str) -> dict[str, Any]:
    return {shot["id"]: shot[name] for shot in ended.document["shots"]}


def test_the_command_fails_and_names_the_shots(farm: Farm) -> None:
    assert farm.broken.code == 1
    last = farm.broken.err.splitlines()[-1]
    assert last.startswith("douga: 2 shots failed (sh020, sh040), 2 done and kept")
    assert "frame_0004.png" in last
    assert last.endswith("render ep.yaml -o ep.mkv --store store --chunk 2")
    assert "Traceback" not in farm.broken.err


def test_the_document_is_printed_all_the_same_with_every_state(farm: Farm) -> None:
    document = farm.broken.document
    assert document["film"] is None
    assert not document["verified"]
    states = by_shot(farm.broken, "state")
    assert states == dict(zip(SHOTS, ["rendered", "failed"] * 2, strict=True))
    errors = by_shot(farm.broken, "error")
    assert [name for name in SHOTS if errors[name]] == list(DAMAGED)
    for shot, name in DAMAGED.items():
        assert f"ep/{shot}" in errors[shot]
        assert name in errors[shot]


def test_prefect_is_told_the_same(farm: Farm, prefect: PrefectServer) -> None:
    flow, tasks = prefect.runs("ep")
    assert flow["state_type"] == "FAILED"
    assert "2 shots failed (sh020, sh040), 2 done and kept" in flow["state"]["message"]
    states = [task["state_type"] for task in tasks]
    assert [task["name"] for task in tasks] == SHOTS
    assert states == ["COMPLETED", "FAILED"] * 2
    assert [task["run_count"] for task in tasks] == [1] * 4, "a wrong picture is not tried again"
    logs = prefect.post("logs/filter", logs={"flow_run_id": {"any_": [flow["id"]]}})
    assert any("frame_0004.png" in log["message"] for log in logs)
    table = prefect.artifact("ep-shots")
    assert [row["state"] for row in table] == ["rendered", "failed"] * 2


def test_what_was_finished_is_stored_and_counted(farm: Farm) -> None:
    """A shot of three frames is two chunks. Of a damaged one, the whole chunk is kept if it was
    begun before the other failed, and left for the next run if not."""
    made = by_shot(farm.broken, "computed")
    assert {made[shot] for shot in SHOTS if shot not in DAMAGED} == {2}
    assert {made[shot] for shot in DAMAGED} <= {0, 1}
    assert farm.broken.document["chunks_computed"] == sum(made.values())
    assert sum("frames/" in name for name in farm.objects) == sum(made.values())
    assert sum("segments" in name for name in farm.objects) == 2


def test_mended_only_what_was_missing_is_made(farm: Farm) -> None:
    assert farm.mended.code == 0, farm.mended.err
    made = by_shot(farm.broken, "computed")
    assert by_shot(farm.mended, "computed") == {shot: 2 - made[shot] for shot in SHOTS}
    assert farm.mended.document["chunks_reused"] == sum(made.values())
    after = stored(farm.folder)
    assert {name: after.get(name) for name in farm.objects} == farm.objects
    assert len(after) == 8 + 4, "every chunk and segment is there, once"


def test_the_film_is_complete_and_as_if_nothing_had_failed(farm: Farm) -> None:
    document = farm.mended.document
    assert document["verified"]
    assert document["film"] == str(farm.folder / "ep.mkv")
    assert (document["frames_in"], document["frames_out"]) == (12, 12)
    with av.open(document["film"]) as film:
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len({hashlib.sha256(frame.tobytes()).digest() for frame in shown}) == 12
    for number, frame in enumerate(shown):
        small = cv2.resize(frame, (48, 32), interpolation=cv2.INTER_AREA)[:, :, ::-1]
        errors = [np.abs(small - draw(other).astype(float)).mean() for other in range(12)]
        assert int(np.argmin(errors)) == number


def test_a_third_time_computes_nothing(farm: Farm) -> None:
    assert farm.again.code == 0
    assert farm.again.document["chunks_computed"] == 0
    assert farm.again.document["chunks_reused"] == 8
    assert "starting workers" not in farm.again.err


def test_nothing_lies_beside_the_film(farm: Farm) -> None:
    assert sorted(os.listdir(farm.folder)) == ["ep.mkv", "ep.yaml", "frames", "store"]
