"""The two CI servers' runners, as far as the templates need them: they read the YAML, fill in
expressions and variables, and run the very commands with bash."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
UNUSED = ("DOUGA_", "PREFECT_", "RAY_", "GITHUB_", "CI_")
"""What of this machine's own environment no runner would have."""


@dataclass
class JobEnd:
    """How a job ended: its exit code (the first step's that failed), what it printed, what it
    would upload."""

    code: int = 0
    out: str = ""
    steps: dict[str, int] = field(default_factory=dict)
    """Exit codes of the steps that ran, by name."""
    artifacts: list[str] = field(default_factory=list)
    summary: str = ""
    allowed: bool = False
    """GitLab shows it as a warning."""


def fill(text: str, values: Mapping[str, str]) -> str:
    """Text with GitHub's expressions replaced: names, and `a || 'b'`; unknown names are empty."""

    def value(match: re.Match[str]) -> str:
        for word in re.split(r"\s*\|\|\s*", match[1]):
            found = word[1:-1] if word.startswith("'") else values.get(word, "")
            if found:
                return found
        return ""

    return EXPRESSION.sub(value, text)


def run_github(
    template: Path, job: str, checkout: Path, values: Mapping[str, str], **more: str
) -> JobEnd:
    """Run a job's `run:` steps in a checkout; `values` are variables, secrets and inputs."""
    document = yaml.safe_load(template.read_text())
    wanted = document["jobs"][job]
    known = {"github.workspace": str(checkout), "github.run_id": "1", **values}
    summary = checkout.parent / f"{checkout.name}-summary.md"
    summary.unlink(missing_ok=True)
    end = JobEnd()
    for step in wanted["steps"]:
        always = "always()" in str(step.get("if", "")) or "!cancelled()" in str(step.get("if", ""))
        if end.code and not always:
            continue
        if "run" not in step:
            if "upload-artifact" in step["uses"]:
                end.artifacts.append(fill(step["with"]["path"], known))
            continue
        layers = (document.get("env", {}), wanted.get("env", {}), step.get("env", {}))
        given = {name: fill(str(text), known) for env in layers for name, text in env.items()}
        given |= {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
        # GitHub's shell for steps that name none.
        code, out = _bash(["-e"], step["run"], checkout, {**given, **more})
        end.steps[step["name"]] = code
        end.out += out
        end.code = end.code or code
    end.summary = summary.read_text() if summary.exists() else ""
    return end


def run_gitlab(template: Path, job: str, checkout: Path, **variables: str) -> JobEnd:
    """Run a job's before_script and script in a checkout; `variables` are those of the project and
    the schedule, which win over the template's."""
    document = yaml.safe_load(template.read_text())
    wanted = _extended(document, job)
    plain = {"CI_PROJECT_DIR": str(checkout), "CI": "true", "GITLAB_CI": "true"}
    given = {
        name: re.sub(r"\$(CI_\w+)", lambda found: plain[found[1]], str(value))
        for name, value in wanted["variables"].items()
    }
    script = "\n".join([*wanted["before_script"], *wanted["script"]])
    code, out = _bash(["-e", "-o", "pipefail"], script, checkout, {**plain, **given, **variables})
    artifacts = [*wanted["artifacts"]["paths"], *wanted["artifacts"]["reports"].values()]
    allowed = code == wanted["allow_failure"]["exit_codes"]
    return JobEnd(code, out, {}, artifacts, allowed=allowed)


def _extended(document: dict[str, Any], job: str) -> dict[str, Any]:
    """A job with what it extends under it; mappings are merged, the rest replaced."""
    wanted = document[job]
    if "extends" not in wanted:
        return dict(wanted)
    under = _extended(document, wanted["extends"])
    for name, value in wanted.items():
        both = isinstance(value, dict) and isinstance(under.get(name), dict)
        under[name] = {**under[name], **value} if both else value
    return under


def _bash(
    options: list[str], script: str, folder: Path, given: Mapping[str, str]
) -> tuple[int, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(UNUSED)}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", *options, "-c", script],
        cwd=folder,
        env={**kept, **given},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
    )
    return done.returncode, done.stdout + done.stderr
