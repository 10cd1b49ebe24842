"""How near an engine comes to exact, measured once on this kind of machine and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from cluster.cache import cached
from cluster.settings import settings
from tasks.frames.codes import from_uint8
from tasks.models.device import Device
from tasks.models.engine import PLAIN, engines_here, is_bf16
from tasks.models.enlarge import Signal
from tasks.models.inbetweening import Pair
from tasks.models.load import open_enlarger
from tasks.models.morph import open_morph
from tasks.models.shelf import ModelCard

NEAR_DB = 60.0
"""PSNR to exact below which an engine is not taken: the error is then half a 9-bit code."""
_SIZE = (144, 176)
_MOMENT = 0.4
_EQUAL_DB = 120.0


def nearness_db(cards: Sequence[ModelCard], *, engine: str) -> float:
    """The least PSNR, over these networks of the shelf, of `engine` to the same in float32.

    Each is measured on a few drawings, once for a network, an engine and the library's version, and
    kept in douga's home. ClusterError where this machine has not the engine.
    """
    if not is_bf16(engine):
        return _EQUAL_DB
    return min((_kept(card, engine) for card in cards), default=_EQUAL_DB)


def _kept(card: ModelCard, engine: str) -> float:
    library = engines_here().get(engine, "").replace(" ", "-")
    return cached(
        settings().home / "cache" / "engines" / f"{engine}-{library}-{card.sha256[:12]}.txt",
        lambda: str(_measure(card, engine)),
        float,
    )


def _measure(card: ModelCard, engine: str) -> float:
    made, exact = (list(_made(card, by)) for by in (engine, PLAIN))
    errors = [float(np.mean((a - b) ** 2)) for a, b in zip(made, exact, strict=True)]
    return round(min(_EQUAL_DB, float(-10 * np.log10(max(errors) + 1e-12))), 1)


def _made(card: ModelCard, by: str) -> Iterator[Signal]:
    if card.verb == "upscale":
        enlarger = open_enlarger(
            card, device=Device(), read_asset=_no_asset, precision="fp32", engine=by
        )
        for seed in range(3):
            yield enlarger(_drawing(seed) / np.float32(255))
        return
    morph = open_morph(card, device=Device(), read_asset=_no_asset, precision="fp32", engine=by)
    for seed in range(3):
        frames = (from_uint8(_drawing(seed, moved=moved).astype(np.uint8)) for moved in (0, 5))
        yield morph(Pair(*frames, depth=8), _MOMENT)


def _drawing(seed: int, *, moved: int = 0) -> Signal:
    """8-bit codes (H, W, 3) of flat paint, ink, hatching, a sky; some grain in every other one."""
    rng = np.random.default_rng(seed)
    height, width = _SIZE
    sky = np.linspace(rng.uniform(60, 160), rng.uniform(200, 250), height, dtype=np.float32)
    made = sky[:, None, None] * rng.uniform(0.8, 1, 3).astype(np.float32)
    made = np.repeat(made, width, axis=1)
    made[height * 3 // 4 :, :: 3 + seed] = rng.uniform(0, 255, 3)
    for _ in range(6):
        place = (int(rng.integers(width)) + moved, int(rng.integers(height)) + moved // 2)
        edge = int(rng.integers(8, 40))
        paint = tuple(map(float, rng.uniform(0, 255, 3)))
        cv2.circle(made, place, edge, paint, -1, cv2.LINE_AA)
        cv2.circle(made, place, edge, (20.0, 10.0, 30.0), int(rng.integers(1, 4)), cv2.LINE_AA)
    if seed % 2:
        made += rng.normal(0, 4, made.shape).astype(np.float32)
    return np.asarray(np.rint(made.clip(0, 255)), np.float32)


def _no_asset(path: str) -> bytes:
    raise FileNotFoundError(path)
