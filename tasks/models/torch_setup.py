"""Starts torch in a worker: keeps memory, fixes threads, makes arithmetic repeatable."""

from __future__ import annotations

import ctypes
import platform
from typing import TYPE_CHECKING

from cluster.errors import ClusterError
from tasks.models.device import Device

if TYPE_CHECKING:
    import torch

# glibc's malloc.h: what mallopt's parameters are called there.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_TRIM_BYTES = (2 << 30) - 1  # mallopt takes an int
_TOP_PAD_BYTES = 64 << 20


def keep_memory() -> bool:
    """Have malloc keep freed memory for the next frame instead of giving it back to the kernel.

    A network's activations are large; by default glibc maps each one afresh and the kernel clears
    every page again, 100,000 faults a frame. One arena, because only the first one grows past
    64 MiB. Process-wide and safe to repeat; best before torch allocates. False, and nothing done,
    where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    options = (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, _TRIM_BYTES),
        (_M_TOP_PAD, _TOP_PAD_BYTES),
    )
    accepted = [mallopt(name, value) == 1 for name, value in options]
    return all(accepted)


def start_torch(device: Device) -> torch.device:
    """Ready torch for inference on `device`, the same result every time; returns torch's device.

    One thread, always: convolutions of small maps split their sums by the number of threads.
    CUDA runs in full float32 (no TF32) with deterministic kernels that are chosen by shape, not by
    a race. Idempotent. Errors: ClusterError where CUDA is asked for and absent: a worker never
    falls back to the CPU in silence.
    """
    keep_memory()
    import torch

    torch.set_num_threads(1)
    if device.kind == "cuda":
        if not torch.cuda.is_available():
            raise ClusterError(
                "the worker was given a CUDA device, torch sees none",
                remedy="install torch's CUDA build, or set DOUGA_DEVICE=cpu",
            )
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device(device.kind)
