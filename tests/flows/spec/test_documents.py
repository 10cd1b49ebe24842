"""Documents at the door: what is accepted, and the one line that says what is not."""

import os
import socket
from fractions import Fraction
from pathlib import Path
from textwrap import dedent

import pytest

from cluster.errors import Exit, UsageError
from flows.plan.checks import check_shot_names
from flows.spec.documents import SourceSpec
from flows.spec.request import RenderRequest, make_request, parse_stage
from flows.spec.shots import shots_from_list
from flows.spec.yaml_file import read_episode, read_recipe
from tasks.stages.yaml_text import MAX_NODES


def write(folder: Path, text: str) -> Path:
    path = folder / "ep01.yaml"
    path.write_text(dedent(text))
    return path


def test_an_episode_reads_every_short_form(tmp_path: Path) -> None:
    episode = read_episode(
        write(
            tmp_path,
            """\
            source: film.mp4
            cut: [48, 96]
            recipe:
              - hold
              - interpolate: {factor: 2, keep: true}
              - {stage: upscale, params: {scale: 2}}
            shots:
              sh010:
                params: {upscale: {precision: bf16}}
                cast: [mika]
            cast: {mika: {references: [mika.png]}}
            delivery: {encoder: libx265, quality: 20}
            """,
        )
    )
    assert episode.name == "ep01"
    assert episode.cut == (48, 96)
    assert [step.stage for step in episode.recipe] == ["hold", "interpolate", "upscale"]
    assert episode.recipe[1].keep is True
    assert episode.recipe[1].params == {"factor": 2}
    assert episode.recipe_for("sh010")[2].params == {"scale": 2, "precision": "bf16"}
    assert episode.recipe_for("sh020")[2].params == {"scale": 2}
    assert episode.resolve("film.mp4") == str(tmp_path / "film.mp4")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("source: a\ndelivery:\n  encodr: x\n", 3, "did you mean 'encoder'"),
        ("sourc: a\n", 1, "did you mean 'source'"),
        ("source: [a\n", 2, "not valid YAML"),
        ("source: a\nsource: b\n", 2, "given twice"),
        ("source: a\ncut: [1, x]\n", 2, "expected auto, a list of frames"),
        ("source: a\ndelivery: {quality: 99}\n", 2, "less than or equal to 63"),
        ("source: {path: a, fps: fast}\n", 1, "expected a frame rate"),
        ("source: a\nshots:\n  sh010:\n    recip: []\n", 4, "did you mean 'recipe'"),
        ("source: a\nshots: {sh010: {cast: [mika]}}\n", 2, "not in the cast"),
        (
            "source: a\ncast: {mika: {}}\nshots:\n  sh010:\n    cast:\n      - mikka\n",
            6,
            "did you mean 'mika'",
        ),
        ("source: a\nsources: [b]\n", 1, "not both"),
        ("source: {path: a, fps: 1e999999999}\n", 1, "frame rate"),
        ("source: a\nhandles: 0\nsource: b\n", 3, "given twice"),
        ("source: a\nname: 2026-99-99\n", 2, "no timestamp"),
        ("source: a\nhandles: !!int abc\n", 2, "no int"),
        ("source: a\nhandles: !!bool abc\n", 2, "no bool"),
        ("source: a\nhandles: !!float abc\n", 2, "no float"),
        (f"source: a\nhandles: {'9' * 5000}\n", 2, "5000 characters"),
        (f"source: a\nhandles: {'1:' * 5000}1\n", 2, "characters"),
        ('source: a\nname: "\\ud800"\n', 2, "surrogate"),
        ("source: a\n\nname: \x01\n", 3, "control character"),
        (f"source: a\nname: {'n' * 190}\n", 2, "bytes at the most"),
        (f"source: {'n' * 300}.mkv\n", 1, "longer than"),
        ('source: a\nname: "a\\eb"\n', 2, "plain name"),
        ('source: "file://[x/a.mkv"\n', 1, "not an address"),
        ('source: a\nstore: "s\\0t"\n', 2, "zero byte"),
        ("source: a\ndelivery:\n  encoder: prorez\n", 3, "did you mean 'prores'"),
        ("source: a\nversion: 7\n", 2, "version"),
        ("source: a\nrecipe:\n  - hold\n  - upscal\n", 4, "did you mean 'upscale'"),
        ("source: a\nrecipe:\n  - upscale: {scal: 2}\n", 3, "did you mean 'scale'"),
        ("source: a\nshots:\n  sh010:\n    params: {upscale: {scale: 7}}\n", 4, "scale"),
        ("- a\n", 1, "expected an episode"),
        ("", 1, "got nothing"),
        ("source: a\nname: ../up\n", 2, "plain name"),
        ("source: !!python/object/apply:os.system [ls]\n", 1, "could not determine a constructor"),
    ],
)
def test_a_wrong_episode_is_one_line_with_its_place(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_episode(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == Exit.USAGE


def test_a_yaml_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    bomb = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    bomb += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(UsageError, match="too many values"):
        read_episode(write(tmp_path, "\n".join(bomb)))
    assert MAX_NODES < 10**6


def test_a_document_may_say_the_version_of_its_form(tmp_path: Path) -> None:
    plain, versioned = (
        read_episode(write(tmp_path, f"{line}source: a\n")) for line in ("", "version: 1\n")
    )
    assert versioned.model_dump() == plain.model_dump(), "or a job's key would be another"


def test_what_is_no_file_is_refused_and_never_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    with socket.socket(socket.AF_UNIX) as held:
        held.bind("socket.yaml")
        for name in ("fifo", "zero", "folder", "socket"):
            for read in (read_episode, read_recipe):
                with pytest.raises(UsageError, match=f"^{name}.yaml: "):
                    read(Path(f"{name}.yaml"))


def test_a_wrong_cut_or_shot_name_has_the_line_that_says_it(tmp_path: Path) -> None:
    episode = read_episode(write(tmp_path, "source: a\ncut:\n  - 10\n  - 9\nshots:\n  sh10: {}\n"))
    assert episode.where("cut", 1).endswith("ep01.yaml:4")
    assert episode.where("shots", "sh10").endswith("ep01.yaml:6")
    with pytest.raises(UsageError, match=r"ep01\.yaml:4: cut: .* 9 does not"):
        shots_from_list((10, 9), counts=[20], where=lambda n: episode.where("cut", n))
    request = RenderRequest(episode=episode, output="o.mkv", store="s")
    with pytest.raises(UsageError, match=r"ep01\.yaml:6: no shot 'sh10'; did you mean 'sh010'"):
        check_shot_names(request, shots_from_list((10,), counts=[20]))


def test_a_recipe_file_is_a_list_of_stages(tmp_path: Path) -> None:
    steps = read_recipe(write(tmp_path, "- hold\n- upscale: {scale: 2}\n"))
    assert [step.stage for step in steps] == ["hold", "upscale"]
    with pytest.raises(UsageError, match="expected a list of stages"):
        read_recipe(write(tmp_path, "upscale: 2\n"))


@pytest.mark.parametrize(
    ("typed", "exact"),
    [
        ("23.976", Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("24000/1001", Fraction(24000, 1001)),
        ("12.5", Fraction(25, 2)),
        ("24", Fraction(24)),
    ],
)
def test_decimal_rates_mean_their_exact_rationals(typed: str, exact: Fraction) -> None:
    assert SourceSpec.model_validate({"path": "f", "fps": typed}).fps == exact


def test_stage_options_become_a_recipe() -> None:
    step = parse_stage("upscale:scale=2,precision=bf16,keep=true")
    assert (step.stage, step.params, step.keep) == (
        "upscale",
        {"scale": 2, "precision": "bf16"},
        True,
    )
    with pytest.raises(UsageError, match="expected name=value, got 'scale'"):
        parse_stage("upscale:scale")


def test_the_film_goes_beside_its_source(tmp_path: Path) -> None:
    assert make_request(str(tmp_path / "film.mp4")).output == str(tmp_path / "film.douga.mkv")
    with pytest.raises(UsageError, match=r"unknown container '\.avi'"):
        make_request(str(tmp_path / "film.mp4"), output="film.avi")
