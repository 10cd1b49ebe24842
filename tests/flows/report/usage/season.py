"""A made-up month of a farm: nights of two episodes on two GPUs, with all that goes wrong."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from cluster.keys import make_key
from cluster.ledger.receipts import Receipt, append_receipts
from cluster.store.base import Store
from flows.plan.decisions import Decision

FIRST = datetime(2024, 10, 1, 22, tzinfo=UTC)


def write_season(store: Store, *, nights: int = 30, shots: int = 12, seed: int = 1) -> None:
    """Receipts, records of runs, decisions and failures as renders leave them."""
    chance = random.Random(seed)
    for night in range(nights):
        for number, episode in enumerate(("ep01", "ep02")):
            at = FIRST + timedelta(days=night, hours=2 * number)
            _write_run(store, episode, at, shots=shots, anew=night < 2 + 3 * number, chance=chance)


def _write_run(
    store: Store, episode: str, at: datetime, *, shots: int, anew: bool, chance: random.Random
) -> None:
    run = f"{at:%Y%m%dT%H%M%S}-{chance.randrange(1 << 16):04x}"
    clock = {"0": at, "1": at}
    lines = []
    for number in range(shots):
        shot = f"sh{10 * (number + 1):03}"
        made = anew or chance.random() < 0.15
        failed = made and chance.random() < 0.04
        receipts = []
        for chunk in range(4 if made else 0):
            gpu = min(clock, key=lambda name: clock[name])
            compute_s, load_s, store_s = chance.lognormvariate(2.5, 0.3), 1.1, 0.6
            clock[gpu] += timedelta(seconds=compute_s + chance.random() * 6)
            receipts.append(
                Receipt(
                    run=run,
                    episode=episode,
                    shot=shot,
                    stage=("interpolate+upscale", "colorize")[chunk % 2],
                    key=make_key([run, shot, chunk]),
                    start=24 * chunk,
                    end=24 * chunk + 24,
                    frames=24,
                    device="cuda",
                    gpu=gpu,
                    node="farm-3",
                    worker=f"41{gpu}",
                    load_s=load_s,
                    compute_s=compute_s,
                    store_s=store_s,
                    bytes_out=4 << 20,
                    retries=int(chance.random() < 0.03),
                    began_at=_text(clock[gpu] - timedelta(seconds=load_s + compute_s)),
                    finished_at=_text(clock[gpu] + timedelta(seconds=store_s)),
                )
            )
        if made and not failed:
            end = max(clock.values())
            receipts.append(
                Receipt(
                    run=run,
                    episode=episode,
                    shot=shot,
                    stage="encode",
                    key=make_key([run, shot]),
                    start=0,
                    end=96,
                    frames=96,
                    device="cpu",
                    threads=2,
                    node="farm-1",
                    worker="77",
                    compute_s=5.0,
                    store_s=0.3,
                    bytes_out=9 << 20,
                    began_at=_text(end),
                    finished_at=_text(end + timedelta(seconds=5.3)),
                )
            )
        append_receipts(store, run, receipts)
        lines.append(
            {"id": shot, "state": "failed" if failed else "rendered" if made else "stored"}
        )
        if failed:
            _write_failure(store, episode, shot, run, at)
        elif made and chance.random() < 0.2:
            note = chance.choice(
                ["the line of the hair boils", "too soft", "wrong red in her scarf"]
            )
            _write_decision(store, episode, shot, at + timedelta(hours=12), note)
    whole = all(line["state"] != "failed" for line in lines)
    computed = 4 * sum(line["state"] != "stored" for line in lines)
    document = {
        "film": "/films/ep.mkv" if whole else None,
        "film_s": 4.0 * shots if whole else 0.0,
        "episode": episode,
        "run": run,
        "state": "done" if whole else "failed",
        "ended_at": _text(max(clock.values()) + timedelta(minutes=1)),
        "chunks_computed": computed,
        "chunks_reused": 4 * shots - computed,
        "shots": lines,
    }
    store.put(f"runs/{episode}/{run}.json", json.dumps(document).encode())


def _write_failure(store: Store, episode: str, shot: str, run: str, at: datetime) -> None:
    error = f"{episode}/{shot}/colorize frame 17: nan in the output of the network; see the frame"
    document = {
        "episode": episode,
        "shot": shot,
        "run": run,
        "stage": "colorize",
        "at": _text(at),
        "error": error,
    }
    store.put(f"failures/{episode}/{shot}/{run}.json", json.dumps(document).encode())


def _write_decision(store: Store, episode: str, shot: str, at: datetime, note: str) -> None:
    decision = Decision(
        episode=episode,
        shot=shot,
        segment=make_key([shot, _text(at)]),
        verdict="retake",
        by="mika",
        at=_text(at),
        note=note,
    )
    name = f"reviews/{episode}/decisions/{shot}/{make_key(decision)}.json"
    store.put(name, json.dumps(asdict(decision)).encode())


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
