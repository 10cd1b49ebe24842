"""What a render says is to be done next, is."""

from typing import Any

import pytest
from typer.main import get_command

from flows.cli import app
from flows.commands.tables.result import SHAPING, same_options


@pytest.mark.parametrize(
    ("told", "next_one"),
    [
        ("douga render ep.yaml", "douga approve ep.yaml"),
        ("douga render --preview-every 8 ep.yaml -o f.mkv", "douga approve ep.yaml"),
        ("douga render ep.yaml --chunk=8 --job k", "douga approve ep.yaml --chunk=8"),
        (
            "bin/douga render 'my frames' --fps 24 --ray a:1 --stage hold --stage 'x:a=b c'",
            "bin/douga approve 'my frames' --fps 24 --stage hold --stage 'x:a=b c'",
        ),
        ("douga render in --fps 12 -o f.mkv --job k", "douga approve in --fps 12"),
        ("douga render -of.mkv ep.yaml --store s3://a/b", "douga approve ep.yaml --store s3://a/b"),
    ],
)
def test_the_next_command_is_of_the_same_episode_rendered_alike(told: str, next_one: str) -> None:
    assert same_options("approve", told) == next_one


@pytest.mark.parametrize("verb", ["status", "plan", "verify", "review", "approve", "retake"])
def test_every_command_that_is_printed_takes_what_says_how_frames_come_out(verb: str) -> None:
    """`status` took neither `--stage` nor `--fps`: every shot looked changed."""
    commands: Any = get_command(app)
    taken = {option for each in commands.commands[verb].params for option in each.opts}
    assert set(SHAPING) <= taken
