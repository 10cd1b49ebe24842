"""The CI templates: sound YAML, nothing dangerous in it, and their very commands run here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
import yaml

from tests.servers.ci_runner import JobEnd, fill, run_github, run_gitlab
from tests.servers.hooks import Receiver, receiver
from tests.servers.ray_nodes import RayNodes, ray_nodes

ROOT = Path(__file__).parents[2]
CI = ROOT / "infra" / "ci"
GITHUB, GITLAB = CI / "github-nightly.yml", CI / "gitlab-nightly.yml"
BUG = 4
"""The frame that the stage `hurt` fails at."""
WHOLE = ["github runner", "gitlab farm"]
"""The jobs with which every kind of night is run; with the others the one that fails."""


def github() -> dict[str, Any]:
    """The workflow; YAML 1.1 reads its key `on` as true."""
    document: dict[str, Any] = yaml.safe_load(GITHUB.read_text())
    return document


def steps() -> Iterator[dict[str, Any]]:
    """Every step of the workflow."""
    for job in github()["jobs"].values():
        yield from job["steps"]


def gitlab_jobs() -> dict[str, Any]:
    """The jobs and what they extend."""
    document: dict[str, Any] = yaml.safe_load(GITLAB.read_text())
    return document


def test_every_action_is_pinned_to_a_commit_and_names_its_version() -> None:
    lines = re.findall(r"uses: (.+)", GITHUB.read_text())
    assert lines
    for line in lines:
        assert re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_a_night_waits_for_the_one_before_and_ends_in_time() -> None:
    document = github()
    assert document["concurrency"] == {"group": "douga-nightly", "cancel-in-progress": False}
    for job in document["jobs"].values():
        (night,) = [step["run"] for step in job["steps"] if step.get("id") == "night"]
        limit_s = int(re.search(r"--timeout (\d+)", night)[1])  # type: ignore[index]
        assert limit_s < job["timeout-minutes"] * 60, "the night ends before it is ended"
    shared = gitlab_jobs()[".douga-nightly"]
    assert (shared["resource_group"], shared["interruptible"]) == ("douga-nightly", False)
    for name in ("douga-nightly-farm", "douga-nightly-runner"):
        job = gitlab_jobs()[name]
        limit_s = int(re.search(r"--timeout (\d+)", job["script"][-1])[1])  # type: ignore[index]
        assert limit_s < int(job["timeout"].removesuffix(" hours")) * 3600


def test_no_expression_is_pasted_into_a_script() -> None:
    """Whatever an input or a variable holds, it reaches the shell as a variable only."""
    for step in steps():
        assert "${{" not in step.get("run", "")


def test_secrets_come_from_the_secret_store_and_reach_the_night_alone() -> None:
    document = github()
    assert document["permissions"] == {"contents": "read"}
    assert "secrets." not in str(document.get("env", {}))
    for job in document["jobs"].values():
        assert "secrets." not in str(job.get("env", {}))
        for step in job["steps"]:
            if step.get("id") != "night":
                assert "secrets." not in str(step.get("env", {})), step
                continue
            for name, value in step["env"].items():
                secret = re.search(r"SECRET|PASSWORD|_KEY|TOKEN|WEBHOOK|AUTH_STRING", name)
                assert not secret or f"secrets.{name} " in value, name
    assert not re.search(r"SECRET|PASSWORD|TOKEN|WEBHOOK", GITLAB.read_text()), "project's own"


def test_only_settings_that_exist_are_set() -> None:
    from cluster.settings import Settings

    names = set(re.findall(r"^ +(DOUGA_\w+):", GITHUB.read_text() + GITLAB.read_text(), re.M))
    assert names
    for name in names:
        assert name.removeprefix("DOUGA_").lower() in Settings.model_fields, name


@pytest.mark.parametrize(
    ("where", "job"), [("farm", "farm"), ("runner", "runner"), ("", "runner"), ("typo", "runner")]
)
def test_exactly_one_job_of_the_workflow_runs(where: str, job: str) -> None:
    conditions = {name: each["if"] for name, each in github()["jobs"].items()}
    values = {"inputs.where": "", "vars.DOUGA_WHERE": where}
    told = fill("${{ inputs.where || vars.DOUGA_WHERE }}", values)
    asked = "(inputs.where || vars.DOUGA_WHERE)"
    truth = {f"{asked} == 'farm'": told == "farm", f"{asked} != 'farm'": told != "farm"}
    assert [name for name, condition in conditions.items() if truth[condition]] == [job]


def test_exactly_one_job_of_gitlab_runs() -> None:
    rules = [
        gitlab_jobs()[f"douga-nightly-{job}"]["rules"][0]["if"].partition(" && ")
        for job in ("farm", "runner")
    ]
    assert [rule[2] for rule in rules] == ["$DOUGA_RAY", "$DOUGA_RAY == null"]
    assert rules[0][0] == rules[1][0]


# What follows runs the commands.


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that installs like douga's own."""
    folder = tmp_path_factory.mktemp("origin")
    for name in ("Makefile", "pyproject.toml", "setup.py", "constraints.txt", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    words = ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "douga"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], words):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def nodes(own_home: Path) -> Iterator[RayNodes]:
    """A farm of two nodes that know the stage `hurt`."""
    with ray_nodes(2, code=Path(hurt_path())) as nodes:
        yield nodes


