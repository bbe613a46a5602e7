"""What scripts/compare_recipes.py compares: models, gradients and Q-targets on small Sudokus, all else equal.

A *recipe* is a name such as `hrm/one_step/bootstrap`; a *measurement* is one recipe with one seed on one
board, up to the goal or to the end of its time. An *ablation*, `transformer/last_cycle/delayed/cosine`, is a
recipe with one more change, measured for a fixed number of updates.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.config import Config, get_preset, validate
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.training.worker import Evaluated
from hrm_rl.utils.devices import use_threads
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import provenance

NETWORKS: dict[str, dict[str, Any]] = {
    "hrm": {"name": "hrm", "pos_encodings": "axial"},
    "trm": {"name": "trm", "pos_encodings": "axial"},
    "trm-mlp": {"name": "trm", "mixer": "mlp", "pos_encodings": "none"},
    "transformer": {"name": "transformer", "pos_encodings": "axial"},
}
"""The settings that make each model; the network of trm has as many blocks as both of hrm's together."""

GRADIENTS = ("one_step", "last_cycle")


def recipes() -> list[str]:
    return [
        f"{model}/{gradient}/{target}" for model in NETWORKS for gradient in GRADIENTS for target in Q_TARGETS
    ]


def ablations() -> list[str]:
    return [f"{ABLATED}/{change}" for change in CHANGES]


@dataclass(frozen=True)
class Setup:
    """A kind of puzzle, a network that suits it, and what counts as learned."""

    env: dict[str, Any]
    stages: tuple[str, ...]
    hidden_size: int
    layers: int
    """Blocks of each of hrm's modules."""
    h_cycles: int
    """Of two low-level cycles each."""
    optimizer: str
    goal: float
    """Held-out exact accuracy to be reached."""
    limit_s: float
    """CPU seconds of training that a measurement gets."""
    recipes: tuple[str, ...]
    """Those that are measured unless told otherwise: what fits in an hour for both boards."""


BOARDS = {
    "4x4": Setup(
        {"task": "sudoku", "size": 4}, ("easy=1,medium=1,hard=1,extreme=1",),
        hidden_size=64, layers=1, h_cycles=2, optimizer="adamw", goal=0.9, limit_s=24,
        recipes=tuple(recipes()),
    ),
    "6x6": Setup(
        {"task": "sudoku", "size": 6}, ("medium=1,hard=1",),
        hidden_size=128, layers=1, h_cycles=1, optimizer="muon", goal=0.5, limit_s=150,
        recipes=tuple(f"{m}/last_cycle/{q}" for m in NETWORKS for q in ("bootstrap", "delayed", "halt_only")),
    ),
}  # fmt: skip

CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "unchanged": {},
    "cosine": {"optim": {"lr_min_ratio": 0.01}},
    "ema": {"optim": {"ema_decay": 0.98}},
    "cosine-ema": {"optim": {"lr_min_ratio": 0.01, "ema_decay": 0.98}},
    "no-warmup": {"optim": {"warmup_updates": 0}},
    "batch-128": {"train": {"global_batch_size": 128}},
    "adamw": {"optim": {"name": "adamw"}},
}
"""Of the optimisation, one at a time. `batch-128` does half as many updates, so that
all see as many segments."""

ABLATED = "transformer/last_cycle/delayed"
ABLATION_UPDATES = 240
ABLATION_LIMIT_S = 3600.0
"""CPU seconds; never reached."""

EVALUATE_EVERY = 50
HELD_OUT = 128


@dataclass(frozen=True)
class Measurement:
    """How one recipe did with one seed."""

    board: str
    recipe: str
    seed: int
    limit_s: float
    """CPU seconds of training that it was given."""
    commit: str
    """The code that was measured."""
    curve: list[tuple[int, float, float, float]]
    """Update, CPU seconds of training so far, held-out exact accuracy, mean segments, for each
    evaluation. CPU time of the process, which has one thread, is about what the clock would show on an
    idle machine, and stays right on a busy one."""
    failure: str = ""
    """Why the training ended before its time, if it did."""

    def reached(self, goal: float) -> tuple[int, float] | None:
        """Updates and seconds to the first evaluation with at least this accuracy."""
        return next(((int(u), s) for u, s, accuracy, _ in self.curve if accuracy >= goal), None)

    @property
    def best(self) -> float:
        return max((point[2] for point in self.curve), default=0.0)

    @property
    def ablation(self) -> str | None:
        """The change that this measures, if it is an ablation."""
        return self.recipe.split("/")[3] if self.recipe.count("/") == 3 else None


