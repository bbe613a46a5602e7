"""Small sweeps for tests, to run (4x4 Sudoku and a network 16 numbers wide, as in tiny.py) or already
written."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from hrm_rl.sweeps.checks import build_space
from hrm_rl.sweeps.results.reading import SweepResults, Trial
from hrm_rl.sweeps.space import Space
from tests.helpers.tiny import TINY

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


# Sweeps as they lie on the disk.

LR, Q_TARGET, Q_LAMBDA, STAGES = "optim.lr", "halting.q_target", "halting.q_lambda", "curriculum.stages"


def make_sweep(folder: Path, **changes: Any) -> Path:
    """The folder of a sweep without trials."""
    (folder / "trials").mkdir(parents=True)
    record: dict[str, Any] = {
        "space": {"space": {LR: {"dist": "loguniform", "lower": 1e-4, "upper": 1e-2}}},
        "file": "halting.yaml", "base": "sudoku4-quick", "metric": "eval/solved", "mode": "max",
        "cost": "eval/segments_mean", "seed": 0, "num_samples": 4, "max_updates": 500,
        "parameters": [LR, Q_TARGET, Q_LAMBDA, STAGES],
    }  # fmt: skip
    (folder / "sweep.yaml").write_text(yaml.safe_dump(record | changes))
    return folder


def add_trial(
    sweep: Path,
    id: str,
    params: dict[str, Any],
    curve: list[tuple[int, float | None, float]],
    **record: Any,
) -> Path:
    """A trial's folder. curve: update, eval/solved, eval/segments_mean."""
    folder = sweep / "trials" / id
    folder.mkdir()
    values = TINY.model_dump(mode="json")
    for name, value in params.items():
        section, _, setting = name.partition(".")
        values[section][setting] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    lines = [{"update": 1, "train/loss": 1.0}]
    lines += [{"update": u, "eval/solved": value, "eval/segments_mean": cost} for u, value, cost in curve]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    defaults = {
        "id": id, "params": params, "status": "finished", "error": None, "attempts": 1, "started": 1000.0,
        "seconds": 10.0, "train_seconds": 8.0, "updates": curve[-1][0] if curve else 0, "history": [],
        "from": None,
    }  # fmt: skip
    (folder / "trial.json").write_text(json.dumps(defaults | record))
    return folder


def make_mixed_sweep(folder: Path) -> Path:
    """A finished trial that is best before its end, a stopped one that is cheaper, one with conditional
    settings still running, one that failed before it was evaluated."""
    make_sweep(folder)
    stages = ["easy=1", "easy=0.5,hard=0.5"]
    add_trial(folder, "t0000", {LR: 1e-3, Q_TARGET: "bootstrap", STAGES: stages},
              [(100, 0.5, 3.0), (200, 0.9, 2.5), (300, 0.8, 2.0)])  # fmt: skip
    add_trial(folder, "t0001", {LR: 1e-4, Q_TARGET: "halt_only", STAGES: ["easy=1"]}, [(100, 0.4, 1.5)],
              status="stopped")  # fmt: skip
    add_trial(folder, "t0002", {LR: 5e-3, Q_TARGET: "lambda", Q_LAMBDA: 0.5, STAGES: ["easy=1"]},
              [(100, 0.3, 2.75)], status="running")  # fmt: skip
    add_trial(folder, "t0003", {LR: 9e-3, Q_TARGET: "bootstrap", STAGES: ["easy=1"]}, [], status="failed",
              attempts=3, error="RuntimeError: loss\nis not finite")  # fmt: skip
    return folder


def by_id(sweep: SweepResults, id: str) -> Trial:
    (trial,) = [trial for trial in sweep.trials if trial.id == id]
    return trial
