"""What scripts/compare_recipes.py compares: models, gradients and Q-targets on small Sudokus, all else equal.

A *recipe* is a name such as `hrm/one_step/bootstrap`; a *measurement* is one recipe with one seed on one board, up to
the goal or to the end of its time.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hrm_rl.config import Config, validate
from hrm_rl.local import LocalWorker
from hrm_rl.presets import get_preset
from hrm_rl.training import Trainer, use_threads

MODELS: dict[str, dict[str, Any]] = {
    "hrm": {"name": "hrm", "pos_encodings": "axial"},
    "trm": {"name": "trm", "pos_encodings": "axial"},
    "trm-mlp": {"name": "trm", "mixer": "mlp", "pos_encodings": "none"},
    "transformer": {"name": "transformer", "pos_encodings": "axial"},
}
"""The settings that make each model; the network of trm has as many blocks as both of hrm's together."""

GRADIENTS = ("one_step", "last_cycle")
Q_TARGETS = ("bootstrap", "delayed", "halt_only", "lambda")


@dataclass(frozen=True)
class Board:
    """A kind of puzzle, a network that suits it, and what counts as learned."""

    env: dict[str, Any]
    stages: tuple[str, ...]
    hidden_size: int
    layers: int
    """Blocks of each of hrm's modules."""
    goal: float
    """Held-out exact accuracy to be reached."""


BOARDS = {
    "4x4": Board({"task": "sudoku", "size": 4}, ("easy=1,medium=1,hard=1,extreme=1",), 64, 1, 0.9),
    "6x6": Board({"task": "sudoku", "size": 6}, ("medium=1,hard=1",), 128, 2, 0.5),
}

EVALUATE_EVERY = 50
HELD_OUT = 256


@dataclass(frozen=True)
class Measurement:
    """How one recipe did with one seed."""

    board: str
    recipe: str
    seed: int
    limit_s: float
    """CPU seconds of training that it was given."""
    curve: list[tuple[int, float, float, float]]
    """Update, CPU seconds of training so far, held-out exact accuracy, mean segments, for each evaluation. CPU time
    of one thread is what the clock would show on an idle machine, and stays right on a busy one."""

    def reached(self, goal: float) -> tuple[int, float] | None:
        """Updates and seconds to the first evaluation with at least this accuracy."""
        return next(((int(u), s) for u, s, accuracy, _ in self.curve if accuracy >= goal), None)

    @property
    def best(self) -> float:
        return max((point[2] for point in self.curve), default=0.0)


def recipes() -> list[str]:
    return [
        f"{model}/{gradient}/{target}" for model in MODELS for gradient in GRADIENTS for target in Q_TARGETS
    ]


def configuration(board: str, recipe: str, seed: int) -> Config:
    """The whole configuration: 64 slots, budget 8, AdamW at a constant 1e-3, no averaged weights."""
    model, gradient, target = recipe.split("/")
    kind = BOARDS[board]
    values = get_preset("sudoku4-quick").model_dump()
    layers = {"h_layers": kind.layers, "l_layers": kind.layers * (2 if model.startswith("trm") else 1)}
    values["seed"] = seed
    values["env"] |= kind.env
    values["data"] |= {"eval_puzzles": HELD_OUT, "exclude_twins": board != "4x4"}
    values["model"] |= {"hidden_size": kind.hidden_size, "gradient": gradient} | layers | MODELS[model]
    values["halting"] |= {"q_target": target} | ({"rollout_segments": 4} if target == "lambda" else {})
    values["optim"] |= {"lr": 1e-3, "warmup_updates": 20, "lr_min_ratio": 1.0, "ema_decay": 0.0}
    every = EVALUATE_EVERY // (4 if target == "lambda" else 1)  # an update of lambda is four segments
    values["train"] |= {
        "max_updates": 1_000_000, "log_every": 10, "eval_every": every, "checkpoint_every": 1_000_000,
        "device": "cpu",
    }  # fmt: skip
    values["curriculum"] |= {"stages": kind.stages}
    return validate(values, recipe)


class _TimedTrainer(Trainer):
    """A trainer that knows how much of its time went into judging."""

    judging_s = 0.0

    def _evaluate(self) -> bool:
        began = time.process_time()
        best = super()._evaluate()
        self.judging_s += time.process_time() - began
        return best

    def _save(self) -> None:
        """Nothing is kept of a measurement but its curve."""


class _UntilGoal(LocalWorker):
    """Asks for the end once the goal or the limit is reached."""

    def __init__(self, config: Config, run_dir: Path, goal: float, limit_s: float):
        super().__init__(config, run_dir, say=lambda line: None)
        self.goal, self.limit_s = goal, limit_s
        self.began = time.process_time()
        self.curve: list[tuple[int, float, float, float]] = []
        self.trainer: _TimedTrainer

    def stop_requested(self) -> bool:
        trainer = self.trainer
        seconds = time.process_time() - self.began - trainer.judging_s
        if trainer.evaluated_at > (self.curve[-1][0] if self.curve else 0):
            metrics = trainer.metrics
            accuracy, segments = metrics["eval/exact_accuracy"], metrics["eval/segments_mean"]
            self.curve.append((trainer.evaluated_at, round(seconds, 2), accuracy, segments))
            if accuracy >= self.goal:
                return True
        return seconds >= self.limit_s


def measure(board: str, recipe: str, seed: int, limit_s: float) -> dict[str, Any]:
    """Train in this process, with one thread, until the board's goal or the limit. Returns a Measurement as a
    dictionary."""
    use_threads(1)
    config = configuration(board, recipe, seed)
    with tempfile.TemporaryDirectory() as folder:
        worker = _UntilGoal(config, Path(folder), BOARDS[board].goal, limit_s)
        trainer = _TimedTrainer(config, worker)
        worker.trainer = trainer
        worker.began = time.process_time()
        trainer.run()
    return asdict(Measurement(board, recipe, seed, limit_s, worker.curve))
