"""With DOUGA_ROOTS set, no path of an episode leads out of them; without, a person's own rights."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.context import FlowRunContext

from cluster.errors import Exit, UsageError
from cluster.settings import settings
from flows.nightly.spec import read_nightly
from flows.plan.prepare import prepare
from flows.progress import Silent
from flows.spec.documents import EpisodeSpec
from flows.spec.request import make_request, read_request


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two folders that episodes may use, `show` and `cast`, and one that they may not."""
    for name in ("show", "cast", "private"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"-")
    (tmp_path / "show" / "link.png").symlink_to(tmp_path / "private" / "a.png")
    (tmp_path / "show" / "fine.png").symlink_to(tmp_path / "cast" / "a.png")
    monkeypatch.setenv("DOUGA_ROOTS", os.pathsep.join(str(tmp_path / n) for n in ("show", "cast")))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def episode(studio: Path) -> EpisodeSpec:
    return EpisodeSpec.model_validate(
        {"name": "ep", "source": "film.mkv", "folder": str(studio / "show")}
    )


@pytest.mark.parametrize("path", ["a.png", "../cast/a.png", "fine.png", "new/not/there.png", "."])
def test_paths_within_allowed_folders_are_used(path: str, studio: Path) -> None:
    assert episode(studio).resolve(path) == str((studio / "show" / path).absolute())


@pytest.mark.parametrize(
    "path",
    ["../private/a.png", "/etc/passwd", "link.png", "../show-2/a.png", "..", "~/a.png",
     "file:///etc/passwd", "new/../../private/a.png"],
)  # fmt: skip
def test_paths_out_of_them_are_refused_in_a_line(path: str, studio: Path) -> None:
    with pytest.raises(UsageError, match=r"leads out of .*DOUGA_ROOTS") as refused:
        episode(studio).resolve(path)
    assert refused.value.exit_code == Exit.USAGE
    assert "\n" not in str(refused.value)


def test_objects_are_bounded_by_the_key(studio: Path) -> None:
    assert episode(studio).resolve("s3://films/ep.mkv") == "s3://films/ep.mkv"


def test_without_allowed_folders_a_path_may_lead_anywhere(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOUGA_ROOTS")
    settings.cache_clear()
    assert episode(studio).resolve("/etc/hosts") == "/etc/hosts"


@pytest.mark.parametrize(
    "line",
    [
        "source: /private/film.mkv",
        "source: film.mkv\ncut: ../private/cut.otio",
        "source: film.mkv\ncast: {mika: {references: [../private/a.png]}}",
        "source: film.mkv\nrecipe: [{colorize: {reference: ../private/a.png}}]\ncut: [24]",
        "source: film.mkv\nrecipe: [{colorize: {references: [{path: a.png}], "
        "corrections: ../private/a.png}}]\ncut: [24]",
        "source: film.mkv\ndelivery: {output: ../private/film.mkv}",
        "source: film.mkv\nstore: ../private/store",
        "source: film.mkv\nstore: file:///private/store",
        "source: film.mkv\nstore: FILE://localhost/private/store",
        "source: {path: frames, fps: 24}\nstore: store",
        "source: {path: frames/f_%04d.png, fps: 24}\nstore: store",
    ],
    ids=["source", "cut", "cast", "references", "corrections", "output", "store", "store's URL",
         "URL with a host", "linked frame", "linked frame by its pattern"],
)  # fmt: skip
def test_every_path_of_an_episode_is_held_to_them(line: str, studio: Path, tiny_film: Path) -> None:
    (studio / "show" / "film.mkv").write_bytes(tiny_film.read_bytes())
    (studio / "show" / "frames").mkdir()
    (studio / "show" / "frames" / "f_0001.png").symlink_to(studio / "private" / "a.png")
    spec = studio / "show" / "ep.yaml"
    spec.write_text(f"{line}\n")
    with pytest.raises(UsageError, match="leads out of the folders that episodes may use"):
        prepare(make_request(str(spec)), Silent())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("episodes: [ep.yaml]\nstore: file:///private/store\n", 2),
        ("episodes: [ep.yaml]\nreport: ../private/report\n", 2),
        ("episodes:\n  - ../private/ep.yaml\n", 2),
        ("episodes:\n  - {path: ep.yaml, output: /private/film.mkv}\n", 2),
        ("episodes:\n  - path: ep.yaml\n    store: ../private/store\n", 3),
        ("episodes:\n  - path: ep.yaml\n    recipe: link.png\n", 3),
    ],
    ids=["store", "report", "episode", "output", "episode's store", "recipe"],
)
def test_every_path_of_a_nightly_is_held_to_them_when_it_is_read(
    text: str, line: int, studio: Path
) -> None:
    night = studio / "show" / "night.yaml"
    night.write_text(text)
    with pytest.raises(UsageError, match=rf"night\.yaml:{line}: .*leads out of the folders"):
        read_nightly(night)


