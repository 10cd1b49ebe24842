"""Trains the network from nothing: `python -m tasks.models.upscale2x.train --out DIR --minutes M`.

The folder DIR (its last part must be `upscale2x`) gets `checkpoint.pt` (to go on with `--resume`),
`weights.safetensors` and `card.json`. Nothing but procedural drawings goes in (drawings.py).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from cluster.keys import digest_bytes
from tasks.models.shelf import ModelCard
from tasks.models.tiles import LARGEST_AREA
from tasks.models.upscale2x.drawings import draw
from tasks.models.upscale2x.evaluate import compare, round8, table
from tasks.models.upscale2x.net import Upscale2x
from tasks.models.upscale2x.resample import FILTERS, double, halve

EDGE = 256
HELD_OUT_SEED_OFFSET = 1_000_003
CHARBONNIER_EPSILON = 0.02  # errors under 5 codes count squared, larger ones linearly
EMA_DECAY = 0.998
WARMUP_STEPS = 200
FILTER_SHARES = (0.4, 0.1, 0.35, 0.15)  # of FILTERS: what masters were made smaller by
CHROMA_HALVED_SHARE = 0.15  # drawings whose input has the soft chroma of 4:2:0 sources
LUMA = (0.2126, 0.7152, 0.0722)  # BT.709


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run: where, how long, from which seed, what size."""

    out: Path
    minutes: float
    seed: int
    resume: bool
    channels: int
    layers: int
    batch: int
    crop: int
    bank: int
    renew_every: int
    rate: float
    report_minutes: float
    bf16: bool
    max_steps: int | None


