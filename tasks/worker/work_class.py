"""Classes of work: the forecast learns the time of a chunk or a segment from its own class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cluster.keys import make_key
from tasks.encode.encoders import EncodeSpec
from tasks.stages.stage import Stage

HEX_DIGITS = 8
"""Of either part; a clash would only mix two histories."""


def work_class(stages: Sequence[Stage[Any]]) -> str:
    """The class of a run of stages, `MODELS.PARAMETERS`.

    The first part stays the same where parameters differ that choose no other model or engine.
    """
    cards = [stage.card() for stage in stages]
    models = [
        [stage.name, stage.version, card.model, card.engine]
        for stage, card in zip(stages, cards, strict=True)
    ]
    return _class(models, [stage.key_params() for stage in stages])


def encoding_class(spec: EncodeSpec) -> str:
    """The class of an encoding, `ENCODER.PARAMETERS`."""
    return _class(["encode", spec.encoder, spec.preset], spec)


def _class(models: object, params: object) -> str:
    return f"{make_key(models)[:HEX_DIGITS]}.{make_key(params)[:HEX_DIGITS]}"