def test_a_request_that_was_sent_is_held_to_them(studio: Path) -> None:
    film = {"episode": episode(studio).model_dump(mode="json"), "output": "/private/film.mkv"}
    with pytest.raises(UsageError, match="leads out of"):
        read_request({**film, "store": (studio / "show" / "store").as_uri()})


def test_a_deployment_takes_no_request_without_them(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, store = str(studio / "show" / "film.mkv"), (studio / "show" / "store").as_uri()
    sent = {"episode": episode(studio).model_dump(mode="json"), "output": film, "store": store}
    deployed = SimpleNamespace(deployment_id="a deployment's")
    with FlowRunContext.model_construct(flow_run=deployed):
        assert read_request(sent).output == film
    monkeypatch.delenv("DOUGA_ROOTS")
    settings.cache_clear()
    assert read_request(sent).output == film, "from whoever calls the flow"
    with (
        FlowRunContext.model_construct(flow_run=deployed),
        pytest.raises(UsageError, match=r"could name any file.*DOUGA_ROOTS"),
    ):
        read_request(sent)


def test_what_is_typed_may_lie_elsewhere_but_no_link_leads_out(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (studio / "show" / "ep.yaml").write_text("source: a.mkv\n")
    (studio / "show" / "out").symlink_to(studio / "private")
    monkeypatch.chdir(studio / "show")
    elsewhere = str(studio / "private" / "film.mkv")
    assert make_request("ep.yaml", output=elsewhere, store=elsewhere).output == elsewhere
    with pytest.raises(UsageError, match="leads out of"):
        make_request("ep.yaml", output="out/film.mkv")
    (studio / "show" / "link.yaml").symlink_to(studio / "private" / "a.png")
    with pytest.raises(UsageError, match="leads out of"):
        make_request("link.yaml")


@pytest.mark.parametrize("name", [f"{'n' * 190}.mkv", "ep\udcff.mkv", f"{'d/' * 3000}ep.mkv"])
def test_a_name_that_nothing_can_be_called_is_refused_before_planning(name: str) -> None:
    for ask in (make_request, lambda name: make_request("a.mkv", output=name)):
        with pytest.raises(UsageError) as refused:
            ask(name)
        assert str(refused.value).encode(), "a line that every stream takes"


@pytest.fixture
def specials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a pipe, a socket and a link to a device."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as held:
        held.bind("socket")
        yield tmp_path


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize(
    "line",
    [
        "source: {0}",
        "source: a.mkv\ncut: {0}.otio",
        "source: a.mkv\ncast: {{mika: {{references: [{0}]}}}}",
        "source: a.mkv\nrecipe: [{{colorize: {{reference: {0}}}}}]\ncut: [24]",
        "source: a.mkv\ndelivery: {{output: {0}}}",
        "source: a.mkv\nstore: {0}",
        "source: a.mkv\nstore: file:{1}/{0}",
    ],
)
def test_no_document_names_what_is_no_file(
    line: str, kind: str, specials: Path, tiny_film: Path
) -> None:
    (specials / "a.mkv").write_bytes(tiny_film.read_bytes())
    (specials / f"{kind}.otio").symlink_to(kind)
    spec = specials / "ep.yaml"
    spec.write_text(line.format(kind, f"//{specials}") + "\n")
    with pytest.raises(UsageError, match=rf"is a {kind}, not a file"):
        prepare(make_request(str(spec)), Silent())


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_nobody_types_what_is_no_file(kind: str, specials: Path) -> None:
    (specials / kind).rename(specials / f"{kind}.mkv")
    for ask in (
        make_request,
        lambda name: make_request("a.mkv", output=name),
        lambda name: make_request("a.mkv", store=name),
    ):
        with pytest.raises(UsageError, match=f"is a {kind}, not a file"):
            ask(f"{kind}.mkv")
