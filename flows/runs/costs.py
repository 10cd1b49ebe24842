"""What work has cost: device hours and money, from receipts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cluster.ledger.receipts import Receipt
from cluster.settings import settings

HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Hours of busy GPUs and cores, and what they cost at the settings' prices."""

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    money: float = 0.0


def spending_of(receipts: Iterable[Receipt]) -> Spending:
    """What these work items cost: a GPU where one computed, else the cores it computed with."""
    gpu_s = cpu_s = 0.0
    for receipt in receipts:
        busy_s = receipt.load_s + receipt.compute_s + receipt.store_s
        if receipt.device.startswith("cuda"):
            gpu_s += busy_s
        else:
            cpu_s += busy_s * max(1, receipt.threads)
    return priced(gpu_hours=gpu_s / HOUR_S, cpu_hours=cpu_s / HOUR_S)


def priced(*, gpu_hours: float, cpu_hours: float) -> Spending:
    """Hours with what they cost."""
    prices = settings()
    money = gpu_hours * prices.gpu_hour_price + cpu_hours * prices.cpu_hour_price
    return Spending(gpu_hours=gpu_hours, cpu_hours=cpu_hours, money=money)
