"""What every training program of ours does: one step, the averaged network, the checkpoint, and
the folder that the shelf reads."""

from __future__ import annotations

import json
from math import cos, pi
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors.torch import save
from torch import Tensor, nn

from cluster.keys import digest_bytes
from tasks.models.shelf import ModelCard

EMA_DECAY = 0.998
WARMUP_STEPS = 200

Net = TypeVar("Net", bound=nn.Module)


class Pupil(Generic[Net]):
    """A network in training: itself, its running average (which is what is kept), the optimiser,
    the steps done. `optimiser` is of the network's parameters, `average` another of its shape."""

    def __init__(
        self,
        net: Net,
        average: Net,
        optimiser: torch.optim.Optimizer,
        *,
        rate: float,
        gradient_limit: float,
    ) -> None:
        self.net, self.average = net, average
        self.average.load_state_dict(net.state_dict())
        self.optimiser = optimiser
        self.step = 0
        self._rate = rate
        self._gradient_limit = gradient_limit

    def descend(self, loss: Tensor, *, progress: float) -> float:
        """One step down at the learning rate due at `progress` in [0, 1]: a half cosine, warmed up
        over the first steps. Returns the loss."""
        rate = self._rate * (0.5 + 0.5 * cos(pi * min(progress, 1.0))) + 1e-6
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, (self.step + 1) / WARMUP_STEPS)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self._gradient_limit)
        self.optimiser.step()
        self.step += 1
        decay = min(EMA_DECAY, self.step / (self.step + 10))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.net.parameters(), strict=True)
            for mean, now in pairs:
                mean.lerp_(now, 1 - decay)
        return float(loss.detach())

    def save(self, checkpoint: Path, **more: int) -> None:
        """Write all of it, and numbers of the caller's, by an atomic rename."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            **more,
        }
        partial = checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(checkpoint)

    def load(self, checkpoint: Path, *, place: torch.device) -> dict[str, Any]:
        """Go on from a checkpoint; all that was saved in it."""
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True, map_location=place)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        return state


def write_model(net: nn.Module, out: Path, **card: Any) -> None:
    """Weights, then the card that names their digest, each by an atomic rename. `card` has the
    fields of a ModelCard that the weights do not tell."""
    state = {name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}
    weights = save(state)
    made = ModelCard(
        parameters=sum(tensor.numel() for tensor in net.parameters()),
        sha256=digest_bytes(weights),
        **card,
    )
    for name, data in (
        ("weights.safetensors", weights),
        ("card.json", (json.dumps(made.model_dump(), indent=2) + "\n").encode()),
    ):
        partial = out / f"{name}.partial"
        partial.write_bytes(data)
        partial.replace(out / name)
