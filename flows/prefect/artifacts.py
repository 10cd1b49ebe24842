"""What Prefect's page shows of a run: the shot table, the contact sheet, where the film is."""

from __future__ import annotations

import base64
import time
from typing import Any
from uuid import UUID

import cv2
import numpy as np
from prefect import get_client
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

from flows.plan.prepare import Prepared
from flows.runs.result import EpisodeResult

STATES_TIMEOUT_S = 10.0
"""The server records task states from events, a moment after they happen."""


def publish_artifacts(prepared: Prepared, result: EpisodeResult) -> None:
    """Make the run's artifacts; called inside a flow run."""
    key = artifact_key(prepared.name)
    rows: list[dict[str, Any]] = [
        {
            "shot": shot.id,
            "source frames": f"{shot.start}-{shot.end - 1}",
            "frames": shot.frames,
            "computed": shot.computed,
            "reused": shot.reused,
            "state": shot.state,
            "seconds": round(shot.seconds, 1),
            "error": shot.error,
        }
        for shot in result.shots
    ]
    create_table_artifact(table=rows, key=f"{key}-shots", description="Shots of the episode")
    create_markdown_artifact(
        key=f"{key}-film",
        markdown=f"**Film** `{result.film or 'not assembled'}`\n\n**Store** `{result.store}`\n\n"
        f"**Run** `{result.run}`\n\n{result.frames_in} frames in, {result.frames_out} out, "
        f"verified: {'yes' if result.verified else 'no'}",
    )
    if result.sheet:
        png = base64.b64encode(_as_png(prepared.store.get(result.sheet))).decode()
        create_image_artifact(
            image_url=f"data:image/png;base64,{png}",
            key=f"{key}-sheet",
            description="One frame of every shot",
        )


def _as_png(picture: bytes) -> bytes:
    """What Prefect's page shows of a sheet, whatever it is kept as."""
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return cv2.imencode(".png", pixels)[1].tobytes()


def wait_for_states(flow_run_id: str) -> bool:
    """Send what Prefect's client still holds, and wait until the server has the final state of
    every task of a run; False if it has not in time."""
    until = time.monotonic() + STATES_TIMEOUT_S
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=STATES_TIMEOUT_S)
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(flow_run_id)]))
    with get_client(sync_client=True) as client:
        while time.monotonic() < until:
            runs = client.read_task_runs(flow_run_filter=wanted)
            if all(run.state is not None and run.state.is_final() for run in runs):
                return True
            time.sleep(0.2)
    return False


def artifact_key(name: str) -> str:
    """An artifact key: lower-case letters, digits and dashes."""
    return (
        "-".join(
            filter(
                None,
                "".join(c if c.isascii() and c.isalnum() else " " for c in name.lower()).split(),
            )
        )
        or "episode"
    )
