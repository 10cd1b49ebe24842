"""Cut detection: what is a cut and where, on made pictures, the sample's truth and real films."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.analysis.cuts import CutDetector, find_cuts
from tasks.synthetic.description import Short
from tasks.synthetic.film import render_frame
from tasks.synthetic.synthesise import synthesise
from tests.conftest import ROOT

DATA = ROOT.parent / "shared/data"
Picture = NDArray[np.uint8]
HEIGHT, WIDTH = 144, 256


def cuts_of(frames: Sequence[Picture] | Iterator[Picture]) -> tuple[int, ...]:
    detector = CutDetector()
    for frame in frames:
        detector.add(frame)
    return find_cuts(detector.features())


def painting(seed: int, *, wide: int = WIDTH) -> Picture:
    """A made-up set: a sky, hills and a dozen shapes, (144, wide, 3)."""
    rng = np.random.default_rng(seed)
    top, bottom = rng.integers(40, 220, (2, 3)).astype(np.float32)
    rows = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    picture = np.repeat(top * (1 - rows) + bottom * rows, wide, axis=1).astype(np.uint8)
    for _ in range(12 * wide // WIDTH):
        x, y = int(rng.integers(0, wide)), int(rng.integers(0, HEIGHT))
        paint = tuple(int(c) for c in rng.integers(0, 255, 3))
        cv2.circle(picture, (x, y), int(rng.integers(6, 40)), paint, -1, cv2.LINE_AA)
    return picture


def acting(seed: int, count: int, *, on: int = 1, big: bool = False) -> list[Picture]:
    """A shot in which a figure moves `on` ones, twos or threes; big: half the picture high."""
    frames = []
    for frame in range(count):
        drawn, step = painting(seed), frame // on
        size = 34 if big else 14
        x, y = 60 + 9 * on * (step % 12), 80 + (17 if step % 2 else -11)
        cv2.ellipse(drawn, (x, y), (size, size + 20), 20 * step, 0, 360, (240, 60, 40), -1)
        cv2.circle(drawn, (x, y - size - 14), size // 2 + 4, (250, 220, 190), -1)
        frames.append(drawn)
    return frames


def dimmed(picture: Picture, level: float) -> Picture:
    return np.asarray(cv2.convertScaleAbs(picture, alpha=level), np.uint8)


def cuts_of_sample(seed: int, shots: int, seconds: float) -> tuple[Short, tuple[int, ...]]:
    short = synthesise(seed, shots=shots, seconds=seconds, size=(WIDTH, HEIGHT))
    found = cuts_of(render_frame(short, frame) for frame in range(short.frames))
    return short, found


@pytest.mark.parametrize(
    ("seed", "shots", "seconds"),
    [(31, 14, 9.0), pytest.param(32, 16, 10.0, marks=pytest.mark.nightly)],
)
def test_the_samples_cuts_are_found(seed: int, shots: int, seconds: float) -> None:
    short, found = cuts_of_sample(seed, shots, seconds)
    soft = [(change.start, change.end) for change in short.transitions]

    def matches(cut: int) -> bool:
        if cut in found:
            return True
        return any(a <= cut < b and any(a <= got < b for got in found) for a, b in soft)

    right = sum(matches(cut) for cut in short.cuts)
    assert 2 * right / (len(short.cuts) + len(found)) >= 0.98
    hard = {cut for cut in short.cuts if not any(a - 1 <= cut <= b for a, b in soft)}
    assert hard <= set(found)


def test_a_cut_is_the_first_frame_of_the_new_shot() -> None:
    frames = acting(1, 20, on=2) + acting(2, 15, on=3) + acting(3, 20)
    assert cuts_of(frames) == (20, 35)


def test_no_frames_and_one_frame_have_no_cut() -> None:
    assert cuts_of([]) == ()
    assert cuts_of([painting(1)]) == ()
    assert cuts_of([painting(1), painting(2)]) == (1,)


@pytest.mark.parametrize("on", [1, 2, 3])
def test_big_action_on_twos_and_threes_is_no_cut(on: int) -> None:
    assert cuts_of(acting(4, 36, on=on, big=True)) == ()


def test_a_pan_is_no_cut() -> None:
    wide = painting(5, wide=1200)
    assert cuts_of([wide[:, 12 * i : 12 * i + WIDTH] for i in range(70)]) == ()


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("kind", ["white", "black", "negative", "red", "wash"])
def test_a_flash_inside_a_shot_is_no_cut(kind: str, length: int) -> None:
    frames = acting(6, 40, on=2)
    for at in range(17, 17 + length):
        whole = np.full_like(frames[at], 255)
        frames[at] = {
            "white": whole,
            "black": whole * 0,
            "negative": 255 - frames[at],
            "red": np.asarray(whole * (1, 0.1, 0.1), np.uint8),
            "wash": np.asarray(cv2.addWeighted(frames[at], 0.08, whole, 0.92, 0), np.uint8),
        }[kind]
    assert cuts_of(frames) == ()


def test_a_shot_of_one_frame_is_two_cuts() -> None:
    frames = [*acting(7, 20), painting(8), *acting(9, 20)]
    assert cuts_of(frames) == (20, 21)


@pytest.mark.parametrize("black", [0, 5])
def test_a_fade_out_and_in_is_one_cut_on_black(black: int) -> None:
    old, new = acting(10, 32), acting(11, 32)
    out = [dimmed(f, (11 - i) / 12) for i, f in enumerate(old[20:])]
    rise = [dimmed(f, i / 12) for i, f in enumerate(new[:12])]
    empty = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * black
    frames = old[:20] + out + empty + rise + new[12:]
    (cut,) = cuts_of(frames)
    assert 31 <= cut <= 33 + black


def test_fades_at_the_ends_of_a_film_are_no_cuts() -> None:
    shot = acting(12, 60, on=2)
    levels = np.interp(np.arange(60), [0, 12, 47, 59], [0, 1, 1, 0])
    frames = [dimmed(f, level) for f, level in zip(shot, levels, strict=True)]
    black = [np.zeros_like(frames[0])] * 6
    assert cuts_of(black + frames + black) == ()


@pytest.mark.parametrize("length", [8, 14, 24])
def test_a_dissolve_is_one_cut_in_its_middle(length: int) -> None:
    old, new = acting(13, 20 + length, on=2), acting(14, length + 20, on=3)
    mixed: list[Any] = [
        cv2.addWeighted(new[i], (i + 1) / (length + 1), old[20 + i], 1 - (i + 1) / (length + 1), 0)
        for i in range(length)
    ]
    (cut,) = cuts_of(old[:20] + mixed + new[length:])
    assert abs(cut - (20 + length // 2)) <= 2


def test_light_that_flickers_is_no_cut() -> None:
    frames = acting(15, 40, on=2)
    assert cuts_of(dimmed(f, 0.7 + 0.3 * np.sin(i)) for i, f in enumerate(frames)) == ()


@pytest.mark.parametrize("level", [0.3, 0.6])
def test_a_light_going_out_over_flat_paint_is_no_cut(level: float) -> None:
    cel = np.full((HEIGHT, WIDTH, 3), (70, 120, 200), np.uint8)
    cel[60:], cel[30:110, 90:150] = (90, 60, 40), (230, 200, 170)
    assert cuts_of([cel] * 12 + [dimmed(cel, level)] * 12) == ()


def thumbnails(path: Path) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            small = frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24", interpolation="AREA")
            yield np.asarray(small.to_ndarray(), np.uint8)


@pytest.mark.parametrize(
    ("name", "cuts"),
    [("bbb/bbb_480p_30s.mp4", (285, 378, 553)), ("cartoon/pigs_in_a_polka.gif", ())],
)
def test_real_films_are_cut_where_people_see_it(name: str, cuts: tuple[int, ...]) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is test material that is not shipped")
    assert cuts_of(thumbnails(path)) == cuts


def test_a_real_anime_shot_has_no_cut() -> None:
    folder = DATA / "anime_sequence"
    if not folder.exists():
        pytest.skip("anime_sequence is test material that is not shipped")
    pictures: Any = (cv2.imread(str(file))[..., ::-1] for file in sorted(folder.glob("*.png")))
    assert (
        cuts_of(cv2.resize(p, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for p in pictures)
        == ()
    )
