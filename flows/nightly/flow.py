"""The Prefect flow of a night: what `douga up` serves and `douga nightly` does by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from cluster.errors import Exit, UsageError, unwritable
from cluster.keys import make_key
from cluster.settings import home_folder
from flows.forecast.estimate import forecast
from flows.nightly.candidates import nightly_store
from flows.nightly.report_files import write_reports
from flows.nightly.run import NightResult, run_night
from flows.nightly.spec import NightlySpec, read_nightly
from flows.notify.on_exit import notify_on_night_exit
from flows.prefect.artifacts import artifact_key
from flows.process import ended_by_signals
from flows.progress import Plain

STATE_NAMES = {Exit.WANTING: "Wanting", Exit.REFUSED: "Incomplete"}
"""Prefect's names of runs that ended so: failed verification or regressed; something left out or
waiting."""


def remember_file(spec: NightlySpec) -> None:
    """Keep which file a nightly is of, for its nights on this machine: whoever may start one names
    a nightly that was deployed here, and no file."""
    try:
        _noted(spec.name).write_text(spec.file, encoding="utf-8")
    except OSError as error:
        raise unwritable(_noted(spec.name), error, remedy="set DOUGA_HOME") from error


def _noted(name: str) -> Path:
    return home_folder("up") / f"{make_key(name)}.file"


@flow(name="nightly", flow_run_name="{name}")
def nightly(name: str) -> State[Any]:
    """Run a nightly that `douga up` deployed from this machine. Completed when good, `Incomplete`
    where something was left out, `Wanting` (failed) where something regressed, Failed, or
    Cancelled."""
    try:
        file = _noted(name).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"no nightly {name!r} was deployed here", remedy="douga up --nightly FILE"
        ) from error
    spec = read_nightly(Path(file))
    store = nightly_store(spec)
    command = f"douga nightly {file}"
    with notify_on_night_exit(spec.name, Plain(), command=command) as notice:
        with ended_by_signals():
            result = run_night(spec, store, Plain(), forecast=forecast, command=command)
        notice.night(result.night)
        notice.report(write_reports(result.night, spec, store))
    _publish(result, name)
    return _state(result)


def _state(result: NightResult) -> State[Any]:
    words = f"night {result.night.night}: {result.words or 'good'}"
    code = result.exit_code
    if code in (Exit.GOOD, Exit.REFUSED):
        return Completed(name=STATE_NAMES.get(code, "Completed"), message=words)
    get_run_logger().error(words)
    if code is Exit.INTERRUPTED:
        return Cancelled(message=words)
    return Failed(name=STATE_NAMES.get(code, "Failed"), message=words)


def _publish(result: NightResult, name: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "episode": each.episode,
            "show": each.show,
            "state": each.state,
            "regressed": sum(bool(shot.regressions) for shot in each.shots),
            "computed": each.computed,
            "reused": each.reused,
            "seconds": round(each.wall_s, 1),
            "film": each.film,
            "why": each.why,
        }
        for each in result.night.episodes
    ]
    create_table_artifact(
        table=rows, key=f"{artifact_key(name)}-night", description="Episodes of the night"
    )
