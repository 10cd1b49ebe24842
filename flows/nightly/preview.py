"""What a night would take if it began now, and what that would cost; nothing is rendered."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Any

from cluster.settings import settings
from cluster.store.base import Store
from flows.nightly.candidates import Forecaster, plan_candidates
from flows.nightly.choose import Remaining, Shares, choose_episodes
from flows.nightly.run import check_prices, night_end, now_utc
from flows.nightly.spec import NightlySpec
from flows.progress import Reporter
from flows.runs.nights import SHARED_NIGHTS, Past, hours_by_show


def preview_night(
    spec: NightlySpec,
    store: Store,
    reporter: Reporter,
    *,
    forecast: Forecaster,
    episodes_store: str = "",
) -> dict[str, Any]:
    """The document of `nightly --dry-run --json`. Errors as for `run_night`."""
    check_prices(spec)
    began = now_utc()
    end = night_end(spec, began)
    candidates = plan_candidates(spec, forecast, reporter, store=episodes_store)
    nights = (each.night for each in islice(Past(store, spec.name), SHARED_NIGHTS))
    budget = spec.budget
    choice = choose_episodes(
        [each.candidate for each in candidates.planned.values()],
        shares=Shares(weights=spec.weights, used=hours_by_show(nights)),
        remaining=Remaining(
            seconds=None if end is None else (end - now_utc()).total_seconds(),
            gpu_hours=budget.gpu_hours,
            cpu_hours=budget.cpu_hours,
            money=budget.money,
        ),
        currency=settings().currency,
    )
    forecasts = [each.forecast for each in choice.taken]
    return {
        "nightly": spec.name,
        "began_at": began.isoformat(timespec="seconds"),
        "deadline": None if end is None else end.astimezone(spec.zone).isoformat(),
        "episodes": len(spec.episodes),
        "taken": [
            {
                "episode": each.episode,
                "show": each.show,
                "priority": each.priority,
                **asdict(each.forecast),
            }
            for each in choice.taken
        ],
        "left_out": [
            {"episode": each.candidate.episode, "show": each.candidate.show, "why": each.why}
            for each in choice.left_out
        ],
        "failed": [
            {"episode": each.episode, "show": each.show, "why": each.why}
            for each in candidates.failed
        ],
        "chunks": sum(each.chunks for each in forecasts),
        "gpu_hours": sum(each.gpu_hours for each in forecasts),
        "cpu_hours": sum(each.cpu_hours for each in forecasts),
        "bytes_put": sum(each.bytes_put for each in forecasts),
        "money": sum(each.money for each in forecasts),
        "finish_p50_s": sum(each.finish_p50_s for each in forecasts),
        "finish_p90_s": sum(each.finish_p90_s for each in forecasts),
        "based_on": sorted({each.based_on for each in forecasts if each.based_on}),
    }
