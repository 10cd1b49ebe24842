"""`douga timeline` from request to document: plan, render handles that are asked for, export."""

from __future__ import annotations

from typing import Any

from flows.export.export import constant_rate, export_timeline, refuse_missing
from flows.export.handles import Handles, plan_handles, render_handles
from flows.export.places import Export, check_places
from flows.plan.prepare import prepare
from flows.progress import Reporter
from flows.spec.request import RenderRequest


def deliver_timeline(
    request: RenderRequest, export: Export, reporter: Reporter, *, handles: int | None
) -> dict[str, Any]:
    """Export an episode's rendered shots; `handles` None takes as many as the episode says.

    Of the film nothing is rendered, of handles what is missing. Errors: as `export_timeline`, and
    those of a render.
    """
    prepared = prepare(request, reporter)
    constant_rate(prepared)
    check_places(prepared, export)
    refuse_missing(prepared, export)
    count = request.episode.handles if handles is None else handles
    sides = Handles()
    if count:
        planned, sides = plan_handles(prepared, count, reporter)
        render_handles(planned, reporter)
    return export_timeline(prepared, export, sides, reporter)
