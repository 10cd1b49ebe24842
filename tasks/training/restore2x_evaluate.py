"""The restoring network on damaged frames: `python -m tasks.training.restore2x_evaluate DIR`.

The folder's frames, taken as one clip, are halved by area, damaged by libjpeg or by libx264
(preset medium), enlarged and compared with themselves; every `--every` n-th is scored.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from tasks.models.upscaling.resample import reduce
from tasks.training.shots.compression import h264
from tasks.training.upscaling.evaluate import (
    Pair,
    compare,
    find_pictures,
    open_model,
    read_frames,
    table,
)
from tasks.training.upscaling.lesson import round8

QUALITIES = (80, 60, 40)
CRFS = (23, 28, 33)


def libjpeg(picture: Tensor, *, quality: int) -> Tensor:
    """(1, 3, H, W) signal through OpenCV's JPEG encoder and decoder."""
    pixels = (picture[0].permute(1, 2, 0).flip(2).numpy() * 255).round().astype(np.uint8)
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if done else None
    if decoded is None:
        raise SystemExit("OpenCV cannot write JPEG here")
    return torch.from_numpy(decoded.astype(np.float32) / 255).permute(2, 0, 1)[None]


def damaged(truths: list[Tensor], *, every: int) -> Iterator[Pair]:
    """Every n-th frame of a clip, halved: clean, then through every JPEG and H.264."""
    small = [round8(reduce(truth, kind="area", factor=2)) for truth in truths]
    scored = range(0, len(truths), every)
    for at in scored:
        yield Pair("clean", small[at], truths[at])
    for quality in QUALITIES:
        for at in scored:
            yield Pair(f"JPEG {quality}", libjpeg(small[at], quality=quality), truths[at])
    for crf in CRFS:
        clip = h264(torch.cat(small)[None], crf=[crf], tree=True)[0]
        for at in scored:
            yield Pair(f"H.264 crf {crf}", clip[at : at + 1], truths[at])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="score every n-th frame")
    parser.add_argument("--weights", type=Path, help="folder of card and weights (default: ours)")
    args = parser.parse_args()
    nets = {
        "upscale2x": open_model("upscale2x"),
        "restore2x": open_model("restore2x", args.weights),
    }
    paths = find_pictures(args.folder)
    truths = list(read_frames(paths, longest=1280, multiple=4))
    print(f"every {args.every}. of {len(paths)} frames of {args.folder.name}, PSNR in dB and SSIM")
    print(table(compare(nets, damaged(truths, every=args.every))))


if __name__ == "__main__":
    main()
