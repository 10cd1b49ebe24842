"""`douga bench pictures`: what it measures on which material, what it prints where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cluster.errors import InputError, UsageError
from flows.cli import app
from flows.commands.bench_pictures import run_pictures
from flows.progress import Silent


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["bench", *words])


def good(*words: str) -> Result:
    done = call(*words)
    assert done.exit_code == 0, (done.stderr, done.exception)
    return done


def picture(at: int, *, painted: bool = True) -> np.ndarray:
    """A box on paper, `at` pixels from the left, as BGR; painted, or its lines alone."""
    canvas = np.full((96, 160, 3), 255, np.uint8)
    if painted:
        cv2.rectangle(canvas, (at, 30), (at + 40, 70), (60, 90, 220), -1)
    cv2.rectangle(canvas, (at, 30), (at + 40, 70), (0, 0, 0), 2)
    return canvas


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of a box that moves."""
    place = tmp_path_factory.mktemp("box")
    for k in range(6):
        cv2.imwrite(str(place / f"{k:03d}.png"), picture(30 + 5 * k))
    return place


@pytest.fixture(scope="module")
def art(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An animation of line drawings and its colouring."""
    place = tmp_path_factory.mktemp("art")
    files = place / "lines.tiff", place / "paint.tiff"
    for file, painted in zip(files, (False, True), strict=True):
        frames = [picture(30 + 5 * k, painted=painted) for k in range(3)]
        assert cv2.imwritemulti(str(file), frames)
    return files


def stages(document: dict[str, Any]) -> list[str]:
    return [f"{one['stage']} {one['what'].split(',')[0]}" for one in document["stages"]]


def test_frames_are_interpolated_and_enlarged_in_one_document(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "worst.png"
    done = good("pictures", str(folder), "--quick", "--json", "--sheet", str(sheet))
    document = json.loads(done.stdout)
    assert stages(document) == [
        "interpolate the drawing between two drawings",
        *["upscale 2x"] * 3,
    ]
    for one in document["stages"]:
        kinds = {row["kind"] for row in one["rows"]}
        assert {"reference", "ours"} <= kinds
        assert sum(row["default"] for row in one["rows"]) == 1
        assert one["material"] == [folder.name]
        assert set(one["by_source"]) == {folder.name}
        for row in one["rows"]:
            assert row["cases"] == one["cases"] > 0
            assert 5 < row["psnr"] <= 100
            assert 0 < row["ssim"] <= 1
    assert document["sheet"] == str(sheet)
    assert cv2.imread(str(sheet)) is not None


def test_progress_goes_to_stderr_and_the_table_fits(folder: Path) -> None:
    done = good("pictures", str(folder), "--stage", "interpolate", "--quick")
    assert "interpolate" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    for word in ("minterpolate", "dis warp", "PSNR dB", "lines", "flicker", "bound"):
        assert word in done.stdout


def test_line_art_is_painted_and_frames_are_left_alone(art: tuple[Path, Path]) -> None:
    lines, colours = art
    done = good("pictures", "--lines", str(lines), "--colours", str(colours), "--json")
    (one,) = json.loads(done.stdout)["stages"]
    assert (one["stage"], one["cases"]) == ("colorize", 2)
    rows = {row["method"]: row for row in one["rows"]}
    assert rows["douga"]["regions"] == 1.0
    assert rows["same place"]["pixels"] < rows["douga"]["pixels"]


@pytest.mark.nightly
def test_an_empty_machine_measures_the_sample() -> None:
    document = json.loads(good("pictures", "--stage", "interpolate", "--quick", "--json").stdout)
    (one,) = document["stages"]
    assert one["material"] == ["sample"]
    rows = {row["method"]: row["psnr"] for row in one["rows"]}
    assert rows["ours dis"] > rows["average"] + 3  # the truth is between the drawings


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stages": "upscal"}, "cannot measure 'upscal'"),
        ({"lines": [Path("a.gif")]}, "1 drawings and 0 colourings"),
        ({"peers": [Path("none.onnx")]}, "none.onnx: no such file"),
        ({"sheet": Path("nowhere/sheet.png")}, "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_measured(
    asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        run_pictures(Silent(), **asked)


def test_material_that_does_not_move_or_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes((folder / "000.png").read_bytes())
    with pytest.raises(UsageError, match="no three consecutive drawings"):
        run_pictures(Silent(), paths=[str(tmp_path)], stages="interpolate")
    with pytest.raises(InputError, match="no such file"):
        run_pictures(Silent(), paths=["none.mp4"])


def test_bench_alone_is_the_speed_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def run_bench(reporter: object, **options: Any) -> dict[str, Any]:
        seen.append(options)
        return {"ways": [], "frames": 0, "engines": {}, "on": "nothing"}

    monkeypatch.setattr("flows.commands.bench_speed.run_bench", run_bench)
    good("--seconds", "3", "--json")
    good("speed", "--seconds", "3", "--json")
    assert seen == [{"size": "320x180", "seconds": 3.0, "repeats": 3}] * 2


def test_options_before_the_word_are_not_lost_in_silence() -> None:
    with pytest.raises(UsageError, match="options of pictures stand after it"):
        CliRunner().invoke(app, ["bench", "--json", "pictures"], catch_exceptions=False)
