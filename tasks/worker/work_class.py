"""Which work is alike: what the time of a chunk or a segment is learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cluster.keys import make_key
from tasks.encode.encoders import EncodeSpec
from tasks.stages.stage import Stage

HALF = 8
"""Hex digits of either part; a clash would mix two histories, no more."""


def work_kind(stages: Sequence[Stage[Any]]) -> str:
    """The kind of a run of stages: `STAGES.PARAMETERS`, the first part alike where only parameters
    differ that choose neither another model nor another engine."""
    cards = [stage.card() for stage in stages]
    alike = [
        [stage.name, stage.version, card.model, card.engine]
        for stage, card in zip(stages, cards, strict=True)
    ]
    return _kind(alike, [stage.key_params() for stage in stages])


def encoding_kind(spec: EncodeSpec) -> str:
    """The kind of an encoding: `ENCODER.PARAMETERS`."""
    return _kind(["encode", spec.encoder, spec.preset], spec)


def _kind(alike: object, exactly: object) -> str:
    return f"{make_key(alike)[:HALF]}.{make_key(exactly)[:HALF]}"
