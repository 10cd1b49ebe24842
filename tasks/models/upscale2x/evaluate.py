"""PSNR of the network beside Lanczos and bicubic: `python -m tasks.models.upscale2x.evaluate DIR`.

Every frame of the folder (`--every` n-th) is halved, doubled by each method and compared with
itself: R'G'B' PSNR in dB, 8-bit rounded, a border of 8 pixels left out, mean over frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.models.shelf import load_model, read_card
from tasks.models.upscale2x.net import Upscale2x
from tasks.models.upscale2x.resample import Filter, double, halve

BORDER = 8
HALVINGS: tuple[Filter, ...] = ("area", "bicubic")


def psnr(a: Tensor, b: Tensor) -> float:
    """PSNR in dB of two signals in [0, 1], (N, C, H, W), `BORDER` pixels left out."""
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    return float(-10 * torch.log10((a[inner] - b[inner]).square().mean()))


def round8(signal: Tensor) -> Tensor:
    """Clipped to [0, 1] and rounded to 8 bits."""
    return (signal.clamp(0, 1) * 255).round() / 255


def upscale(net: Upscale2x, frames: Tensor) -> Tensor:
    """(N, 3, H, W) signal doubled by the network, edges replicated."""
    halo = net.halo
    with torch.inference_mode():
        return net(F.pad(frames, (halo, halo, halo, halo), mode="replicate"))


def compare(net: Upscale2x, frames: Iterator[Tensor]) -> dict[tuple[Filter, str], float]:
    """Mean PSNR by (halving filter, method) over true frames (1, 3, H, W) of even size."""
    sums: dict[tuple[Filter, str], list[float]] = {}
    for truth in frames:
        for kind in HALVINGS:
            small = round8(halve(truth, kind=kind))
            made = {
                "bicubic": double(small, kind="bicubic"),
                "lanczos": double(small, kind="lanczos"),
                "upscale2x": upscale(net, small),
            }
            for method, picture in made.items():
                sums.setdefault((kind, method), []).append(psnr(round8(picture), truth))
    return {case: float(np.mean(values)) for case, values in sums.items()}


def read_frames(paths: list[Path], *, longest: int) -> Iterator[Tensor]:
    """Pictures as (1, 3, H, W) signal of even size, first reduced to `longest` if larger."""
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise SystemExit(f"{path}: not a picture")
        shrink = longest / max(pixels.shape[:2])
        if shrink < 1:
            pixels = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        height, width = (edge // 2 * 2 for edge in pixels.shape[:2])
        signal = torch.from_numpy(pixels[:height, :width].astype(np.float32) / 255)
        yield signal.permute(2, 0, 1)[None]


def table(scores: dict[tuple[Filter, str], float]) -> str:
    """The scores as lines of text, one per halving filter."""
    lines = []
    for kind in HALVINGS:
        cells = [f"{name} {db:.2f}" for (k, name), db in scores.items() if k == kind]
        lines.append(f"halved by {kind:8}: " + ", ".join(cells) + " dB")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    parser.add_argument("--longest", type=int, default=1280, help="reduce larger pictures first")
    parser.add_argument("--model", type=Path, help="folder of card and weights (default: ours)")
    args = parser.parse_args()
    net = open_model(args.model)
    paths = sorted(p for p in args.folder.iterdir() if p.suffix in (".png", ".jpg"))[:: args.every]
    if not paths:
        raise SystemExit(f"{args.folder}: no png or jpg")
    print(f"{len(paths)} frames of {args.folder.name}")
    print(table(compare(net, read_frames(paths, longest=args.longest))))


def open_model(folder: Path | None) -> Upscale2x:
    """The network shipped here, or the one in another folder named `upscale2x`."""
    if folder is None:
        net = load_model(read_card("upscale2x", verb="upscale"))
    else:
        shelf = folder.absolute().parent
        net = load_model(read_card(folder.name, verb="upscale", shelf=shelf), shelf=shelf)
    assert isinstance(net, Upscale2x)
    return net


if __name__ == "__main__":
    main()
