"""Trains the network from nothing: `python -m tasks.training.inbetween.train --out DIR --minutes
M`.

The folder DIR (its last part must be `inbetween`) gets `checkpoint.pt` (to go on with `--resume`),
`weights.safetensors` and `card.json`. Nothing but generated shots goes in (material.py).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from tasks.models.inbetween.layout import STRIDE
from tasks.models.inbetween.net import Inbetween
from tasks.training.inbetween.losses import choice_error, flow_error, loss
from tasks.training.inbetween.material import Triplets, make_triplets
from tasks.training.loop import Pupil, write_model

HELD_OUT_SEED_OFFSET = 1_000_003
HELD_OUT = 64
FLOW_WEIGHT = 0.004
"""Per pixel of distance: a whole pixel wrong costs one 8-bit code."""
CHOICE_WEIGHT = 0.04
GRADIENT_LIMIT = 0.1
"""Usual norms are .02 to .2; without it a rare batch threw the weights off (seen at 1.0)."""
MEMORY_BYTES_PER_MEGAPIXEL = 1100 << 20
"""Measured: see CARD.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run: where, how long, from which seed, what size."""

    out: Path
    minutes: float
    seed: int
    resume: bool
    widths: tuple[int, int, int, int]
    batch: int
    edge: int
    bank: int
    renew_every: int
    rate: float
    report_minutes: float
    bf16: bool
    device: str
    max_steps: int | None


class Bank:
    """Triplets in memory: the latest of an endless series, the oldest eight renewed at a time."""

    def __init__(self, run: Run, *, next_index: int) -> None:
        self._run = run
        self.next_index = next_index
        self._held = make_triplets(seed=run.seed, first=next_index, count=run.bank, edge=run.edge)

    def renew(self) -> None:
        """Replace the oldest eight triplets by the next of the series."""
        at = self.next_index % self._run.bank
        first = self.next_index + self._run.bank
        fresh = make_triplets(seed=self._run.seed, first=first, count=8, edge=self._run.edge)
        for field in fields(Triplets):
            getattr(self._held, field.name)[at : at + 8] = getattr(fresh, field.name)
        self.next_index += 8

    def batch(self, rng: np.random.Generator) -> Triplets:
        """Some triplets, mirrored, transposed, reversed in time and recoloured at random."""
        at = torch.from_numpy(rng.integers(self._run.bank, size=self._run.batch))
        held = Triplets(**{f.name: getattr(self._held, f.name)[at] for f in fields(Triplets)})
        return _turned(held, rng)


def _turned(batch: Triplets, rng: np.random.Generator) -> Triplets:
    pictures, guesses, cover = batch.pictures, batch.guesses, batch.cover
    flows, seen, time_ = batch.flows, batch.seen, batch.time
    if rng.random() < 0.5:  # b before a
        pictures, guesses = pictures[:, [1, 0, 2]], -guesses[:, [0, 2, 1]]
        flows, seen, cover, time_ = flows.flip(1), seen.flip(1), cover.flip(1), 1 - time_
    for axis, component in ((-1, 0), (-2, 1)):
        if rng.random() < 0.5:
            pictures, seen, cover = pictures.flip(axis), seen.flip(axis), cover.flip(axis)
            sign = torch.ones(2, 1, 1, dtype=guesses.dtype)
            sign[component] = -1
            guesses, flows = guesses.flip(axis) * sign, flows.flip(axis) * sign
    if rng.random() < 0.5:
        pictures, seen = pictures.transpose(-1, -2), seen.transpose(-1, -2)
        cover = cover.transpose(-1, -2)
        guesses = guesses.transpose(-1, -2).flip(-3)
        flows = flows.transpose(-1, -2).flip(-3)
    pictures = pictures[:, :, torch.from_numpy(rng.permutation(3))]
    if rng.random() < 0.3:
        pictures = 255 - pictures
    return Triplets(
        pictures=pictures, guesses=guesses, cover=cover, flows=flows, seen=seen, time=time_
    )


class Training:
    """The network and its place in the endless series of triplets: what a checkpoint keeps."""

    def __init__(self, run: Run) -> None:
        self.run = run
        torch.manual_seed(run.seed)
        net, average = self._network(), self._network()
        optimiser = torch.optim.AdamW(
            net.parameters(), lr=run.rate, betas=(0.9, 0.99), weight_decay=1e-4
        )
        self.pupil = Pupil(net, average, optimiser, rate=run.rate, gradient_limit=GRADIENT_LIMIT)
        self.next_index = 0
        if run.resume:
            place = torch.device(run.device)
            self.next_index = self.pupil.load(self.checkpoint, place=place)["next_index"]

    def _network(self) -> Inbetween:
        net = Inbetween(widths=self.run.widths)
        return net.to(self.run.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    @property
    def checkpoint(self) -> Path:
        """Where the state rests between runs."""
        return self.run.out / "checkpoint.pt"

    def save(self, *, next_index: int) -> None:
        """Write checkpoint, weights and card."""
        self.pupil.save(self.checkpoint, next_index=next_index)
        _write(self.pupil.average, self.run.out)

    def learn(self, batch: Triplets, *, progress: float) -> float:
        """One step at the learning rate due at `progress` in [0, 1]; returns the loss."""
        net = self.pupil.net
        a, b, truth, guesses, cover, when = _signals(batch, self.run.device)
        with torch.autocast(self.run.device, torch.bfloat16, enabled=self.run.bf16):
            maps = net.maps(a, b, guesses, cover, when)
        candidates = net.mended(a, b, guesses, when, maps)
        shares = net.shares(when, maps)
        made = net.mix(candidates, shares, maps)
        total = loss(made, truth)
        total = total + CHOICE_WEIGHT * choice_error(candidates, shares, truth)
        for at, found in enumerate(net.motion(guesses, when, maps)):
            known = batch.flows[:, at].float().to(self.run.device)
            total = total + FLOW_WEIGHT * flow_error(found, known, batch.seen[:, at].to(known))
        return self.pupil.descend(total, progress=progress)


def _signals(batch: Triplets, device: str) -> tuple[Tensor, ...]:
    layout = torch.channels_last
    pictures = batch.pictures.float().div(255).to(device)
    a, b, truth = (p.contiguous(memory_format=layout) for p in pictures.unbind(1))
    guesses, cover = batch.guesses.float().to(device), batch.cover.float().to(device)
    return a, b, truth, guesses, cover, batch.time.to(device)


def _write(net: Inbetween, out: Path) -> None:
    write_model(
        net,
        out,
        name="inbetween",
        verb="interpolate",
        scale=1,
        shape={f"width_{2**at}": width for at, width in enumerate(net.widths, start=1)},
        frames=2,
        halo=None,
        multiple=STRIDE,
        padded=True,
        precisions=("fp32", "bf16"),
        memory_bytes_per_megapixel=MEMORY_BYTES_PER_MEGAPIXEL,
    )


def train(run: Run) -> None:
    """Train for `run.minutes` (or `run.max_steps`), reporting and saving on the way."""
    run.out.mkdir(parents=True, exist_ok=True)
    state = Training(run)
    seed = run.seed + HELD_OUT_SEED_OFFSET
    held_out = make_triplets(seed=seed, first=0, count=HELD_OUT, edge=run.edge)
    bank = Bank(run, next_index=state.next_index)
    rng = np.random.default_rng((run.seed, state.pupil.step))
    started = reported = time.monotonic()
    losses: list[float] = []
    first = state.pupil.step
    while (elapsed := (time.monotonic() - started) / 60) < run.minutes:
        if run.max_steps is not None and state.pupil.step - first >= run.max_steps:
            break
        losses.append(state.learn(bank.batch(rng), progress=elapsed / run.minutes))
        if state.pupil.step % run.renew_every == 0:
            bank.renew()
        if (time.monotonic() - reported) / 60 >= run.report_minutes:
            reported = time.monotonic()
            state.save(next_index=bank.next_index)
            _report(state, losses, elapsed, held_out)
            losses.clear()
    state.save(next_index=bank.next_index)
    _report(state, losses, (time.monotonic() - started) / 60, held_out)


def _report(state: Training, losses: list[float], minutes: float, held_out: Triplets) -> None:
    mean = float(np.mean(losses)) if losses else float("nan")
    scores = compare(state.pupil.average, held_out, state.run.device)
    text = ", ".join(f"{name} {db:.2f}" for name, db in scores.items())
    print(
        f"step {state.pupil.step}, {minutes:.1f} min, loss {mean:.5f}; held-out: {text} dB",
        flush=True,
    )


def compare(net: Inbetween, held_out: Triplets, device: str) -> dict[str, float]:
    """Mean PSNR in dB on triplets: of the average, of the untrained network (the merged guess),
    of the network."""
    before = Inbetween(widths=net.widths).to(device)
    made: dict[str, list[float]] = {"average": [], "guess": [], "inbetween": []}
    for at in range(len(held_out)):
        one = Triplets(**{f.name: getattr(held_out, f.name)[at : at + 1] for f in fields(Triplets)})
        a, b, truth, guesses, cover, when = _signals(one, device)
        with torch.inference_mode():
            for name, picture in (
                ("average", (a + b) / 2),
                ("guess", before(a, b, guesses, cover, when)),
                ("inbetween", net(a, b, guesses, cover, when)),
            ):
                error = (picture.clamp(0, 1) - truth).square().mean()
                made[name].append(float(-10 * torch.log10(error + 1e-6)))
    return {name: float(np.mean(values)) for name, values in made.items()}


def parse(arguments: list[str] | None = None) -> tuple[Run, int]:
    """The run that the command line asks for, and torch's threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder named inbetween")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from DIR/checkpoint.pt")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--widths", type=int, nargs=4, default=(32, 64, 96, 128))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--edge", type=int, default=160, help="pixels, a multiple of 16")
    parser.add_argument("--bank", type=int, default=512, help="triplets in memory")
    parser.add_argument("--renew-every", type=int, default=20, help="steps per eight new triplets")
    parser.add_argument("--rate", type=float, default=5e-4, help="highest learning rate")
    parser.add_argument("--report-minutes", type=float, default=4)
    parser.add_argument("--bf16", action="store_true", help="autocast: faster where it is had")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--max-steps", type=int)
    args = vars(parser.parse_args(arguments))
    threads = args.pop("threads")
    args["widths"] = tuple(args["widths"])
    return Run(**args), threads


def main() -> None:
    """The command."""
    run, threads = parse()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    train(run)


if __name__ == "__main__":
    main()
