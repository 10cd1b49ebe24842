"""One pass over an encoded source: its cuts and its repeated drawings against the truth."""

import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest

from cluster.errors import InputError
from tasks.analysis.analyse import Analysis, analyse, drawings_for
from tasks.decode import index_source
from tasks.synthetic.film import picture_identity, render_frame
from tasks.synthetic.synthesise import synthesise

SIZE = (480, 270)


@dataclass(frozen=True)
class Film:
    """Raw frames with the truth beside them."""

    raw: bytes
    cuts: tuple[int, ...]
    pictures: tuple[str, ...]

    def encoded(self, path: Path, *options: str) -> Path:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE[0]}x{SIZE[1]}"]
        command += ["-r", "24000/1001", "-i", "-", "-pix_fmt", "yuv420p", *options, str(path)]
        subprocess.run(command, input=self.raw, check=True)
        return path


@pytest.fixture(scope="module")
def film() -> Film:
    short = synthesise(41, shots=12, seconds=6.0, size=SIZE)
    frames = range(short.frames)
    return Film(
        raw=b"".join(render_frame(short, frame).tobytes() for frame in frames),
        cuts=short.cuts,
        pictures=tuple(picture_identity(short, frame) for frame in frames),
    )


# Recall guards against a change for the worse: measured here 1.0, .89 and .83.
@pytest.mark.parametrize(
    ("name", "options", "least_recall"),
    [
        ("crf18.mp4", ("-c:v", "libx264", "-crf", "18"), 0.95),
        pytest.param(
            *("crf28.mp4", ("-c:v", "libx264", "-crf", "28"), 0.85), marks=pytest.mark.nightly
        ),
        pytest.param(
            "vp9.webm",
            ("-c:v", "libvpx-vp9", "-crf", "32", "-b:v", "0", "-cpu-used", "8"),
            0.75,
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_drawings_are_those_of_the_truth(
    film: Film, tmp_path: Path, name: str, options: tuple[str, ...], least_recall: float
) -> None:
    analysis = analyse(index_source(str(film.encoded(tmp_path / name, *options))), threads=1)
    held = right = there = 0
    for start, end in pairwise((0, *film.cuts, len(film.pictures))):
        shown = drawings_for(analysis, start, end)
        for i in range(1, end - start):
            same = film.pictures[start + i] == film.pictures[start + i - 1]
            there += same
            held += shown[i] != i
            right += shown[i] != i and film.pictures[start + shown[i]] == film.pictures[start + i]
    assert there > 20
    # What moves by a tenth of a pixel in hair may pass for noise, nothing more.
    assert right / held >= 0.95
    assert right / there >= least_recall


def test_cuts_survive_compression(film: Film, tmp_path: Path) -> None:
    path = film.encoded(tmp_path / "film.mp4", "-c:v", "libx264", "-crf", "28")
    told: list[float] = []
    index = index_source(str(path))
    one = analyse(index, progress=told.append, threads=1)
    missed, extra = set(film.cuts) - set(one.cuts), set(one.cuts) - set(film.cuts)
    # Only the dissolve's may differ, by less than its length.
    assert len(missed) == len(extra) <= 1
    assert all(abs(a - b) <= 6 for a, b in zip(missed, extra, strict=True))
    assert told == sorted(told)
    assert all(0 <= part <= 1 for part in told)
    assert len(one.motion) == len(index)
    assert analyse(index, threads=2) == one


def test_an_analysis_survives_json() -> None:
    analysis = Analysis(cuts=(3, 9), motion=(0.0, 1.25, 99.0))
    assert Analysis.from_json(analysis.to_json()) == analysis


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cuts": 3, "motion": []}', '{"cuts": [1]}'])
def test_what_is_no_analysis_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not an analysis"):
        Analysis.from_json(text)


def test_drawings_count_from_the_shots_own_first_frame() -> None:
    analysis = Analysis(cuts=(), motion=(0.0, 0.1, 50.0, 0.1, 0.1, 60.0))
    assert drawings_for(analysis, 0, 6) == (0, 0, 2, 2, 2, 5)
    assert drawings_for(analysis, 3, 6) == (0, 0, 2)