def configuration(board: str, recipe: str, seed: int) -> Config:
    """The whole configuration: 64 slots, budget 8, a constant rate of 2e-3 after 20
    updates, no averaged weights."""
    model, gradient, target, *changes = recipe.split("/")
    kind = BOARDS[board]
    values = get_preset("sudoku4-quick").model_dump()
    layers = {"h_layers": kind.layers, "l_layers": kind.layers * (2 if model.startswith("trm") else 1)}
    values["seed"] = seed
    values["env"] |= kind.env
    values["data"] |= {"eval_puzzles": HELD_OUT, "exclude_twins": board != "4x4"}
    values["model"] |= (
        {"hidden_size": kind.hidden_size, "gradient": gradient, "h_cycles": kind.h_cycles}
        | layers
        | NETWORKS[model]
    )
    values["halting"] |= {"q_target": target} | ({"rollout_segments": 4} if target == "lambda" else {})
    values["optim"] |= {
        "name": kind.optimizer,
        "lr": 2e-3,
        "warmup_updates": 20,
        "lr_min_ratio": 1.0,
        "ema_decay": 0.0,
    }
    every = EVALUATE_EVERY // (4 if target == "lambda" else 1)  # an update of lambda is four segments
    values["train"] |= {
        "max_updates": 1_000_000,
        "log_every": 10,
        "eval_every": every,
        "checkpoint_every": 1_000_000,
        "device": "cpu",
    }
    values["curriculum"] |= {"stages": kind.stages}
    for change in changes:
        for section, fields in CHANGES[change].items():
            values[section] |= fields
        updates = ABLATION_UPDATES * 64 // values["train"]["global_batch_size"]
        values["train"] |= {"max_updates": updates, "eval_every": updates // 4}
    return validate(values, recipe)


class _UntilGoal(LocalWorker):
    """Keeps the learning curve, with a clock that stands still during evaluations, and asks for the end once
    the goal or the limit is reached."""

    def __init__(self, config: Config, run_dir: Path, goal: float, limit_s: float):
        super().__init__(config, run_dir, say=lambda line: None)
        self.goal = goal
        self.limit_s = limit_s
        self.curve: list[tuple[int, float, float, float]] = []
        """As in `Measurement`."""
        self.seconds = 0.0
        """CPU seconds of training, up to the last update."""
        self._since = time.process_time()

    def start_clock(self) -> None:
        self._since = time.process_time()

    def stop_requested(self) -> bool:
        now = time.process_time()
        self.seconds, self._since = self.seconds + now - self._since, now
        reached = bool(self.curve) and self.curve[-1][2] >= self.goal
        return reached or self.seconds >= self.limit_s

    def evaluated(self, found: Evaluated) -> None:
        accuracy, segments = found.metrics["eval/exact_accuracy"], found.metrics["eval/segments_mean"]
        self.curve.append((found.update, round(self.seconds, 2), accuracy, segments))
        self.start_clock()


def measure(board: str, recipe: str, seed: int, limit_s: float) -> dict[str, Any]:
    """Train in this process, with one thread, until the board's goal or the limit. Returns a Measurement as a
    dictionary."""
    use_threads(1)
    config = configuration(board, recipe, seed)
    failure = ""
    with tempfile.TemporaryDirectory() as folder:
        goal = float("inf") if recipe in ablations() else BOARDS[board].goal
        worker = _UntilGoal(config, Path(folder), goal, limit_s)
        trainer = Trainer(config, worker, saves=False)
        worker.start_clock()
        try:
            trainer.run()
        except UserError as error:  # too many updates in a row were not finite: that is a result too
            failure = str(error)
    return asdict(Measurement(board, recipe, seed, limit_s, provenance()["commit"], worker.curve, failure))