def hurt_path() -> str:
    """Where Python finds douga, and the stage that fails where it is told to."""
    return os.pathsep.join([str(ROOT), str(ROOT / "tests" / "hurt")])


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """Who is told of nights."""
    with receiver() as server:
        yield server


Run = Callable[[str], JobEnd]


def make_checkout(folder: Path, origin: Path) -> Path:
    """A checkout with an episode of two shots and two nightlies, and douga in it as a runner
    has it that has run before."""
    checkout = folder / "checkout"
    (checkout / "frames").mkdir(parents=True)
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (32, 48, 3), np.uint8)
        cv2.imwrite(str(checkout / "frames" / f"frame_{number:04}.png"), noise)
    (checkout / "orders").mkdir()
    (checkout / "ep02.yaml").write_text(
        "source: {path: frames, fps: 24}\ncut: [3]\ndelivery: {encoder: ffv1}\n"
        f"recipe: [{{hurt: {{folder: {checkout / 'orders'}}}}}]\n"
    )
    (checkout / "nightly.yaml").write_text("episodes: [ep02.yaml]\n")
    (checkout / "poor.yaml").write_text("episodes: [ep02.yaml]\nbudget: {cpu_hours: 0}\n")
    douga = checkout / ".douga"
    subprocess.run(["git", "clone", "-q", origin, douga], check=True)
    (douga / ".venv").mkdir()
    (douga / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (douga / ".venv/.installed").touch()
    return checkout


def runner(
    name: str, checkout: Path, origin: Path, nodes: Callable[[], RayNodes], *, hook: str
) -> Run:
    """Runs a nightly by a template's job, named by its file; `hook` is told of it."""
    server, _, job = name.partition(" ")
    here = {"PYTHONPATH": hurt_path(), "PY": "/bin/false"}  # nothing is to be installed
    farm = {}
    if job == "farm":
        farm = {"DOUGA_RAY": nodes().address, "DOUGA_STORE": f"file://{checkout.parent}/store"}
    if server == "gitlab":
        own = {"DOUGA_REPOSITORY": str(origin), "DOUGA_REF": "main", "DOUGA_PREFECT": "off"}
        own["DOUGA_WEBHOOK_URL"] = hook
        home = {} if job == "runner" else {"DOUGA_HOME": f"{checkout.parent}/home"}
        more = {**own, **home, **farm, **here}
        return lambda nightly: run_gitlab(
            GITLAB, f"douga-nightly-{job}", checkout, NIGHTLY=nightly, **more
        )
    values = {f"vars.{key}": value for key, value in {**farm, "RAY_AUTH_MODE": "disabled"}.items()}
    values["secrets.DOUGA_WEBHOOK_URL"] = hook
    # Prefect is started where the template means it to be; once is enough.
    more = {} if job == "runner" else {"DOUGA_PREFECT": "off"}
    more |= {} if job == "runner" else {"DOUGA_HOME": f"{checkout.parent}/home"}
    return lambda nightly: run_github(
        GITHUB, job, checkout, {**values, "inputs.nightly": nightly}, **here, **more
    )


@pytest.mark.servers
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        "github farm",
        "gitlab runner",
        pytest.param("github runner", marks=pytest.mark.nightly),
        pytest.param("gitlab farm", marks=pytest.mark.nightly),
    ],
)
def test_the_very_commands_say_what_became_of_a_night(
    name: str, origin: Path, hook: Receiver, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A night with a shot that fails, one that its budget leaves out, and a good one; each is told
    of once."""
    checkout = make_checkout(tmp_path, origin)
    url = f"{hook.url}/hidden-word"
    run = runner(name, checkout, origin, lambda: request.getfixturevalue("nodes"), hook=url)
    order = checkout / "orders" / str(BUG)
    order.write_text("bug")
    failing = run("nightly.yaml")
    assert_failing(checkout, failing)
    assert "hidden-word" not in failing.out
    assert told(hook) == ["night.failed"]
    if name not in WHOLE:
        return
    order.unlink()

    poor = run("poor.yaml")
    assert poor.code == 3, poor.out
    assert_reported(checkout, poor)
    assert poor.allowed == name.startswith("gitlab")
    if name.startswith("github"):
        (line,) = commands(poor)
        assert line.startswith("::warning title=ep02 left out::")

    good = run("nightly.yaml")
    assert good.code == 0, good.out
    assert_reported(checkout, good)
    assert not commands(good)
    assert told(hook) == ["night.failed", "night.left_out", "night.done"]


def told(hook: Receiver) -> list[str]:
    """What the webhook was told of."""
    return [json.loads(request.body)["type"] for request in hook.posted]


def commands(end: JobEnd) -> list[str]:
    """What GitHub's runner would take for its own."""
    return [line for line in end.out.splitlines() if line.startswith("::")]


def assert_failing(checkout: Path, end: JobEnd) -> None:
    """The night failed and says which shot, as its server shows it."""
    assert end.code == 1, end.out
    assert not end.allowed
    assert_reported(checkout, end)
    junit = ET.parse(checkout / "report/junit.xml")
    bad = [each for each in junit.iter("testcase") if each.find("failure") is not None]
    assert [(each.get("classname"), each.get("name")) for each in bad] == [("ep02", "sh020")]
    if end.steps:
        (line,) = commands(end)
        assert line.startswith("::error title=ep02/sh020 frame 1 failed::")
        assert "ZeroDivisionError" in line
        assert end.steps["Annotate the shots that failed"] == 0
        assert "| ep02 | failed |" in end.summary


def assert_reported(checkout: Path, end: JobEnd) -> None:
    """What the template uploads is there, and whole."""
    assert end.artifacts
    for artifact in end.artifacts:
        assert (checkout / artifact).exists(), artifact
    for report in ("report.html", "report.json", "junit.xml"):
        assert (checkout / "report" / report).stat().st_size > 0


def test_gitlab_fetches_douga_where_it_is_not_there_yet(origin: Path, tmp_path: Path) -> None:
    """The commands up to the installation, in an empty checkout."""
    commands = gitlab_jobs()[".douga-nightly"]["before_script"]
    fetching = commands[: commands.index("make -C .douga install")]
    environment = {**os.environ, "DOUGA_REPOSITORY": str(origin), "DOUGA_REF": "main"}
    for _ in range(2):
        subprocess.run(
            ["bash", "-ec", "\n".join(fetching)], cwd=tmp_path, env=environment, check=True
        )
        assert (tmp_path / ".douga/Makefile").read_text() == (ROOT / "Makefile").read_text()
