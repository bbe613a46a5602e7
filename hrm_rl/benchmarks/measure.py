"""What the parts of scripts/benchmark.py measure with: time, products, memory, and
whether an aim is reached."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.profiler import profile
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hrm_rl.agents.build import build_learner
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data

Work = Callable[[], Any]

TURN_SECONDS = 0.5
"""Least time in a round for each of the things that are timed."""


@dataclass(frozen=True)
class Aim:
    """What a measurement should reach: at least `least`, at most `most`."""

    what: str
    measured: float
    least: float | None = None
    most: float | None = None
    form: str = ".1%"
    """How the numbers are shown, as a format."""

    @property
    def reached(self) -> bool:
        return (self.least is None or self.measured >= self.least) and (
            self.most is None or self.measured <= self.most
        )

    @property
    def wanted(self) -> str:
        limits = (("at least", self.least), ("at most", self.most))
        return " and ".join(f"{word} {limit:{self.form}}" for word, limit in limits if limit is not None)


def seconds_of(work: Work, device: torch.device) -> float:
    """Seconds that a call takes, its kernels included."""
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def fastest(works: Mapping[Any, Work], rounds: int, device: torch.device) -> dict[Any, float]:
    """Seconds of the fastest call of each, in `rounds` of at least one call and TURN_SECONDS. Calls take
    turns, so that a machine whose speed drifts, or that does other work, slows all."""
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        left = dict.fromkeys(works, TURN_SECONDS)
        while left:
            for name in list(left):
                taken = seconds_of(works[name], device)
                seconds[name] = min(seconds[name], taken)
                left[name] -= taken
                if left[name] <= 0:
                    del left[name]
    return seconds


def matmul_peak(device: torch.device, dtype: torch.dtype, size: int = 2048, times: int = 3) -> float:
    """Best floating-point operations a second of a square matrix product, in `times` turns."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / fastest({"product": lambda: a @ b}, times, device)["product"]


def flop_of(work: Work) -> int:
    """Floating-point operations of the matrix products of a call that is neither compiled nor recorded."""
    # The counter knows no fused attention on the CPU; spelled out, its products are counted.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def flop_of_update(config: Config, device: torch.device) -> int:
    """Floating-point operations of the matrix products of an update, counted one kernel at a time."""
    train = config.train.model_copy(update={"compile": "off", "cuda_graphs": False})
    eager = config.model_copy(update={"train": train})
    data = build_data(eager)
    learner = build_learner(eager, data, device, rank=0, world_size=1)
    learner.start()
    flop = flop_of(learner.update)
    data.source.close()
    return flop


def peak_bytes(work: Work, device: torch.device) -> int:
    """The most bytes of tensors that a call has allocated at any time, on top of what there was before it.

    On the CPU the sum over torch's own record of allocations: without what matrix libraries allocate, and
    without what malloc keeps (docs/performance.md says how much that is).
    """
    if device.type == "cuda":
        _wait(device)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        _wait(device)
        return torch.cuda.max_memory_allocated() - before
    with _no_stderr(), profile(profile_memory=True) as profiler:
        work()
    recorded: Any = profiler.kineto_results
    allocated = peak = 0
    for event in sorted(recorded.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":  # negative where it is a release
            allocated += event.nbytes()
            peak = max(peak, allocated)
    return peak


def numpy_bytes(work: Work, device: torch.device) -> int:
    """The most bytes of Python's objects and NumPy's arrays that a call has allocated at any time; on no
    device."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@contextmanager
def _no_stderr() -> Iterator[None]:
    """The profiler's own lines, which are written past Python, are not shown."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