class Bank:
    """The drawings in memory: the latest `size` of an endless series, one renewed at a time."""

    def __init__(self, *, seed: int, size: int, next_index: int) -> None:
        self.seed = seed
        self.next_index = next_index
        self.pictures: NDArray[np.uint8] = np.stack(
            [draw(seed, next_index + at, edge=EDGE) for at in range(size)]
        )

    def renew(self) -> None:
        """Replace the oldest drawing by the next of the series."""
        at = self.next_index % len(self.pictures)
        index = self.next_index + len(self.pictures)
        self.pictures[at] = draw(self.seed, index, edge=EDGE)
        self.next_index += 1

    def crops(self, rng: np.random.Generator, *, count: int, edge: int) -> Tensor:
        """Random crops as (count, 3, edge, edge) signal, colours permuted, mirrored at random."""
        taken = []
        for at in rng.integers(len(self.pictures), size=count):
            top, left = rng.integers(EDGE - edge + 1, size=2)
            crop = self.pictures[at, top : top + edge, left : left + edge][..., rng.permutation(3)]
            taken.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        pixels = torch.from_numpy(np.stack(taken).astype(np.float32) / 255)
        return pixels.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def degrade(truth: Tensor, rng: np.random.Generator) -> Tensor:
    """Half-size inputs of true pictures: a filter at random each, 8-bit, chroma soft at times."""
    made = []
    for picture in truth.split(1):
        small = halve(picture, kind=FILTERS[rng.choice(len(FILTERS), p=FILTER_SHARES)])
        if rng.random() < CHROMA_HALVED_SHARE:
            luma = (small * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
            chroma = double(halve(small - luma, kind="area"), kind="bilinear")
            small = luma + chroma
        made.append(round8(small))
    return torch.cat(made)


def charbonnier(made: Tensor, truth: Tensor) -> Tensor:
    """Mean Charbonnier distance: squared near zero, linear beyond `CHARBONNIER_EPSILON`."""
    eps = CHARBONNIER_EPSILON
    return ((made - truth).square() + eps * eps).sqrt().mean() - eps


class Training:
    """The state that a checkpoint keeps: network, averaged network, optimiser, place in time."""

    def __init__(self, run: Run) -> None:
        self.run = run
        torch.manual_seed(run.seed)
        self.net = self._network()
        self.average = self._network()
        self.average.load_state_dict(self.net.state_dict())
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=run.rate, betas=(0.9, 0.99))
        self.step = 0
        self.next_index = 0
        if run.resume:
            self._load()

    def _network(self) -> Upscale2x:
        net = Upscale2x(channels=self.run.channels, layers=self.run.layers)
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def checkpoint(self) -> Path:
        """Where the state rests between runs."""
        return self.run.out / "checkpoint.pt"

    def _load(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.next_index = state["step"], state["next_index"]

    def save(self, *, next_index: int) -> None:
        """Write checkpoint, weights and card, each by an atomic rename."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "next_index": next_index,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)
        write_model(self.average, self.run)

    def learn(self, truth: Tensor, small: Tensor, *, progress: float) -> float:
        """One step at the learning rate due at `progress` in [0, 1]; returns the loss."""
        rate = self.run.rate * (0.5 + 0.5 * cos(pi * min(progress, 1.0))) + 1e-6
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / WARMUP_STEPS)
        edge = 2 * self.run.layers
        with torch.autocast("cpu", torch.bfloat16, enabled=self.run.bf16):
            made = self.net(small)
        loss = charbonnier(made, truth[..., edge:-edge, edge:-edge])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(EMA_DECAY, self.step / (self.step + 10))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.net.parameters(), strict=True)
            for mean, now in pairs:
                mean.lerp_(now, 1 - decay)
        return float(loss.detach())


def write_model(net: Upscale2x, run: Run) -> None:
    """Weights, then the card that names their digest."""
    weights = save({name: tensor.contiguous() for name, tensor in net.state_dict().items()})
    card = ModelCard(
        name="upscale2x",
        verb="upscale",
        scale=2,
        shape={"channels": run.channels, "layers": run.layers},
        halo=net.halo,
        parameters=sum(tensor.numel() for tensor in net.parameters()),
        precisions=("fp32", "bf16"),
        memory_bytes_per_megapixel=memory_estimate(run.channels),
        sha256=digest_bytes(weights),
    )
    for name, data in (
        ("weights.safetensors", weights),
        ("card.json", (json.dumps(card.model_dump(), indent=2) + "\n").encode()),
    ):
        partial = run.out / f"{name}.partial"
        partial.write_bytes(data)
        partial.replace(run.out / name)


def memory_estimate(channels: int) -> int:
    """Peak bytes for one input megapixel: the frame in, made and rounded (measured, 250 MiB), and
    a window's activations, four of float32."""
    return (256 << 20) + 4 * LARGEST_AREA * channels * 4


def held_out(seed: int) -> Iterator[Tensor]:
    """Drawings that no training run of this seed sees, (1, 3, EDGE, EDGE) signal."""
    for index in range(24):
        pixels = draw(seed + HELD_OUT_SEED_OFFSET, index, edge=EDGE).astype(np.float32) / 255
        yield torch.from_numpy(pixels).permute(2, 0, 1)[None]


def train(run: Run) -> None:
    """Train for `run.minutes` (or `run.max_steps`), reporting and saving on the way."""
    run.out.mkdir(parents=True, exist_ok=True)
    state = Training(run)
    bank = Bank(seed=run.seed, size=run.bank, next_index=state.next_index)
    rng = np.random.default_rng((run.seed, state.step))
    started = reported = time.monotonic()
    losses: list[float] = []
    first = state.step
    while (elapsed := (time.monotonic() - started) / 60) < run.minutes:
        if run.max_steps is not None and state.step - first >= run.max_steps:
            break
        truth = bank.crops(rng, count=run.batch, edge=run.crop)
        progress = elapsed / run.minutes
        losses.append(state.learn(truth, degrade(truth, rng), progress=progress))
        if state.step % run.renew_every == 0:
            bank.renew()
        if (time.monotonic() - reported) / 60 >= run.report_minutes:
            reported = time.monotonic()
            state.save(next_index=bank.next_index)
            _report(state, losses, elapsed)
            losses.clear()
    state.save(next_index=bank.next_index)
    _report(state, losses, (time.monotonic() - started) / 60)


def _report(state: Training, losses: list[float], minutes: float) -> None:
    loss = float(np.mean(losses)) if losses else float("nan")
    print(f"step {state.step}, {minutes:.1f} min, loss {loss:.5f}; held-out drawings:", flush=True)
    print(table(compare(state.average, held_out(state.run.seed))), flush=True)


def parse(arguments: list[str] | None = None) -> tuple[Run, int]:
    """The run that the command line asks for, and torch's threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder named upscale2x")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from DIR/checkpoint.pt")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=192, help=f"true pixels, at most {EDGE}")
    parser.add_argument("--bank", type=int, default=512, help="drawings in memory")
    parser.add_argument("--renew-every", type=int, default=3, help="steps per new drawing")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate")
    parser.add_argument("--report-minutes", type=float, default=2)
    parser.add_argument("--bf16", action="store_true", help="autocast: faster where the CPU has it")
    parser.add_argument("--max-steps", type=int)
    args = vars(parser.parse_args(arguments))
    threads = args.pop("threads")
    return Run(**args), threads


def main() -> None:
    """The command."""
    run, threads = parse()
    torch.set_num_threads(threads)
    train(run)


if __name__ == "__main__":
    main()
