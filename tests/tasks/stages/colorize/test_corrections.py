"""The correction file: every mistake is told with its line and a remedy."""

import pytest

from cluster.errors import UsageError
from tasks.stages.colorize.corrections import read_corrections

SHOTS = ("sh010", "sh020")
GOOD = '{frame: 12, point: [310, 95], colour: "#d23c32"}'


def read(text, shot="sh010"):
    return read_corrections(text.encode(), "fix.yaml", shot=shot, shots=SHOTS)


def test_each_shot_gets_its_own_entries_with_their_lines():
    text = f"sh010:\n  - {GOOD}\n\nsh020:\n  - {GOOD}\n  - {GOOD}\n"
    assert [entry["where"] for entry in read(text)] == ["fix.yaml:2"]
    assert [entry["where"] for entry in read(text, "sh020")] == ["fix.yaml:5", "fix.yaml:6"]


def test_an_empty_file_corrects_nothing():
    assert read("") == []
    assert read("# nothing yet\n") == []


def test_a_point_is_believed_before_a_region_number():
    text = 'sh010: [{frame: 1, point: [3, 4], region: 9, colour: "#112233", why: new}]'
    (entry,) = read(text)
    assert entry["point"] == (3, 4)
    assert "region" not in entry


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sh010:\n - {frame: 1, point: [1, 2]}", "fix.yaml:2: expected either colour or like"),
        ('sh010:\n - {frame: 1, colour: "#112233"}', "fix.yaml:2: expected point"),
        (
            "sh010:\n - {frame: 1, point: [1, 2], colour: red}",
            "fix.yaml:2: colour: expected \"#rrggbb\", got 'red'",
        ),
        (
            'sh010:\n - {frame: 1, point: [1, 2], color: "#112233"}',
            "fix.yaml:2: unknown key 'color', did you mean 'colour'",
        ),
        (f"sh01:\n - {GOOD}", "fix.yaml:1: no shot 'sh01'; did you mean 'sh010'"),
        ("sh010: 3", "fix.yaml:1: expected a list of corrections; for example"),
        ("sh010:\n - 3", "fix.yaml:2: expected a correction; for example"),
        ("- 3", "fix.yaml:1: expected shots with their corrections"),
        ("sh010: [{frame: 1", "fix.yaml:1: not valid YAML"),
    ],
)
def test_mistakes_are_told_with_line_and_remedy(text, message):
    with pytest.raises(UsageError) as refused:
        read(text)
    assert str(refused.value).startswith(message)


def test_mistakes_in_another_shots_entries_are_told_too():
    with pytest.raises(UsageError, match=r"fix\.yaml:3"):
        read(f"sh010: [{GOOD}]\nsh020:\n - {{frame: 1}}")
