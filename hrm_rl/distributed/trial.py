"""One trial of a sweep, as Tune runs it: a run in its own folder that reports every evaluation.

A trial goes on from the newest checkpoint in its folder, whoever started it and why it stopped. To Tune it
gives no copy of a checkpoint but a pointer to it, so that nothing is written twice.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.tune
from ray.tune.integration.ray_train import TuneReportCallback

from hrm_rl.config import Config, differences
from hrm_rl.data.curriculum import Curriculum, LocalCurriculum
from hrm_rl.distributed.train import start_curriculum, worker_group
from hrm_rl.distributed.train_worker import numbers, say_to_file
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.folder import CONSOLE_FILE
from hrm_rl.sweeps.file import Pbt
from hrm_rl.sweeps.results.records import TRIALS
from hrm_rl.sweeps.space import Params, Space
from hrm_rl.training.loop import Trainer
from hrm_rl.training.resources import Plan
from hrm_rl.training.worker import Evaluated
from hrm_rl.utils.devices import choose_device, use_threads
from hrm_rl.utils.errors import UserError, one_line
from hrm_rl.utils.files import write_atomically

SWEEP_STOP_FILE = "stop-requested"
"""In the sweep's folder: every trial ends with a checkpoint."""
POINTER_FILE = "pointer.json"
ERROR_FILE = "error.log"
"""In a trial's folder, while its last attempt has failed."""
RESUMED_AT, SOURCE, PARAMS = "resumed_at", "source", "params"
"""Further keys of what a trial reports: where and from which trial's checkpoint it went
on, with which params."""
STOP_EVERY = 0.5
"""Seconds between two looks for the stop file."""
LEAST_KEPT = 4
"""Checkpoints that a trial of population-based training keeps: others may go on from
one that is not its last."""


@dataclass(frozen=True)
class TrialPlan:
    """What every trial of a sweep runs with."""

    folder: Path
    """The sweep's."""
    space: Space
    group: Plan
    """Ray Train's workers of a trial; none if it is one process."""
    cpus: float
    gpus: float
    """Of the whole trial."""


class TrialWorker:
    """`hrm_rl.training.loop.Worker` of a trial that is one process."""

    rank = 0
    world_size = 1

    def __init__(self, plan: TrialPlan, config: Config, id: str, about: dict[str, Any]):
        """about: what every report says beside the metrics."""
        self.plan = plan
        self.id = id
        self.about = about
        self.device = choose_device(config.train.device if plan.gpus else "cpu")
        self.run_dir = plan.folder / TRIALS / id
        self.curriculum: Curriculum = LocalCurriculum(config.curriculum, config.train.log_every)
        self._began = self._looked = time.perf_counter()
        self._stop = (plan.folder / SWEEP_STOP_FILE).exists()

    def say(self, line: str) -> None:
        say_to_file(self.run_dir, line)

    def stop_requested(self) -> bool:
        now = time.perf_counter()
        if now - self._looked > STOP_EVERY:
            self._looked = now
            self._stop |= (self.plan.folder / SWEEP_STOP_FILE).exists()
        return self._stop

    def evaluated(self, found: Evaluated) -> None:
        """Report to Tune, which may end the trial here (by SystemExit)."""
        report = numbers(found, time.perf_counter() - self._began) | self.about
        if found.saved is None:
            ray.tune.report(report)
        else:
            with _pointer(self.id, found.saved) as folder:
                ray.tune.report(report, checkpoint=ray.tune.Checkpoint.from_directory(folder))


@contextlib.contextmanager
def _pointer(id: str, path: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / POINTER_FILE).write_text(json.dumps({"trial": id, "checkpoint": path.name}))
        yield folder


def _pointed_to() -> tuple[str, str] | None:
    """Trial and name of the checkpoint that Tune wants this trial to go on from, if it says."""
    given = ray.tune.get_checkpoint()
    if given is None:
        return None
    with given.as_directory() as folder:
        values = json.loads((Path(folder) / POINTER_FILE).read_text())
    return str(values["trial"]), str(values["checkpoint"])


def run_trial(plan: TrialPlan, params: Params) -> None:
    """The body of a trial, in the process that Tune gave it.

    What the user has to put right is left in error.log, and no retry follows; any other error
    is raised too, for Tune to try again.
    """
    id = str(ray.tune.get_context().get_trial_name())
    run_dir = plan.folder / TRIALS / id
    (run_dir / ERROR_FILE).unlink(missing_ok=True)
    (run_dir / CONSOLE_FILE).touch()
    if (plan.folder / SWEEP_STOP_FILE).exists():
        return
    try:
        config = plan.space.configure(params)
        if plan.group.high:
            _run_group(plan, config, run_dir)
        else:
            _run_here(plan, config, params, id, run_dir)
    except UserError as error:
        write_atomically(run_dir / ERROR_FILE, f"{error}\n")
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        write_atomically(run_dir / ERROR_FILE, f"{type(error).__name__}: {one_line(error, 300)}\n\n{text}")
        raise


def _run_here(plan: TrialPlan, config: Config, params: Params, id: str, run_dir: Path) -> None:
    use_threads(max(1, int(plan.cpus)))
    scheduler = plan.space.file.scheduler
    keep, source = selection.KEEP_LAST, None
    if isinstance(scheduler, Pbt):
        keep = max(LEAST_KEPT, scheduler.perturbation_interval // config.train.eval_every + 2)
        source = _take_over(plan, config, id, run_dir)
    newest = selection.checkpoints(run_dir / "checkpoints")
    resumed_at = int(newest[0].name.removeprefix("update-")) if newest else 0
    worker = TrialWorker(plan, config, id, {RESUMED_AT: resumed_at, SOURCE: source, PARAMS: params})
    Trainer(config, worker, keep).run()


def _take_over(plan: TrialPlan, config: Config, id: str, run_dir: Path) -> str | None:
    """Put the checkpoint that this trial is to go on from with other settings into its folder. The trial that
    it is from, or None where the trial's own checkpoint goes on as it is."""
    pointer = _pointed_to()
    own = selection.latest_sound(run_dir / "checkpoints", lambda line: say_to_file(run_dir, line))
    source, from_trial = own, None
    if pointer is not None and pointer[0] != id:
        path = plan.folder / TRIALS / pointer[0] / "checkpoints" / pointer[1]
        if path.exists():
            source, from_trial = path, pointer[0]
    if source is None:
        return None
    if from_trial is not None or differences(checkpoint.read_state(source).config, config):
        checkpoint.adopt(source, run_dir / "checkpoints", config, plan.space.dimensions)
        write_atomically(run_dir / "config.yaml", config.to_yaml())
    return from_trial


def _run_group(plan: TrialPlan, config: Config, run_dir: Path) -> None:
    """The trial as Ray Train's workers. Tune ends this process to stop it; what it
    started then ends with it."""
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    attempt = f"{plan.folder.name}-{run_dir.name}-{time.time_ns()}"
    curriculum = start_curriculum(config, attempt)
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    trainer = worker_group(
        config,
        run_dir,
        plan.group,
        attempt,
        plan.folder / SWEEP_STOP_FILE,
        0,
        trial_callback=TuneReportCallback(),
    )
    try:
        result: Any = trainer.fit()
        values = dict(result.return_value)
    finally:
        ray.kill(curriculum)
    if "error" in values:
        raise UserError(values["error"])
