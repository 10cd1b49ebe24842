"""The training program of the family, run as `python -m tasks.models.<name>.train --out DIR`.

The folder DIR (its last part must be the model's name) gets `checkpoint.pt`, `weights.safetensors`
and `card.json`. A run that was stopped, by `--minutes` or otherwise, goes on with `--resume`, and
on one machine ends with the same weights as a run that was not. Nothing but procedural drawings
goes in (drawings.py).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.models.shelf import load_model, read_card
from tasks.models.upscaling.net import UpscaleNet, inherit
from tasks.training.loop import Pupil
from tasks.training.upscaling.bank import EDGE, Bank
from tasks.training.upscaling.drawings import draw
from tasks.training.upscaling.evaluate import Pair, compare, reduced, table
from tasks.training.upscaling.lesson import Lesson
from tasks.training.upscaling.write import write_upscaler

HELD_OUT_DRAWINGS = 24
HELD_OUT_SEED_OFFSET = 1_000_003
CHARBONNIER_EPSILON = 0.02  # errors under 5 codes count squared, larger ones linearly


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run: where, how long, from which seed, what size."""

    out: Path
    steps: int
    minutes: float
    seed: int
    resume: bool
    device: str
    threads: int
    channels: int
    layers: int
    batch: int
    crop: int
    bank: int
    renew_every: int
    rate: float
    report_minutes: float
    bf16: bool


class Training:
    """What a checkpoint keeps, and the lesson that is learnt."""

    def __init__(self, lesson: Lesson, run: Run) -> None:
        self.lesson = lesson
        self.run = run
        self.place = torch.device(run.device)
        torch.manual_seed(run.seed)
        net = self._network()
        if lesson.start:
            donor = load_model(read_card(lesson.start, verb="upscale"))
            assert isinstance(donor, UpscaleNet)
            inherit(net, donor)
        net.to(self.place)
        average = self._network().to(self.place)
        optimiser = torch.optim.Adam(net.parameters(), lr=run.rate, betas=(0.9, 0.99))
        self.pupil = Pupil(net, average, optimiser, rate=run.rate, gradient_limit=1.0)
        if run.resume:
            self.pupil.load(self.checkpoint, place=self.place)

    def _network(self) -> UpscaleNet:
        lesson, run = self.lesson, self.run
        net = UpscaleNet(scale=lesson.scale, channels=run.channels, layers=run.layers)
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    @property
    def checkpoint(self) -> Path:
        """Where the state rests between runs."""
        return self.run.out / "checkpoint.pt"

    def save(self) -> None:
        """Write checkpoint, weights and card."""
        self.pupil.save(self.checkpoint)
        write_upscaler(self.pupil.average, self.lesson, out=self.run.out)

    def learn(self, truth: Tensor, small: Tensor) -> float:
        """One step at the learning rate due after so many of `steps`; returns the loss."""
        net = self.pupil.net
        edge = net.scale * net.halo
        with torch.autocast(self.place.type, torch.bfloat16, enabled=self.run.bf16):
            made = net(small)
        loss = charbonnier(made, truth[..., edge:-edge, edge:-edge])
        return self.pupil.descend(loss, progress=self.pupil.step / self.run.steps)


def charbonnier(made: Tensor, truth: Tensor) -> Tensor:
    """Mean Charbonnier distance: squared near zero, linear beyond `CHARBONNIER_EPSILON`."""
    eps = CHARBONNIER_EPSILON
    return ((made - truth).square() + eps * eps).sqrt().mean() - eps


def held_out(lesson: Lesson, *, seed: int) -> Iterator[Pair]:
    """Drawings that no training run of this seed sees, made smaller by area, by bicubic and as
    the lesson does it."""
    step = 2 * lesson.scale  # even inputs, so that their chroma can be halved
    edge = EDGE // step * step
    for index in range(HELD_OUT_DRAWINGS):
        pixels = draw(seed + HELD_OUT_SEED_OFFSET, index, edge=edge).astype(np.float32) / 255
        truth = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        yield from reduced([truth], scale=lesson.scale)
        small = lesson.degrade(truth, lesson.scale, np.random.default_rng((seed, index)))
        yield Pair("as in the lesson", small, truth)


def train(lesson: Lesson, run: Run) -> Training:
    """Train until `run.steps` are done or `run.minutes` over, reporting and saving on the way."""
    run.out.mkdir(parents=True, exist_ok=True)
    state = Training(lesson, run)
    bank = Bank(seed=run.seed, size=run.bank, first=state.pupil.step // run.renew_every)
    started = reported = time.monotonic()
    losses: list[float] = []
    while state.pupil.step < run.steps and (time.monotonic() - started) / 60 < run.minutes:
        rng = np.random.default_rng((run.seed, state.pupil.step))
        truth = bank.crops(rng, count=run.batch, edge=run.crop).to(state.place)
        losses.append(state.learn(truth, lesson.degrade(truth, lesson.scale, rng)))
        if state.pupil.step % run.renew_every == 0:
            bank.renew()
        if (time.monotonic() - reported) / 60 >= run.report_minutes:
            reported = time.monotonic()
            state.save()
            _report(state, losses, started)
            losses.clear()
    state.save()
    _report(state, losses, started)
    return state


def _report(state: Training, losses: list[float], started: float) -> None:
    loss = float(np.mean(losses)) if losses else float("nan")
    minutes = (time.monotonic() - started) / 60
    print(f"step {state.pupil.step} of {state.run.steps}, {minutes:.1f} min, loss {loss:.5f}")
    nets = {state.lesson.name: state.pupil.average}
    pairs = held_out(state.lesson, seed=state.run.seed)
    print(table(compare(nets, pairs)), flush=True)


def parse(lesson: Lesson, arguments: list[str] | None = None) -> Run:
    """The run that the command line asks for."""
    parser = argparse.ArgumentParser(description=f"Trains {lesson.name}.")
    parser.add_argument("--out", type=Path, required=True, help=f"folder named {lesson.name}")
    parser.add_argument("--steps", type=int, required=True, help="until the rate is zero")
    parser.add_argument("--minutes", type=float, default=10, help="stop then, to be resumed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from DIR/checkpoint.pt")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 …")
    parser.add_argument("--threads", type=int, default=1, help="of torch, on the CPU")
    parser.add_argument("--channels", type=int, default=lesson.channels)
    parser.add_argument("--layers", type=int, default=lesson.layers)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=lesson.crop, help=f"at most {EDGE}")
    parser.add_argument("--bank", type=int, default=512, help="drawings in memory")
    parser.add_argument("--renew-every", type=int, default=3, help="steps per new drawing")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate")
    parser.add_argument("--report-minutes", type=float, default=2)
    parser.add_argument("--bf16", action="store_true", help="autocast: faster with bf16 units")
    run = Run(**vars(parser.parse_args(arguments)))
    if run.crop % (2 * lesson.scale) or run.crop > EDGE:
        parser.error(f"--crop must be a multiple of {2 * lesson.scale}, at most {EDGE}")
    if run.out.name != lesson.name:
        parser.error(f"--out must be a folder named {lesson.name}")
    if run.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu trains too, slowly")
    return run


def main(lesson: Lesson) -> None:
    """The command of one network's `train.py`."""
    run = parse(lesson)
    torch.set_num_threads(run.threads)
    train(lesson, run)
