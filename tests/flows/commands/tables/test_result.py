"""What a render says is to be done next, is."""

import pytest

from flows.commands.tables.result import same_options


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
        ("douga render -of.mkv ep.yaml --store s3://a/b", "douga approve ep.yaml --store s3://a/b"),
    ],
)
def test_the_next_command_is_of_the_same_episode_rendered_alike(told: str, next_one: str) -> None:
    assert same_options("approve", told) == next_one


def test_only_options_that_the_next_command_has_are_kept() -> None:
    told = "douga render ep.yaml --chunk 8 --store there"
    assert same_options("status", told, keep=("--store",)) == "douga status ep.yaml --store there"
