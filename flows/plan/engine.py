"""Which engine runs the networks of a plan: one for all its workers, the same for all its renders.

An episode keeps the engine that its frames were made by, which the manifests of its shots name. A
recipe that says `precision: exact` or `fast` changes it, as it changes any parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from cluster.keys import canonical
from cluster.store.base import NotStored, Store
from cluster.store.records import DamagedRecord, read_record
from flows.spec.documents import StageSpec
from tasks.models.calibrate import NEAR_DB, nearness_db
from tasks.models.engine import EXACT, LIBRARY, PLAIN, engines_here, fastest_here, is_bf16
from tasks.models.shelf import ModelCard
from tasks.stages.registry import make_stage

_MOST_READ = 20
"""Manifests, the newest first; a shot of black names no engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The engine of a plan and, in words, why it is that. `other` is what the episode's frames may
    have been made by as well, None where that is known."""

    engine: str = EXACT
    words: str = ""
    other: str | None = None

    def turned(self) -> Choice:
        """The other one, because the store has frames by it."""
        engine = self.other or EXACT
        return Choice(engine=engine, words=f"{_named(engine)}, as stored frames of the episode")


def choose_engine(
    store: Store, episode: str, steps: Iterable[StageSpec], *, ray: str, device: str
) -> Choice:
    """The engine for an episode with these stages, on the workers of `ray` ("": this machine's).

    Fast where a recipe asks for it, or where it leaves the choice and all workers are known to be
    this machine's, as far as this machine has one within NEAR_DB of exact.
    """
    networks, asked = _networks(steps)
    if not networks or device != "cpu":
        return Choice()
    if not engines_here():
        why = "asked for fast, but " if asked else ""
        words = f"{_named(EXACT)}: {why}OpenVINO is not installed (pip install 'douga[fast]')"
        fast = Choice(words=words)
    else:
        fast = _fastest(networks)
    recorded = recorded_engine(store, episode)
    if recorded is not None and not (asked and recorded == EXACT):
        return Choice(engine=recorded, words=f"{_named(recorded)}, as the episode's frames so far")
    if asked or not fast.engine:
        return fast
    if ray:
        words = f"{_named(EXACT)}: what the workers at {ray} have is not known (precision: fast)"
        return Choice(words=words, other=fast.engine)
    return replace(fast, other=EXACT)


def recorded_engine(store: Store, episode: str) -> str | None:
    """The engine that an episode's newest frames by a network were made by; None if there are
    none."""
    names = [stored.name for stored in store.list(f"shots/{episode}/")]
    for name in sorted(names, key=lambda name: name.rpartition("/")[2], reverse=True)[:_MOST_READ]:
        with suppress(NotStored, DamagedRecord):
            engine = read_record(store, name, _engine_of)
            if engine is not None:
                return engine
    return None


def _engine_of(manifest: Any) -> str | None:
    stages = [stage for run in manifest["made_from"]["runs"] for stage in run]
    parts = [part for stage in stages for part in str(stage["engine"]).split("+")]
    fast = [part for part in parts if part.startswith(f"{LIBRARY}-")]
    exact = any(part.startswith("torch-") for part in parts)
    return fast[0] if fast else EXACT if exact else None


def _networks(steps: Iterable[StageSpec]) -> tuple[tuple[ModelCard, ...], bool]:
    """The networks that a fast engine may run, and whether one of their stages asks for it."""
    found: dict[str, ModelCard] = {}
    asked = False
    for step in {canonical([step.stage, step.params]): step for step in steps}.values():
        stage = make_stage(step.stage, step.params)
        cards = stage.fast_networks()
        found.update({card.sha256: card for card in cards})
        asked |= bool(cards) and stage.params.precision == "fast"
    return tuple(found.values()), asked


def _fastest(networks: tuple[ModelCard, ...]) -> Choice:
    """The fastest engine of this machine that comes near enough to exact with all of them."""
    engine = fastest_here()
    near = nearness_db(networks, engine=engine)
    if near < NEAR_DB:
        words = f"{_named(PLAIN)}: {engine} comes only to {near:.1f} dB of exact"
        return Choice(engine=PLAIN, words=words)
    how = f"{near:.1f} dB to exact" if is_bf16(engine) else "float32, as exact is"
    return Choice(engine=engine, words=f"{_named(engine)}, {how}")


def _named(engine: str) -> str:
    return f"networks by {engine or 'torch, exact'}"
