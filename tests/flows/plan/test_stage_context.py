"""What an episode tells its stages: the cast of a shot, and a person's files."""

import pytest

from cluster.errors import InputError, UsageError
from flows.plan.stage_context import shot_recipe
from flows.spec.documents import EpisodeSpec

FIX = 'sh010:\n  - {frame: 1, point: [3, 4], colour: "#112233"}\n'


def episode(folder, **params):
    return EpisodeSpec.model_validate(
        {
            "name": "ep",
            "source": "film.mkv",
            "recipe": ["hold", {"colorize": params}],
            "cast": {"Aoi": {"references": ["aoi.png"]}, "Ren": {"references": ["ren.png"]}},
            "shots": {"sh010": {"cast": ["Aoi"]}, "sh020": {"cast": ["Aoi", "Ren"]}},
            "folder": str(folder),
        }
    )


def colorize_params(spec, shot):
    _, colorize = shot_recipe(spec, shot, shots=("sh010", "sh020", "sh030"))
    return colorize.params


def test_a_shots_cast_gives_its_model_sheets(tmp_path):
    spec = episode(tmp_path)
    assert colorize_params(spec, "sh010") == {"sheets": ["aoi.png"]}
    assert colorize_params(spec, "sh020") == {"sheets": ["aoi.png", "ren.png"]}
    assert colorize_params(spec, "sh030") == {}


def test_a_reference_of_the_shot_goes_before_its_cast(tmp_path):
    assert colorize_params(episode(tmp_path, reference="key.png"), "sh010") == {
        "reference": "key.png"
    }


def test_corrections_are_read_for_their_shot(tmp_path):
    (tmp_path / "fix.yaml").write_text(FIX)
    spec = episode(tmp_path, corrections="fix.yaml")
    (entry,) = colorize_params(spec, "sh010")["corrections"]
    assert entry["colour"] == "#112233"
    assert entry["where"] == "fix.yaml:2"
    assert colorize_params(spec, "sh020")["corrections"] == []


def test_mistakes_and_missing_files_are_named(tmp_path):
    spec = episode(tmp_path, corrections="fix.yaml")
    with pytest.raises(InputError, match=r"^ep: fix.yaml: cannot be read"):
        colorize_params(spec, "sh010")
    (tmp_path / "fix.yaml").write_text(FIX + "sh99: []\n")
    with pytest.raises(UsageError, match=r"^ep: fix.yaml:3: no shot 'sh99'"):
        colorize_params(spec, "sh010")
