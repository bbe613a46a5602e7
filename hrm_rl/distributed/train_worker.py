"""What each worker of a run runs: training/loop.py under Ray Train, behind a RayWorker."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import torch

from hrm_rl.agents.tally import sum_over_ranks
from hrm_rl.config import validate
from hrm_rl.data.curriculum import Curriculum
from hrm_rl.distributed.cluster import silence_reports
from hrm_rl.distributed.curriculum_actor import ActorCurriculum
from hrm_rl.runs.folder import RunFolder
from hrm_rl.training.loop import Trainer
from hrm_rl.training.worker import Evaluated
from hrm_rl.utils.devices import choose_device, use_threads
from hrm_rl.utils.errors import NotResumable, UserError, one_line

UPDATES, SECONDS, TRAIN_SECONDS = "updates", "trial_seconds", "trial_train_seconds"
"""Keys of what a trial of a sweep reports along with the metrics' tags."""


class RayWorker:
    """`hrm_rl.training.loop.Worker` inside a Ray Train worker."""

    def __init__(
        self, run_dir: Path, curriculum_actor: str, device: torch.device, stop_file: Path, reports: bool
    ):
        """reports: tell Ray Train of evaluations, as a trial of a sweep has to."""
        self._began = time.perf_counter()
        self._stop_file = stop_file
        self._reports = reports
        context = ray.train.get_context()
        self.rank = context.get_world_rank()
        self.world_size = context.get_world_size()
        self.device = device
        self.run_dir = run_dir
        started = sum_over_ranks(np.array([time.time() * 1000 if self.rank == 0 else 0.0]), device)
        self.curriculum: Curriculum = ActorCurriculum(
            ray.get_actor(curriculum_actor), int(started[0]), self.rank, self.world_size
        )

    def say(self, line: str) -> None:
        RunFolder(self.run_dir).say(line)

    def stop_requested(self) -> bool:
        return self._stop_file.exists()

    def is_hurried(self) -> bool:
        return self.stop_requested()

    def evaluated(self, found: Evaluated) -> None:
        if self._reports:
            ray.train.report(numbers(found, time.perf_counter() - self._began))


def numbers(found: Evaluated, seconds: float) -> dict[str, float]:
    """What a sweep hears of a trial: the evaluation's metrics by tag and, under names that Ray leaves alone,
    the update and the seconds that this process has spent, in all and in updates."""
    spent = {UPDATES: found.update, SECONDS: seconds, TRAIN_SECONDS: found.update_seconds}
    return {tag: float(value) for tag, value in found.metrics.items()} | spent


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """The function that Ray Train calls in each worker. Returns a RunOutcome as a dictionary, or
    `{"error": line}` for what the user has to put right, which no restart would mend."""
    silence_reports()
    warnings.filterwarnings("ignore", message=".*barrier.*")
    if Path(settings["cwd"]).is_dir():
        os.chdir(settings["cwd"])
    use_threads(settings["threads"])
    config = validate(settings["config"], "driver")
    device = choose_device("cpu")
    if settings["gpu"]:
        from ray.train.torch import get_device

        device = get_device()
        torch.cuda.set_device(device)
    worker = RayWorker(
        Path(settings["run_dir"]),
        settings["curriculum_actor"],
        device,
        Path(settings["stop_file"]),
        settings["reports"],
    )
    try:
        if worker.rank == 0:
            count = worker.world_size
            worker.say(f"{count} worker{'s' if count > 1 else ''} up: making puzzles and network")
        trainer = Trainer(config, worker)
        if worker.rank == 0 and not settings["reports"]:
            RunFolder(worker.run_dir).begun.touch()
        try:
            return asdict(trainer.run())
        except UserError as error:  # raised on all ranks alike
            return {"error": str(error), "resumable": not isinstance(error, NotResumable)}
    except Exception as error:
        worker.say(f"worker {worker.rank} failed: {type(error).__name__}: {one_line(error, 300)}")
        raise
