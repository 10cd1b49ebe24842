"""The gate: a film waits for people, a decision is about what was seen, the newest one counts."""

from pathlib import Path

import pytest

from cluster.errors import Exit, RefusedError, UsageError
from flows.cli import app
from flows.plan.prepare import Prepared, prepare
from flows.progress import Silent
from flows.render import render
from flows.review.gate import decide, review_document, waiting_shots
from flows.runs.result import waits_for_review
from flows.spec.request import RenderRequest, make_request

EPISODE = "source: {film}\nname: ep\ncut: [24]\nrecipe: {recipe}\nreview: {{gate: true}}\n"


@pytest.fixture
def episode(tmp_path: Path, tiny_film: Path, local_ray: None) -> Path:
    path = tmp_path / "ep.yaml"
    path.write_text(EPISODE.format(film=tiny_film, recipe="[]") + "store: store\n")
    return path


def asked(episode: Path) -> RenderRequest:
    return make_request(str(episode), output=str(episode.with_name("film.mkv")))


def seen(episode: Path) -> Prepared:
    return prepare(asked(episode), Silent())


def test_the_film_appears_when_every_shot_is_approved(episode: Path) -> None:
    result = render(asked(episode), Silent())
    assert result.film is None
    assert [line.split(":")[0] for line in result.waiting] == ["sh010", "sh020"]
    assert waits_for_review(result).exit_code == Exit.REFUSED
    assert not episode.with_name("film.mkv").exists()

    decide(seen(episode), ["sh010"], "approved")
    decide(seen(episode), ["sh020"], "retake", note="too dark")
    assert render(asked(episode), Silent()).waiting == ("sh020: retake: too dark",)

    decide(seen(episode), ["sh020"], "approved", by="mika")
    result = render(asked(episode), Silent())
    assert result.film is not None
    assert Path(result.film).exists()
    assert [s["by"] for s in review_document(seen(episode))["shots"]][1] == "mika"


def test_a_shot_that_comes_out_different_waits_again(episode: Path, tiny_film: Path) -> None:
    render(asked(episode), Silent())
    decide(seen(episode), [], "approved")
    assert not waiting_shots(seen(episode).store, seen(episode).plan)
    recipe = "[{interpolate: {factor: 2, engine: average}}]"
    episode.write_text(EPISODE.format(film=tiny_film, recipe=recipe) + "store: store\n")
    assert len(waiting_shots(seen(episode).store, seen(episode).plan)) == 2


def test_what_options_have_rendered_is_approved_with_the_same(episode: Path) -> None:
    """Another chunk length is another segment: nobody could approve it by the episode alone."""
    request = make_request(str(episode), output=str(episode.with_name("film.mkv")), chunk=10)
    assert len(render(request, Silent()).waiting) == 2
    app(["approve", str(episode), "--chunk", "10"], standalone_mode=False)
    assert render(request, Silent()).film is not None


def test_nobody_can_approve_what_is_not_rendered(episode: Path) -> None:
    with pytest.raises(RefusedError, match="ep/sh010: is not rendered yet"):
        decide(seen(episode), ["sh010"], "approved")
    with pytest.raises(UsageError, match="no shot 'sh999'"):
        decide(seen(episode), ["sh999"], "approved")
