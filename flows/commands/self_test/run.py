"""Run the proofs with pytest, whatever the folder or the environment says to pytest."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from cluster.errors import DougaError
from cluster.scratch import scratch_folder
from flows.progress import Reporter, one_line

PROOFS = Path(__file__).with_name("proofs.py")


def run_proofs(reporter: Reporter, *, proofs: Path = PROOFS) -> list[dict[str, str]]:
    """One check a proof, as in `douga doctor`: what, found, state, remedy. Reports a line each."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    collector = _Collector(reporter)
    with scratch_folder("self-test") as folder:
        options = [
            *("-c", os.devnull, "--rootdir", str(proofs.parent), "--noconftest"),
            *("--disable-plugin-autoload", "-p", "no:cacheprovider", "-p", "no:terminal"),
            *("--import-mode", "importlib", "--basetemp", str(Path(folder, "proofs"))),
        ]
        code = pytest.main([*options, str(proofs)], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        if code == pytest.ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        raise DougaError("the proofs cannot be run", where=str(proofs), remedy="make install")
    return collector.checks


class _Collector:
    """A pytest plugin that keeps what each proof came to."""

    def __init__(self, reporter: Reporter) -> None:
        self.checks: list[dict[str, str]] = []
        self._reporter = reporter

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "remedy(text): what to do if the proof fails")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" or not report.passed:
            check = _check(item, call, report)
            self.checks.append(check)
            self._reporter.phase(f"self-test: {check['what']}: {check['found']}")
        return report


def _check(
    item: pytest.Function, call: pytest.CallInfo[None], report: pytest.TestReport
) -> dict[str, str]:
    case = f" ({item.callspec.id})" if hasattr(item, "callspec") else ""
    name = (item.obj.__doc__ or item.name).strip().partition("\n")[0].rstrip(".")
    error = call.excinfo.value if call.excinfo else None
    found = f"proven in {call.duration:.1f} s" if report.passed else _why(error)
    remedy = item.get_closest_marker("remedy")
    return {
        "what": name + case,
        "found": found,
        "state": "good" if report.passed else "optional" if report.skipped else "bad",
        "remedy": remedy.args[0] if remedy and report.failed else "",
    }


def _why(error: BaseException | None) -> str:
    """A failure in a line: our own errors and proofs have the words, other errors their name."""
    text = one_line(str(error).partition("\n")[0])
    if isinstance(error, (DougaError, AssertionError, pytest.skip.Exception)):
        return text or "failed"
    return f"{type(error).__name__}: {text}"
