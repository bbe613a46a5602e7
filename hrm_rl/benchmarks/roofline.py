"""What share of the machine's matrix-multiply peak an update reaches, against what it should reach.

Two networks: `reference`, the training step that sapientinc/HRM was measured with (hidden 256, 4+4 layers, 81
tokens, stablemax, AdamATan2), and `small`, where passes over memory and overhead rule (hidden 64, 1+1 layers,
16 tokens). Both have 64 slots and HRM's bootstrap target; optimiser, environment and metrics are part of an
update. The peak is that of a square product of the same type and threads, taken in turns with the updates, so
that a machine whose speed drifts, or that does other work, slows both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from hrm_rl.agents.build import build_learner
from hrm_rl.benchmarks.measure import Aim, fastest, flop_of_update, matmul_peak, peak_bytes, seconds_of
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data

ROUNDS = 3
"""Turns of each kind, the fastest update of which counts: few, as one of the reference takes up to 10 s on
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
    size: int,
    hidden: int,
    layers: int,
    dtype: str = "float32",
    q_target: str = "bootstrap",
    compiled: Literal["on", "off"] = "off",
) -> Config:
    """HRM's own training step for a Sudoku of this size, with 64 slots."""
    return Config.model_validate(
        {
            "env": {"task": "sudoku", "size": size},
            "data": {"exclude_twins": False, "eval_puzzles": 8},  # nothing is evaluated here
            "model": {"hidden_size": hidden, "h_layers": layers, "l_layers": layers, "dtype": dtype},
            "halting": {"q_target": q_target},
            "optim": {"name": "adam_atan2"},
            "train": {"global_batch_size": 64, "loss": "stablemax", "device": "cpu", "compile": compiled},
            "curriculum": {"stages": ("easy=1",)},
        }
    )


REFERENCE, SMALL = (9, 256, 4), (4, 64, 1)
KINDS = {
    "reference_float32": Measured(config_of(*REFERENCE), share=0.80),
    "reference_bfloat16": Measured(config_of(*REFERENCE, "bfloat16"), share=0.55),
    "reference_bfloat16_compiled": Measured(config_of(*REFERENCE, "bfloat16", compiled="on"), share=0.70),
    "reference_float32_delayed": Measured(
        config_of(*REFERENCE, q_target="delayed"), of="reference_float32", ratio=0.65
    ),
    "reference_float32_halt_only": Measured(
        config_of(*REFERENCE, q_target="halt_only"), of="reference_float32", ratio=0.65
    ),
    "small_float32": Measured(config_of(*SMALL), share=0.75),
    "small_float32_compiled": Measured(config_of(*SMALL, compiled="on")),
    "small_float32_delayed": Measured(
        config_of(*SMALL, q_target="delayed"), of="small_float32", ratio=1 / 1.6
    ),
    "small_float32_halt_only": Measured(
        config_of(*SMALL, q_target="halt_only"), of="small_float32", ratio=1 / 1.6
    ),
}


def time_targets(kinds: dict[str, Measured]) -> dict[str, Any]:
    """For each kind milliseconds, products in GFLOP, share of the peak or ratio to another kind's time,
    memory on top of weights, optimisers and carry, and seconds of the first update, which compiles. Kinds
    that cannot be compiled here are left out, and it is said why. On the CPU."""
    device = torch.device("cpu")
    found: dict[str, Any] = {}
    works, sources = {}, []
    rows: list[dict[str, Any]] = []
    for name, kind in kinds.items():
        data = build_data(kind.config)
        learner = build_learner(kind.config, data, device, rank=0, world_size=1)
        sources.append(data.source)
        if learner.not_compiled:
            found["left_out"] = learner.not_compiled
            continue
        learner.start()
        works[name] = learner.update
        first = seconds_of(learner.update, device)
        memory = peak_bytes(learner.update, device)
        rows.append({"kind": name, "first_update_s": first, "peak_memory_mb": memory / 1e6})
    peaks = dict.fromkeys((kind.config.model.dtype for kind in kinds.values()), 0.0)
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for dtype in peaks:
            peaks[dtype] = max(peaks[dtype], matmul_peak(device, getattr(torch, dtype), times=1))
        for name, taken in fastest(works, 1, device).items():
            seconds[name] = min(seconds[name], taken)
    for source in sources:
        source.close()

    aims = []
    for row in rows:
        name, kind = row["kind"], kinds[row["kind"]]
        row["ms"] = 1000 * seconds[name]
        if kind.of is not None:
            row["time_over_bootstrap"] = ratio = seconds[name] / seconds[kind.of]
            aims.append(Aim(f"{name}: time over {kind.of}", ratio, most=kind.ratio, form=".3f"))
            continue
        flop = flop_of_update(kind.config, device)
        row["gflop"] = flop / 1e9
        row["share_of_peak"] = share = flop / seconds[name] / peaks[kind.config.model.dtype]
        if kind.share is not None:
            aims.append(Aim(f"{name}: share of the peak", share, least=kind.share))
    return found | {
        "peak_gflops": {dtype: peak / 1e9 for dtype, peak in peaks.items()},
        "kinds": rows,
        "aims": aims,
    }
