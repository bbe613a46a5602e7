"""What share of the machine's matrix-multiply peak an update reaches, against what it should reach.

Two networks: `reference`, the training step that sapientinc/HRM was measured with (hidden 256, 4+4 layers, 81
tokens, stablemax, AdamATan2), and `small`, where passes over memory and overhead rule (hidden 64, 1+1 layers, 16
tokens). Both have 64 slots and HRM's bootstrap target; optimiser, environment and metrics are part of an update. The
peak is that of a square product of the same type and threads, taken in turns with the updates, so that a machine
whose speed drifts, or that does other work, slows both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from hrm_rl.config import Config
from hrm_rl.data import build_data
from hrm_rl.training import build_learner

ROUNDS = 2
"""Updates of each kind that are timed, the fastest of which counts: few, as one of the reference takes up to 10 s on
a core."""


@dataclass(frozen=True)
class Measured:
    """One kind of update and what it should reach."""

    config: Config
    share: float | None = None
    """Least share of the peak."""
    of: str | None = None
    """Another kind, with the bootstrap target, whose time this one's is compared with."""
    ratio: float | None = None
    """Largest share of the time of that."""


def config_of(
    size: int, hidden: int, layers: int, dtype: str = "float32", q_target: str = "bootstrap"
) -> Config:
    """HRM's own training step for a Sudoku of this size, with 64 slots."""
    return Config.model_validate(
        {
            "env": {"task": "sudoku", "size": size},
            "data": {"exclude_twins": False, "eval_puzzles": 8},  # nobody is judged here
            "model": {"hidden_size": hidden, "h_layers": layers, "l_layers": layers, "dtype": dtype},
            "halting": {"q_target": q_target},
            "optim": {"name": "adam_atan2"},
            "train": {"global_batch_size": 64, "loss": "stablemax", "device": "cpu"},
            "curriculum": {"stages": ("easy=1",)},
        }
    )


REFERENCE, SMALL = (9, 256, 4), (4, 64, 1)
KINDS = {
    "reference_float32": Measured(config_of(*REFERENCE), share=0.80),
    "reference_bfloat16": Measured(config_of(*REFERENCE, "bfloat16"), share=0.55),
    "reference_float32_delayed": Measured(
        config_of(*REFERENCE, q_target="delayed"), of="reference_float32", ratio=0.65
    ),
    "reference_float32_halt_only": Measured(
        config_of(*REFERENCE, q_target="halt_only"), of="reference_float32", ratio=0.65
    ),
    "small_float32": Measured(config_of(*SMALL), share=0.75),
    "small_float32_delayed": Measured(
        config_of(*SMALL, q_target="delayed"), of="small_float32", ratio=1 / 1.6
    ),
    "small_float32_halt_only": Measured(
        config_of(*SMALL, q_target="halt_only"), of="small_float32", ratio=1 / 1.6
    ),
}


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds that a call takes, its kernels included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def matmul_peak(device: torch.device, dtype: torch.dtype, size: int = 2048, times: int = 10) -> float:
    """Best floating-point operations a second of a square matrix product, of `times`."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / min(seconds_of(lambda: a @ b, device) for _ in range(times))


def time_targets(kinds: dict[str, Measured]) -> dict[str, Any]:
    """For each kind milliseconds, products in GFLOP, share of the peak, ratio, and whether what it should reach is
    reached. On the CPU."""
    device = torch.device("cpu")
    learners, flops, sources = {}, {}, []
    for name, kind in kinds.items():
        data = build_data(kind.config)
        learners[name] = build_learner(kind.config, data, device, rank=0, world_size=1)
        learners[name].start()
        sources.append(data.source)
        with FlopCounterMode(display=False) as counter:
            learners[name].update()
        flops[name] = counter.get_total_flops()
    seconds = dict.fromkeys(kinds, float("inf"))
    peaks = dict.fromkeys((kind.config.model.dtype for kind in kinds.values()), 0.0)
    for _ in range(ROUNDS):
        for dtype in peaks:
            peaks[dtype] = max(peaks[dtype], matmul_peak(device, getattr(torch, dtype), times=3))
        for name, learner in learners.items():
            seconds[name] = min(seconds[name], seconds_of(learner.update, device))
    for source in sources:
        source.close()

    found: dict[str, Any] = {f"peak_gflops_{dtype}": peak / 1e9 for dtype, peak in peaks.items()}
    for name, kind in kinds.items():
        found[f"ms_{name}"] = 1000 * seconds[name]
        if kind.share is not None:
            share = flops[name] / seconds[name] / peaks[kind.config.model.dtype]
            found[f"gflop_{name}"] = flops[name] / 1e9
            found[f"share_of_peak_{name}"] = share
            found[f"at_least_{kind.share:.0%}_{name}"] = share >= kind.share
        if kind.of is not None and kind.ratio is not None:
            ratio = seconds[name] / seconds[kind.of]
            found[f"time_over_bootstrap_{name}"] = ratio
            found[f"at_most_{kind.ratio:.3f}_{name}"] = ratio <= kind.ratio
    return found
