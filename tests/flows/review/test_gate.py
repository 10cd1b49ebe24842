"""The gate: a film waits for people, a decision is about what was seen, the newest one counts."""

import io
import json
from pathlib import Path

import cv2
import pytest
import typer

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
    sheet = episode.with_name("film.review.jpg")
    assert cv2.imread(str(sheet)) is not None
    assert str(sheet) in str(waits_for_review(result))

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


def test_what_options_have_rendered_is_approved_with_the_same(
    episode: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another chunk length is another segment: nobody could approve it by the episode alone."""
    request = make_request(str(episode), output=str(episode.with_name("film.mkv")), chunk=10)
    assert len(render(request, Silent()).waiting) == 2
    app(["status", str(episode), "--chunk", "10", "--json"], standalone_mode=False)
    shots = json.loads(capsys.readouterr().out)["shots"]
    assert {shot["state"] for shot in shots} == {"stored"}
    app(["approve", str(episode), "--chunk", "10"], standalone_mode=False)
    assert render(request, Silent()).film is not None


class Terminal(io.StringIO):
    """Where a person types and reads."""

    def isatty(self) -> bool:
        return True


def test_approving_without_names_says_which_and_asks_whoever_types(
    episode: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve shots passed unseen, without a word."""
    render(make_request(str(episode)), Silent())
    with monkeypatch.context() as typed:
        typed.setattr("sys.stdin", Terminal("n\n"))
        typed.setattr("sys.stderr", Terminal())
        with pytest.raises(typer.Abort):
            app(["approve", str(episode)], standalone_mode=False)
    assert len(waiting_shots(seen(episode).store, seen(episode).plan)) == 2
    app(["approve", str(episode)], standalone_mode=False)
    told = capsys.readouterr().err
    assert all(word in told for word in ("sh010", "sh020", "review.jpg"))
    assert not waiting_shots(seen(episode).store, seen(episode).plan)


def test_nobody_can_approve_what_is_not_rendered(episode: Path) -> None:
    with pytest.raises(RefusedError, match="ep/sh010: is not rendered yet"):
        decide(seen(episode), ["sh010"], "approved")
    with pytest.raises(UsageError, match="no shot 'sh999'"):
        decide(seen(episode), ["sh999"], "approved")
