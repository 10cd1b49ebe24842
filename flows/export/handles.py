"""Handles: frames on either side of a shot, for the editor to move a cut by.

The film has none of them. Each is planned as a shot of its own, before or after the one it belongs
to and with its recipe, so that a shot's own frames are the film's to the last bit; no stage looks
from a handle into its shot or back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from flows.farm.farm import open_farm
from flows.farm.pins import pinned
from flows.farm.shot import make_work, render_shot_now, shots_to_render
from flows.farm.shots import side_by_side
from flows.farm.upload import upload_inputs
from flows.plan.plan import ShotPlan, plan_render
from flows.plan.prepare import Prepared, device_type
from flows.plan.shot_plan import ShotInput
from flows.plan.sources import analyse_source
from flows.progress import Reporter
from flows.spec.shots import Shot
from tasks.analysis.analyse import drawings_for
from tasks.decode import SourceIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Handles:
    """The handles of every shot that has any: (head, tail), None where the source ends there."""

    parts: Mapping[str, tuple[ShotPlan | None, ShotPlan | None]] = field(default_factory=dict)

    def of(self, shot: str) -> tuple[ShotPlan | None, ShotPlan | None]:
        """A shot's head and tail."""
        return self.parts.get(shot, (None, None))


def plan_handles(prepared: Prepared, count: int, reporter: Reporter) -> tuple[Prepared, Handles]:
    """The handles of at most `count` source frames a side as an episode of their own, and which is
    whose. Gaps, retimed clips and shots that are not rendered have none."""
    plan = prepared.plan
    made: dict[str, tuple[ShotPlan | None, ShotPlan | None]] = {}
    inputs: list[ShotInput] = []
    for entry, planned in zip(prepared.inputs, plan.shots, strict=True):
        index = prepared.indices[entry.shot.source]
        if index.kind == "black" or index.picks or not plan.is_done(planned):
            continue
        sides: list[ShotPlan | None] = []
        for shot in _around(entry.shot, count, index):
            handle = _input(entry, shot, index, reporter) if len(shot) else None
            inputs += [handle] if handle else []
            sides.append(_plan(prepared, handle) if handle else None)
        made[entry.shot.id] = (sides[0], sides[1])
    shots = tuple(part for pair in made.values() for part in pair if part)
    own = replace(plan, episode=f"{plan.episode}.handles", shots=shots)
    known = own.with_stored(prepared.store.has([name for shot in shots for name in shot.names()]))
    return replace(prepared, inputs=tuple(inputs), plan=known), Handles(parts=made)


def render_handles(handles: Prepared, reporter: Reporter) -> None:
    """Render what is missing of planned handles. Raises the first DougaError of any."""
    with pinned(handles, reporter) as held:
        if not shots_to_render(held):
            return
        upload_inputs(held, reporter)
        with open_farm(held.request, held.plan, reporter) as farm:
            work = make_work(held, farm, reporter)
            side_by_side(farm, partial(render_shot_now, work), work.shots)


def _around(shot: Shot, count: int, index: SourceIndex) -> tuple[Shot, Shot]:
    """The frames before a shot and those after it, empty where the source has none."""
    head = replace(shot, id=f"{shot.id}.head", start=max(0, shot.start - count), end=shot.start)
    tail = replace(
        shot, id=f"{shot.id}.tail", start=shot.end, end=min(shot.end + count, len(index))
    )
    return head, tail


def _input(entry: ShotInput, shot: Shot, index: SourceIndex, reporter: Reporter) -> ShotInput:
    """A handle as its shot would be rendered, on the shot's clock."""
    past = shot.start - entry.shot.start
    shift = entry.track.times[0] - index.times[entry.shot.start]
    finish = index.times[shot.end] if shot.end < len(index) else index.end
    drawing: tuple[int, ...] = ()
    if entry.track.drawing:
        drawing = drawings_for(analyse_source(index, reporter), shot.start, shot.end)
    track = replace(
        entry.track,
        times=tuple(time + shift for time in index.times[shot.start : shot.end]),
        end=finish + shift,
        first=entry.track.first + past,
        drawing=drawing,
    )
    return replace(
        entry,
        shot=shot,
        track=track,
        source=replace(entry.source, first=shot.start),
        material=_moved(entry.material, past),
    )


def _moved(
    material: Callable[[Sequence[int]], object], past: int
) -> Callable[[Sequence[int]], object]:
    """The material of frames counted from so many frames past a shot's first."""
    return lambda indices: material([past + index for index in indices])


def _plan(prepared: Prepared, entry: ShotInput) -> ShotPlan:
    """A handle planned like the film: one picture, one encoder, one rate."""
    plan = prepared.plan
    segment = next(shot.segment for shot in plan.shots if shot.segment)
    planned = plan_render(
        [entry],
        episode=f"{plan.episode}.handles",
        run=plan.run,
        chunk=prepared.request.chunk,
        device=device_type(),
        engine=plan.engine,
        delivery=lambda _: plan.picture,
        encode=segment.spec,
    )
    return planned.shots[0]
