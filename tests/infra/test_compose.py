"""The compose file: sound YAML, files that exist, and only options that the programs have."""

import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cluster.errors import Exit
from cluster.settings import Settings
from flows.cli import app

INFRA = Path(__file__).parents[2] / "infra"
BIN = Path(sys.executable).parent


def services() -> dict[str, Any]:
    """The services of the compose file."""
    found: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]
    return found


def test_the_unit_of_a_node_starts_what_there_is() -> None:
    folder = INFRA / "systemd"
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(folder / "douga-worker.service")
    program, command, *words = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "douga"
    known = get_command(app).commands[command].params  # type: ignore[attr-defined]
    options = {name for each in known for name in each.opts}
    assert {word for word in words if word.startswith("-")} <= options
    given = (folder / Path(unit["Service"]["EnvironmentFile"]).name).read_text()
    names = {line.partition("=")[0] for line in given.splitlines()}
    assert {name for word in words for name in re.findall(r"\$\{(\w+)\}", word)} <= names
    fields = {f"DOUGA_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if name.startswith("DOUGA_")} - fields == {"DOUGA_HEAD"}
    assert int(unit["Service"]["SuccessExitStatus"]) == Exit.INTERRUPTED


def test_every_service_is_built_from_the_one_image() -> None:
    for service in services().values():
        assert (INFRA / service["build"]["context"]).resolve() == INFRA.parent
        assert (INFRA.parent / service["build"]["dockerfile"]).is_file()


def test_the_image_copies_only_what_there_is() -> None:
    copies = re.findall(r"^COPY (.+) \S+$", (INFRA / "Dockerfile").read_text(), re.M)
    assert copies
    for names in copies:
        for name in names.split():
            assert (INFRA.parent / name).exists(), name


def test_the_image_is_given_what_it_copies_and_nothing_else() -> None:
    copies = re.findall(r"^COPY (.+) \S+$", (INFRA / "Dockerfile").read_text(), re.M)
    ignored = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    lines = [line for line in ignored if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == {
        name for names in copies for name in names.split()
    }


def test_what_is_written_belongs_to_who_writes_it() -> None:
    """A named volume takes the owner of the folder that it is mounted over in the image."""
    dockerfile = (INFRA / "Dockerfile").read_text()
    (made,) = re.findall(r"install --directory --owner douga --group douga (.+)$", dockerfile, re.M)
    for service in services().values():
        assert service["build"]["args"]["UID"].startswith("${DOUGA_UID")
        for volume in service["volumes"]:
            if isinstance(volume, dict):
                assert volume["bind"] == {"create_host_path": False}
                assert volume["target"] in made.split()
            elif ":" in volume:
                assert volume.partition(":")[2] in made.split()


def test_nobody_starts_before_what_it_needs_is_up() -> None:
    found = services()
    for service in found.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert found[needed]["healthcheck"]["test"][0] == "CMD"


def test_what_renders_gets_no_developers_tools() -> None:
    assert re.findall(r"RUN make (\S+)", (INFRA / "Dockerfile").read_text()) == ["install"]
    listed = ["make", "--always-make", "--just-print", "install"]
    done = subprocess.run(listed, cwd=INFRA.parent, capture_output=True, text=True, check=True)
    extras = re.findall(r"\.\[(.*?)\]", done.stdout)
    assert extras == ["jxl,onnx,fast"]


@pytest.mark.parametrize(
    "command", [s["command"] for s in services().values() if "command" in s], ids=str
)
def test_every_option_exists(command: str) -> None:
    words = shlex.split(command)
    verbs = [word for word in words[1:] if word.isalpha()][: 2 if words[0] == "prefect" else 1]
    done = subprocess.run(
        [BIN / words[0], *verbs, "--help"], capture_output=True, text=True, check=True
    )
    for option in (word for word in words if word.startswith("--")):
        assert option in done.stdout, option


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_server_asks_who_comes() -> None:
    found = services()
    assert "PREFECT_SERVER_API_AUTH_STRING" in found["prefect"]["environment"]
    assert "PREFECT_API_AUTH_STRING" in found["douga"]["environment"]
    for name in ("head", "worker", "douga"):
        environment = found[name]["environment"]
        assert environment["RAY_AUTH_MODE"] == "token", name
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert "ray_token" in found[name]["secrets"]


def test_no_secret_is_written_down_and_each_has_only_its_own() -> None:
    text = (INFRA / "compose.yaml").read_text()
    for line in re.findall(r"^ +\w*(?:KEY|AUTH_STRING)\w*: (.+)$", text, re.M):
        assert re.fullmatch(r"\$\{\w+:[-?][^}]*\}", line), line
    found = services()
    for name in ("prefect", "head"):
        assert not any("S3" in key for key in found[name].get("environment", {})), name
    assert "PREFECT_API_AUTH_STRING" not in found["worker"]["environment"]


def test_no_container_gains_privileges_or_writes_to_its_image() -> None:
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert all(folder in service["volumes"] for folder in ("/tmp", "/home/douga")), name


def test_the_base_may_be_named_by_its_digest() -> None:
    dockerfile = (INFRA / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=\S+\nFROM \$\{BASE\}$", dockerfile, re.M)
    assert all("BASE" in service["build"]["args"] for service in services().values())
    assert "chown" not in dockerfile, "what runs may not change what it runs"
