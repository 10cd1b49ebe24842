"""A farm that is not there: renders at once, by the film's own pictures at a quality."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cluster.errors import DougaError
from cluster.ledger.receipts import Receipt, append_receipts
from cluster.store.base import Store
from cluster.store.open import open_store
from flows.forecast.forecast import Forecast
from flows.nightly.run import NightResult, run_night
from flows.nightly.spec import NightlySpec, read_nightly
from flows.plan.prepare import Prepared, prepare
from flows.progress import Reporter, Silent
from flows.runs.result import EpisodeResult, ShotLine
from flows.spec.request import RenderRequest
from tasks.encode.ffmpeg import run_ffmpeg
from tasks.worker.item import segment_name

BEGAN = datetime(2026, 4, 1, 22, tzinfo=UTC)


@dataclass
class Farm:
    """Renders episodes of `film`, each in `takes` seconds by a clock of its own; `does` is called
    for an episode before, and may raise."""

    folder: Path
    film: Path
    takes: float = 60.0
    expected: float = 60.0
    does: Callable[[str], None] = lambda name: None
    now: datetime = BEGAN
    rendered: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """Where nights and frames are."""
        return open_store(str(self.folder / "store"))

    def spec(self, text: str, *, episodes: int = 2) -> NightlySpec:
        """A nightly of so many episodes of the film; `text` is put before them."""
        for number in range(1, episodes + 1):
            name = f"ep{number}"
            (self.folder / f"{name}.yaml").write_text(
                f"source: {self.film}\ncut: [24]\nrecipe: [{{upscale: {{scale: 2}}}}]\n"
                f"delivery: {{output: {name}.mkv, quality: {number}}}  # segments of its own\n"
            )
        file = self.folder / "demo.yaml"
        listed = "".join(f"  - ep{number}.yaml\n" for number in range(1, episodes + 1))
        own = "" if "episodes:" in text else f"episodes:\n{listed}"
        file.write_text(f"store: store\ntimezone: UTC\n{text}\n{own}")
        return read_nightly(file)

    def night(
        self, text: str = "", *, episodes: int = 2, store: Store | None = None, **more: Any
    ) -> NightResult:
        """Run one."""
        self.rendered.clear()
        outcome = run_night(
            self.spec(text, episodes=episodes),
            store or self.store,
            Silent(),
            forecast=self.forecast,
            renderer=self.render,
            clock=lambda: self.now,
            **more,
        )
        self.now += timedelta(days=1) - (self.now - BEGAN) % timedelta(days=1)
        return outcome

    def forecast(self, prepared: Prepared) -> Forecast:
        """Every episode is expected to take as long, on one core."""
        hours = self.expected / 3600
        return Forecast(
            chunks=prepared.plan.counts()[1],
            gpu_hours=0.0,
            cpu_hours=hours,
            bytes_put=0,
            money=0.0,
            finish_p50_s=self.expected,
            finish_p90_s=self.expected,
            basis="history",
            based_on="",
        )

    def render(self, request: RenderRequest, reporter: Reporter) -> EpisodeResult:
        """Put a segment for every shot that is missing, and the film."""
        prepared = prepare(request, reporter)
        name = prepared.name
        self.rendered.append(name)
        self.does(name)
        self.now += timedelta(seconds=self.takes)
        lines = tuple(self._shot(prepared, number) for number in range(len(prepared.plan.shots)))
        film = Path(request.output)
        shutil.copyfile(self.film, film)
        computed = sum(line.computed for line in lines)
        return EpisodeResult(
            film=str(film),
            episode=name,
            run=prepared.plan.run,
            store=request.store,
            shots=lines,
            frames_in=48,
            frames_out=48,
            chunks_computed=computed,
            chunks_reused=sum(line.chunks for line in lines) - computed,
            wall_s=self.takes,
            render_s=self.takes,
            compute_s=self.takes,
            verified=True,
        )

    def _shot(self, prepared: Prepared, number: int) -> ShotLine:
        shot = prepared.plan.shots[number]
        assert shot.segment is not None
        segment = segment_name(shot.segment.key)
        there = bool(prepared.store.has([segment]))
        if not there:
            path = self.folder / "segment.mkv"
            begin = str(shot.shot.start / 24)
            quality = prepared.request.episode.delivery.quality or 8
            run_ffmpeg(
                [
                    *("-ss", begin, "-i", str(self.film), "-frames:v", str(shot.segment.frames)),
                    *("-an", "-c:v", "libx264", "-preset", "ultrafast", "-crf", str(quality)),
                    *("-y", str(path)),
                ]
            )
            prepared.store.put_file(segment, path)
            receipt = Receipt(
                run=prepared.plan.run,
                episode=prepared.name,
                shot=shot.shot.id,
                stage="upscale",
                key=shot.segment.key,
                start=0,
                end=24,
                device="cpu",
                compute_s=self.takes / 2,
                threads=1,
                finished_at=self.now.isoformat(),
            )
            append_receipts(prepared.store, prepared.plan.run, [receipt])
        chunks = sum(1 for _ in shot.items())
        return ShotLine(
            id=shot.shot.id,
            source=0,
            start=shot.shot.start,
            end=shot.shot.end,
            frames=len(shot.track),
            chunks=chunks,
            computed=0 if there else chunks,
            reused=chunks if there else 0,
            state="stored" if there else "rendered",
            seconds=0.0 if there else self.takes / 2,
        )


def failing(which: str, error: BaseException | None = None) -> Callable[[str], None]:
    """What a farm does that fails at an episode."""

    def does(name: str) -> None:
        if name == which:
            raise error or DougaError("the lamp is out", where=name)

    return does
