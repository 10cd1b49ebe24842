"""The codes of stored frames, whether a chunk holds codes or planes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cluster.chunks.chunk import StoredChunk
from cluster.store.base import Store
from tasks.frames.picture import Picture
from tasks.worker.delivered import codes_of


def stored_codes(store: Store, name: str, delivered: Picture) -> np.ndarray[Any, Any]:
    """(N, H, W, 3) uint16 of a chunk; of planes, those of the picture that is delivered."""
    chunk = StoredChunk(store, name)
    return np.stack([codes_of(chunk.picture(index), delivered) for index in chunk.wanted])
