"""Which processor the network runs on, and what goes there and comes back."""

from __future__ import annotations

import ctypes
import sys
from typing import Literal

import torch
from torch import Tensor

from envs.cores import usable_cpus
from hrm_rl.utils.errors import UserError


def choose_device(name: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    """The device called `name`; `auto` takes the first of cuda, mps, cpu that is there. Raises UserError."""
    present: dict[str, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    kind: str = name if name != "auto" else next(k for k, here in present.items() if here)
    if not present[kind]:
        raise UserError(
            f"torch finds no {kind} device on this machine: give cpu, which works everywhere, or auto"
        )
    return torch.device("cuda", torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast there. A CPU without instructions for it takes 5 to 7 times as long as with
    float32 (docs/performance.md)."""
    if device.type != "cpu":
        return True
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX", "AVX2"):
        return False
    known = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")]
    return any(ask is not None and ask() for ask in known) or not any(known)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`. On a GPU the copy, from pinned memory, takes its
    turn and nobody waits."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class ToCpu:
    """Tensors on their way to the CPU: what is asked of the device meanwhile does not hold them up."""

    def __init__(self, *tensors: Tensor):
        self._tensors = [t.detach().to("cpu", non_blocking=t.is_cuda) for t in tensors]
        self._arrived = None
        if tensors[0].is_cuda:
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def wait(self) -> list[Tensor]:
        """The tensors, when all have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tensors


def use_threads(count: int) -> None:
    """Give this process `count` CPU threads, no time to denormal numbers, and memory that it keeps."""
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    keep_freed_memory()


def choose_threads(count: int | None) -> None:
    """The CPU threads of a process that does not train: `count`, else torch's choice as far as this process
    has CPUs for it."""
    if count is None:
        torch.set_num_threads(min(torch.get_num_threads(), usable_cpus()))
    else:
        use_threads(count)


def keep_freed_memory() -> None:
    """Let malloc keep what is freed for the next update, where it is glibc's. As it comes, it hands large
    blocks back to the system, which clears every page of them before it gives them out again. Blocks above 32
    MiB, the most that can be asked for, still go back."""
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 32 * 2**20)
