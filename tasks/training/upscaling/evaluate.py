"""A network beside Lanczos and bicubic: `python -m tasks.training.upscaling.evaluate MODEL DIR`.

Every frame of the folder (`--every` n-th) is reduced, enlarged by each method and compared with
itself: R'G'B' PSNR in dB and SSIM, 8-bit rounded, a border of 8 pixels left out, mean over frames.
`restore2x/evaluate.py` does the same on damaged frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tasks.metrics.scores import psnr, ssim
from tasks.models.shelf import load_model, read_card
from tasks.models.upscaling.net import UpscaleNet
from tasks.models.upscaling.resample import enlarge, reduce
from tasks.models.upscaling.taps import Filter
from tasks.training.upscaling.lesson import round8

BORDER = 8
REDUCTIONS: tuple[Filter, ...] = ("area", "bicubic")


class Pair(NamedTuple):
    """A frame as it is and as a network gets it, both (1, 3, H, W); `case` says what was done."""

    case: str
    small: Tensor
    truth: Tensor


class Score(NamedTuple):
    """How near a method came, mean over frames."""

    psnr_db: float
    ssim: float


Scores = dict[tuple[str, str], Score]
"""By (case, method)."""


def upscale(net: UpscaleNet, frames: Tensor) -> Tensor:
    """(N, 3, H, W) signal enlarged by the network, edges replicated, on the net's device."""
    place = next(net.parameters()).device
    with torch.inference_mode():
        made: Tensor = net(F.pad(frames.to(place), (net.halo,) * 4, mode="replicate"))
        return made.to(frames.device)


def compare(nets: Mapping[str, UpscaleNet], pairs: Iterable[Pair]) -> Scores:
    """Bicubic, Lanczos and every network, all of one scale, on the same pairs."""
    collected: dict[tuple[str, str], list[tuple[float, float]]] = {}
    scale = next(iter(nets.values())).scale
    for case, small, truth in pairs:
        made = {
            "bicubic": enlarge(small, kind="bicubic", factor=scale),
            "lanczos": enlarge(small, kind="lanczos", factor=scale),
        } | {name: upscale(net, small) for name, net in nets.items()}
        for method, picture in made.items():
            codes, true_codes = _inner(picture), _inner(truth)
            found = (psnr(codes, true_codes), ssim(codes, true_codes))
            collected.setdefault((case, method), []).append(found)
    return {key: Score(*map(float, np.mean(found, 0))) for key, found in collected.items()}


def _inner(signal: Tensor) -> NDArray[np.uint8]:
    """(1, 3, H, W) signal as the 8-bit picture that is scored, `BORDER` pixels left out."""
    codes = (signal[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return np.ascontiguousarray(codes[BORDER:-BORDER, BORDER:-BORDER])


def reduced(frames: Iterable[Tensor], *, scale: int) -> Iterator[Pair]:
    """Each frame with itself made smaller by every filter of `REDUCTIONS`, 8-bit."""
    for truth in frames:
        for kind in REDUCTIONS:
            small = round8(reduce(truth, kind=kind, factor=scale))
            yield Pair(f"reduced by {kind}", small, truth)


def read_frames(paths: Iterable[Path], *, longest: int, multiple: int) -> Iterator[Tensor]:
    """Pictures as (1, 3, H, W) signal, first reduced to `longest` if larger, then cut to sides
    that are multiples of `multiple`."""
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise SystemExit(f"{path}: not a picture")
        shrink = longest / max(pixels.shape[:2])
        if shrink < 1:
            pixels = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        height, width = (edge // multiple * multiple for edge in pixels.shape[:2])
        signal = torch.from_numpy(pixels[:height, :width].astype(np.float32) / 255)
        yield signal.permute(2, 0, 1)[None]


def find_pictures(folder: Path) -> list[Path]:
    """The png and jpg files of a folder, by name."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    if not paths:
        raise SystemExit(f"{folder}: no png or jpg")
    return paths


def table(scores: Scores) -> str:
    """The scores as lines of text, one per case."""
    lines = []
    for case in dict.fromkeys(case for case, _ in scores):
        cells = [
            f"{method} {score.psnr_db:.2f} {score.ssim:.4f}"
            for (of, method), score in scores.items()
            if of == case
        ]
        lines.append(f"{case:18}: " + ", ".join(cells))
    return "\n".join(lines)


def open_model(name: str, folder: Path | None = None) -> UpscaleNet:
    """The network shipped here, or the one of that name in another folder of its name."""
    if folder is None:
        net = load_model(read_card(name, verb="upscale"))
    else:
        shelf = folder.absolute().parent
        net = load_model(read_card(folder.name, verb="upscale", shelf=shelf), shelf=shelf)
    assert isinstance(net, UpscaleNet)
    return net


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="upscale2x, upscale3x, restore2x")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    parser.add_argument("--longest", type=int, default=1280, help="reduce larger pictures first")
    parser.add_argument("--weights", type=Path, help="folder of card and weights (default: ours)")
    args = parser.parse_args()
    net = open_model(args.model, args.weights)
    paths = find_pictures(args.folder)[:: args.every]
    frames = read_frames(paths, longest=args.longest, multiple=net.scale)
    print(f"{len(paths)} frames of {args.folder.name}, PSNR in dB and SSIM")
    print(table(compare({args.model: net}, reduced(frames, scale=net.scale))))


if __name__ == "__main__":
    main()
