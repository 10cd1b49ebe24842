"""Licences that float: counted by a node that does no work, taken by a worker on another one.

Ray gives an actor what one node has. A placement group has two bundles, the worker's and the
licence's, and gets both at once or waits for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.pool.spec import PoolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held for one worker, from before it starts until it is given back."""

    group: Any

    @property
    def strategy(self) -> Any:
        """How Ray is told to start the worker in what is held for it."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        return PlacementGroupSchedulingStrategy(
            placement_group=self.group, placement_group_bundle_index=0
        )

    def give_back(self) -> None:
        """Let others have it."""
        from ray.util.placement_group import remove_placement_group

        remove_placement_group(self.group)


def hold_floating(spec: PoolSpec, selector: Mapping[str, str]) -> Held:
    """Ask for what a worker of a pool takes, and what it takes of that floats; returns before it is
    there. `selector` says on which nodes the worker may be."""
    from ray.util.placement_group import placement_group

    worker = {
        "CPU": spec.num_cpus,
        "GPU": spec.num_gpus,
        "memory": float(spec.memory_bytes),
        **spec.licences,
    }
    bundles = [{name: wanted for name, wanted in worker.items() if wanted}, dict(spec.floating)]
    selectors = [dict(selector), {}]
    return Held(group=placement_group(bundles, strategy="PACK", bundle_label_selector=selectors))
