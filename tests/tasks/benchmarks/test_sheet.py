"""The sheet of worst cases: in order, at the right place, with room for every caption."""

import cv2
import numpy as np
import pytest

from tasks.benchmarks.evaluation import Case, Way, evaluate
from tasks.benchmarks.pictures import Section
from tasks.benchmarks.sheet import comparison_sheet

PAPER = 24


def section(errors: tuple[int, ...]) -> Section:
    """Cases of a flat colour each; ours is off by `errors` in one corner."""
    cases = []
    for k, error in enumerate(errors):
        truth = np.full((90, 160, 3), (40 + 40 * k, 100, 90), np.uint8)
        small = np.full((45, 80, 3), (40 + 40 * k, 100, error), np.uint8)
        cases.append(Case(source="film", name=f"frame {k}", inputs=(small,), truth=truth))

    def make(small: np.ndarray) -> np.ndarray:
        made = np.full((90, 160, 3), (small[0, 0, 0], 100, 90), np.uint8)
        made[70:, 130:, 1] += np.uint8(small[0, 0, 2])
        return made

    ways = (
        Way(name="plain", kind="reference", make=make),
        Way(
            name="an_own_network_with_a_name_that_never_ends", kind="ours", make=make, default=True
        ),
    )
    found = evaluate(cases, ways)
    return Section(
        stage="upscale",
        what="2x",
        cases=tuple(cases),
        ways=ways,
        evaluation=found,
        rows=found.rows(),
    )


def read(png: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB))


def reds(sheet: np.ndarray) -> list[int]:
    """The red of each case's pictures, top to bottom, in the column of the truth."""
    column = sheet[:, -40 - 10, :]
    shown = [int(r) for r, g, _ in column if abs(int(g) - 100) < 2]
    return list(dict.fromkeys(shown))


def test_the_worst_case_comes_first_and_no_more_than_asked() -> None:
    sheet = read(comparison_sheet([section((3, 60, 20))], rows={"upscale": 2}))
    assert reds(sheet) == [80, 120]


def test_every_column_has_a_picture_and_a_close_look_of_the_same_place() -> None:
    sheet = read(comparison_sheet([section((60,))], rows={"upscale": 1}))
    # input, reference, ours, truth: four columns of 300 with gaps of 10.
    assert sheet.shape[1] == 4 * 300 + 5 * 10
    greens = [set(sheet[:, 10 + 310 * k + 290, 1].tolist()) for k in range(4)]
    assert all(100 in green for green in greens)
    assert 160 in greens[1]
    assert 160 in greens[2]
    assert 160 not in greens[3]
    # The corner that is wrong fills much more of the close look than of the picture above it.
    ours = sheet[:, 10 + 2 * 310 : 310 + 2 * 310, 1]
    wrong_rows = np.flatnonzero((ours == 160).any(1))
    gap = int(np.flatnonzero(np.diff(wrong_rows) > 1)[0])
    in_picture, in_close = ours[wrong_rows[: gap + 1]], ours[wrong_rows[gap + 1 :]]
    assert (in_close == 160).sum() > 4 * (in_picture == 160).sum()


def test_captions_end_within_their_columns() -> None:
    sheet = read(comparison_sheet([section((60,))], rows={"upscale": 1}))
    captions = sheet[-30:]
    for k in range(4):
        column = captions[:, 10 + 310 * k : 310 + 310 * k]
        assert (column != PAPER).any()
        assert (column[:, -3:] == PAPER).all()


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(ValueError, match="no cases"):
        comparison_sheet([])
