"""A studio without a farm: stores with runs, manifests, decisions and small segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from argon2 import PasswordHasher

from cluster.keys import make_key
from cluster.settings import settings
from cluster.store.base import Store
from cluster.store.open import open_store
from cluster.store.records import record_text
from flows.desk.desk import Access, Desk
from flows.plan.decisions import write_decision
from flows.review.gate import new_decision
from flows.runs.night import Night, NightEpisode, NightShot, Regression
from flows.runs.outcome import Outcome
from flows.runs.record import no_result, record_result, run_record
from flows.runs.result import ShotLine
from tasks.encode.encoders import EncodeSpec
from tasks.encode.segment import encode_segment
from tasks.frames.codes import from_uint8
from tasks.frames.colour import delivery_picture
from tasks.frames.picture import Picture

FIRST, SECOND, THIRD = (f"2026030{day}T220000000-ab12" for day in (1, 2, 3))
FRAMES = 24


def segment_key(episode: str, shot: str, run: str) -> str:
    """The key of a shot's segment as a run made it."""
    return make_key([episode, shot, run])


@dataclass(frozen=True, kw_only=True)
class Studio:
    """A store to fill, and the folder of a desk that shows it."""

    folder: Path
    store: Store

    def desk(self, access: Access | None = None) -> Desk:
        """A desk on the store, its listing made."""
        home = self.folder / "desk"
        home.mkdir(exist_ok=True)
        desk = Desk(home, lambda: [self.store.url], access or Access(local=True))
        desk.library.refresh()
        return desk

    def run(
        self,
        episode: str = "ep01",
        run: str = FIRST,
        *,
        waiting: bool = True,
        ends: bool = True,
        command: str = "douga render ep.yaml",
        **shots: Any,
    ) -> None:
        """A run of an episode by the state of each shot; it waits for people where `waiting`."""
        lines = tuple(
            ShotLine(
                id=name,
                source=0,
                start=at * FRAMES,
                end=(at + 1) * FRAMES,
                frames=FRAMES,
                chunks=1,
                computed=1,
                reused=0,
                state=state,
                error="no such frame" if state == "failed" else "",
            )
            for at, (name, state) in enumerate(shots.items())
        )
        good = [line for line in lines if line.state in ("rendered", "stored")]
        for line in good:
            self.manifest(episode, line.id, run if line.state == "rendered" else FIRST, line=line)
        record = run_record(self.store, episode, run, command=command)
        record.begin(shots=len(lines))
        if ends:
            waits = tuple(f"{line.id}: waits" for line in good) if waiting else ()
            blank = no_result(self.store.url, episode, run)
            film = None if waits or len(good) < len(lines) else "/films/ep01.mkv"
            result = replace(blank, shots=lines, waiting=waits, film=film)
            record_result(record, result, command=command)

    def manifest(self, episode: str, shot: str, run: str, *, line: ShotLine) -> None:
        """A shot's manifest as a run left it."""
        key = segment_key(episode, shot, run)
        document = {
            "episode": episode,
            "shot": shot,
            "run": run,
            "source": 0,
            "range": [line.start, line.end],
            "frames": line.frames,
            "segment": f"segments/{key[:2]}/{key}.mkv",
            "runs": [
                {"stages": "hold", "chunks": [{"name": f"frames/{key}", "span": [0, FRAMES]}]}
            ],
            "made_from": {
                "rate": "24",
                "digest": "",
                "runs": [[{"stage": "hold", "version": 1, "params": {}, "model": ""}]],
            },
            "at": "2026-03-01T22:00:00+00:00",
        }
        text = record_text(document)
        self.store.put(f"shots/{episode}/{shot}/{run}.json", text.encode(), if_absent=True)

    def decide(self, shot: str, verdict: Any, *, episode: str = "ep01", run: str = FIRST) -> None:
        """A decision on what a run made of a shot."""
        key = segment_key(episode, shot, run)
        write_decision(self.store, new_decision(episode, shot, key, verdict, by="mika"))

    def failure(self, shot: str, run: str, *, episode: str = "ep01") -> None:
        """What is kept of a failure."""
        name = f"failures/{episode}/{shot}/{run}.json"
        document = {
            "episode": episode,
            "shot": shot,
            "run": run,
            "error": "upscale: out of memory",
            "at": "2026-03-01T22:00:00+00:00",
            "name": name,
            "frame": 7,
        }
        self.store.put(name, record_text(document).encode())

    def night(self, name: str, *, state: Outcome = Outcome.DONE, measure: Any = None) -> None:
        """A night of `ep01` with one shot, which regressed in a measure if one is named."""
        for side in ("before", "after"):
            self.store.put(f"nightframes/{side}.png", side.encode())
        regressions: tuple[Regression, ...] = ()
        if measure:
            regressions = (
                Regression(
                    measure=measure,
                    was=99,
                    now=24,
                    limit=36,
                    frame=7,
                    before="nightframes/before.png",
                    after="nightframes/after.png",
                ),
            )
        key = segment_key("ep01", "sh020", FIRST)
        shot = NightShot(
            id="sh020",
            state="rendered",
            frames=FRAMES,
            seconds=1,
            money=0.5,
            segment=f"segments/{key[:2]}/{key}.mkv",
            regressions=regressions,
        )
        episode = NightEpisode(
            episode="ep01",
            show="a",
            state=state,
            store=self.store.url,
            shots=(shot,),
            cpu_hours=1.5,
        )
        night = Night(
            nightly="show",
            night=name,
            began_at="2026-03-01T22:00:00+00:00",
            ended_at="2026-03-02T05:00:00+00:00",
            episodes=(episode,),
        )
        text = record_text({**night.to_json(), "state": "good"}, default=str)
        self.store.put(f"nights/show/{name}.json", text.encode())

    def segment(self, shot: str, *, episode: str = "ep01", run: str = FIRST) -> None:
        """A real segment of a shot, each of whose frames is of another grey."""
        key = segment_key(episode, shot, run)
        source = Picture(width=64, height=48, pix_fmt="rgb24", depth=8, matrix="rgb", range="full")
        picture = delivery_picture(source, pix_fmt="yuv420p", encoder="libx264")
        frames = (
            from_uint8(np.full((48, 64, 3), 20 + 8 * number, np.uint8)) for number in range(FRAMES)
        )
        path = self.folder / f"{key}.mkv"
        encode_segment(
            path,
            frames,
            count=FRAMES,
            spec=EncodeSpec(encoder="libx264", quality=12),
            picture=picture,
            rate=Fraction(24),
        )
        self.store.put_file(f"segments/{key[:2]}/{key}.mkv", path)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # one hash takes 0.1 CPU-s
    monkeypatch.setattr("flows.desk.access.PasswordHasher", lambda: quick)
    monkeypatch.setenv("DOUGA_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield Studio(folder=tmp_path, store=open_store((tmp_path / "store").as_uri()))
    settings.cache_clear()
