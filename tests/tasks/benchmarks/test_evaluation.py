"""Evaluations: every way on every case, means, the worst cases."""

import numpy as np
import pytest

from tasks.benchmarks.evaluation import Case, Way, default_of, evaluate


def flat(value: int) -> np.ndarray:
    return np.full((32, 32, 3), value, np.uint8)


def case(value: int, *, source: str = "film", follows: bool = False) -> Case:
    picture = flat(value)
    return Case(source=source, name=str(value), inputs=(picture,), truth=picture, follows=follows)


def way(name: str, add: int, *, default: bool = False) -> Way:
    return Way(name=name, kind="ours", make=lambda x: x + np.uint8(add), default=default)


def test_rows_are_means_over_all_cases_or_those_of_a_source() -> None:
    cases = [case(10), case(20), case(30, source="other")]
    found = evaluate(cases, [way("exact", 0), way("off", 5)])
    rows = {row.method: row for row in found.rows()}
    assert rows["exact"].psnr == 100.0
    assert rows["off"].psnr == pytest.approx(20 * np.log10(255 / 5))
    assert [row.cases for row in found.rows("other")] == [1, 1]
    assert rows["off"].lines_px is None
    assert rows["off"].flicker is None
    assert rows["off"].ms is not None


def test_flicker_is_told_between_cases_that_follow() -> None:
    values = iter([0, 6])
    restless = Way(name="restless", kind="ours", make=lambda x: x + np.uint8(next(values)))
    found = evaluate([case(10), case(10, follows=True)], [restless, way("off", 5)])
    assert [row.flicker for row in found.rows()] == [6.0, 0.0]


def test_a_border_counts_in_no_score() -> None:
    def spoil(picture: np.ndarray) -> np.ndarray:
        made = picture.copy()
        made[:4] = 255
        return made

    spoiled = Way(name="spoiled", kind="ours", make=spoil)
    assert evaluate([case(10)], [spoiled], border=4).rows()[0].psnr == 100.0
    assert evaluate([case(10)], [spoiled], border=3).rows()[0].psnr < 30


def test_the_worst_cases_come_first_and_of_followers_only_one() -> None:
    errors = {10: 3, 20: 9, 21: 8, 30: 1}

    def make(picture: np.ndarray) -> np.ndarray:
        return picture + np.uint8(errors[int(picture[0, 0, 0])])

    ours = Way(name="ours", kind="ours", make=make, default=True)
    cases = [case(10), case(20), case(21, follows=True), case(30)]
    found = evaluate(cases, [way("other", 0), ours])
    assert found.worst(2) == [1, 0]
    assert found.worst(9) == [1, 0, 3]


def test_the_default_is_the_one_a_render_takes() -> None:
    reference = Way(name="r", kind="reference", make=lambda x: x)
    assert default_of([reference, way("a", 0), way("b", 0, default=True)]).name == "b"
    assert default_of([reference, way("a", 0)]).name == "a"
    assert default_of([reference]).name == "r"


def test_a_picture_of_another_size_is_an_error() -> None:
    half = Way(name="half", kind="peer", make=lambda x: x[::2])
    with pytest.raises(ValueError, match=r"half on film 10: expected uint8 \(32, 32, 3\)"):
        evaluate([case(10)], [half])
