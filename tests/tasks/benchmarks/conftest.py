"""A folder of frames with two shots and held drawings, small enough to measure in a moment."""

from pathlib import Path

import cv2
import numpy as np
import pytest

SIZE = (96, 160)
EXPOSURES = ((2, 1, 2, 1, 1), (1, 2, 1, 2))
"""Frames that each drawing of each shot is held."""


def drawing(shot: int, at: int) -> np.ndarray:
    """A painted ground and a ball that moves 5 pixels a drawing, with an ink line around it."""
    rng = np.random.default_rng(shot)
    ground = rng.integers(60, 200, (12, 20, 3)).astype(np.uint8)
    picture = cv2.resize(ground, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    centre = (40 + 5 * at, 50)
    cv2.circle(picture, centre, 16, (230, 200, 170), -1, cv2.LINE_AA)
    cv2.circle(picture, centre, 16, (10, 10, 20), 2, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder: 7 frames of 5 drawings, a cut, 6 frames of 4 drawings."""
    folder = tmp_path_factory.mktemp("frames")
    number = 0
    for shot, holds in enumerate(EXPOSURES):
        for at, held in enumerate(holds):
            for _ in range(held):
                pixels = drawing(shot, at)[..., ::-1]
                assert cv2.imwrite(str(folder / f"{number:04d}.png"), pixels)
                number += 1
    return folder
