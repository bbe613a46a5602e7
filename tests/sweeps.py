"""Small sweeps for tests: 4x4 Sudoku and a network 16 numbers wide, as in tiny.py."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from hrm_rl.sweeps.build import build_space
from hrm_rl.sweeps.space import Space

CONTENT: dict[str, Any] = {
    "base": "sudoku4-quick",
    "metric": "eval/cell_accuracy",
    "mode": "max",
    "scheduler": {"name": "none"},
    "searcher": {"name": "random"},
    "budget": {"max_updates": 12, "num_samples": 4},
    "set": {
        "data.eval_puzzles": 8,
        "model.hidden_size": 16,
        "model.num_heads": 2,
        "model.swiglu_multiple": 16,
        "halting.halt_max_steps": 3,
        "train.global_batch_size": 4,
        "train.log_every": 4,
        "train.eval_every": 4,
        "train.checkpoint_every": 4,
        "train.device": "cpu",
    },
    "space": {"optim.lr": {"dist": "loguniform", "lower": 1e-4, "upper": 1e-2}},
}


def content(**changes: Any) -> dict[str, Any]:
    """CONTENT with other keys; `set` is added to, and gives way to `space`."""
    made = deepcopy(CONTENT) | {k: v for k, v in changes.items() if k != "set"}
    made["set"] = {k: v for k, v in made["set"].items() if k not in made["space"]} | changes.get("set", {})
    return made


def small_space(**changes: Any) -> Space:
    return build_space(content(**changes), "sweep.yaml")


def write_file(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(content(**changes)))
    return path
