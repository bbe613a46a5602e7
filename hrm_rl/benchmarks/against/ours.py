"""Train with a preset of ours on a given folder of puzzles, with the clock that theirs has."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from hrm_rl.benchmarks.against.boards import Contest
from hrm_rl.config import Config, get_preset, validate
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.training.worker import Evaluated


def configuration(contest: Contest, puzzles: Path, seed: int) -> Config:
    """The board's preset, without augmentation, on the puzzles of a folder."""
    values = get_preset(contest.preset).model_dump()
    values["seed"] = seed
    values["data"] |= {"path": str(puzzles), "augment": False, "leaks": "warn"}
    values["curriculum"] |= {"stages": ("all=1",)}
    values["train"] |= {"eval_every": contest.every, "checkpoint_every": 1_000_000, "device": "cpu"}
    return validate(values, contest.preset)


class _Timed(LocalWorker):
    """Keeps the learning curve, with a clock that stands still during evaluations."""

    def __init__(self, config: Config, run_dir: Path, goal: float, limit_s: float):
        super().__init__(config, run_dir, say=lambda line: None)
        self.goal, self.limit_s = goal, limit_s
        self.curve: list[tuple[int, float, float, float]] = []
        """Update, CPU seconds and seconds of training so far, held-out exact accuracy."""
        self.spent = [0.0, 0.0]
        self._since = [0.0, 0.0]

    def start_clock(self) -> None:
        self._since = [time.process_time(), time.perf_counter()]

    def stop_requested(self) -> bool:
        now = [time.process_time(), time.perf_counter()]
        self.spent = [s + n - b for s, n, b in zip(self.spent, now, self._since, strict=True)]
        self._since = now
        reached = bool(self.curve) and self.curve[-1][3] >= self.goal
        return reached or self.spent[0] >= self.limit_s

    def evaluated(self, found: Evaluated) -> None:
        cpu, clock = self.spent
        accuracy = found.metrics["eval/exact_accuracy"]
        self.curve.append((found.update, round(cpu, 2), round(clock, 2), accuracy))
        self.start_clock()


def train(
    contest: Contest, puzzles: Path, seed: int, limit_s: float
) -> list[tuple[int, float, float, float]]:
    """Train until the goal, the limit or the end of the preset. Returns the curve."""
    config = configuration(contest, puzzles, seed)
    with tempfile.TemporaryDirectory() as folder:
        worker = _Timed(config, Path(folder), contest.goal, limit_s)
        trainer = Trainer(config, worker, saves=False)
        worker.start_clock()
        trainer.run()
    return worker.curve
