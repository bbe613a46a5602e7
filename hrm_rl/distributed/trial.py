"""One trial of a sweep, as Tune runs it: a run in its own folder that reports every evaluation.

A trial resumes from the newest checkpoint in its folder, whoever started it and whyever it stopped. To Tune
it gives no copy of a checkpoint but a pointer to it, so that nothing is written twice.
"""

from __future__ import annotations

import contextlib
import json
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
from hrm_rl.distributed import cluster
from hrm_rl.distributed.train import new_attempt, start_curriculum, worker_group
from hrm_rl.distributed.train_worker import numbers
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.folder import RunFolder
from hrm_rl.sweeps.file import Pbt
from hrm_rl.sweeps.results.folder import POINTER, SweepFolder
from hrm_rl.sweeps.space import Params, Space
from hrm_rl.training.loop import Trainer
from hrm_rl.training.resources import Plan
from hrm_rl.training.worker import Evaluated
from hrm_rl.utils.devices import choose_device, use_threads
from hrm_rl.utils.errors import UserError, one_line
from hrm_rl.utils.files import write_atomically

RESUMED_AT, SOURCE, PARAMS = "resumed_at", "source", "params"
"""Further keys of what a trial reports: where and from which trial's checkpoint it resumed, with which
params."""
STOP_EVERY = 0.5
"""Seconds between two looks for the sweep's stop request."""
LEAST_KEPT = 4
"""Checkpoints that a trial of population-based training keeps: others may resume from one that is not its
last."""


@dataclass(frozen=True)
class TrialPlan:
    """What every trial of a sweep runs with."""

    folder: SweepFolder
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
        """about: what every report says besides the metrics."""
        self.plan = plan
        self.id = id
        self.about = about
        self.device = choose_device(config.train.device if plan.gpus else "cpu")
        self.run = plan.folder.trial(id)
        self.run_dir = self.run.path
        self.curriculum: Curriculum = LocalCurriculum(config.curriculum, config.train.log_every)
        self._began = self._looked = time.perf_counter()
        self._stop = plan.folder.stop_request.exists()

    def say(self, line: str) -> None:
        self.run.say(line)

    def stop_requested(self) -> bool:
        now = time.perf_counter()
        if now - self._looked > STOP_EVERY:
            self._looked = now
            self._stop |= self.plan.folder.stop_request.exists()
        return self._stop

    def is_hurried(self) -> bool:
        return self.stop_requested()

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
        (Path(folder) / POINTER).write_text(json.dumps({"trial": id, "checkpoint": path.name}))
        yield folder


def _pointed_to() -> tuple[str, str] | None:
    """Trial and name of the checkpoint that Tune wants this trial to resume from, if it names one."""
    given = ray.tune.get_checkpoint()
    if given is None:
        return None
    with given.as_directory() as folder:
        values = json.loads((Path(folder) / POINTER).read_text())
    return str(values["trial"]), str(values["checkpoint"])


def run_trial(plan: TrialPlan, params: Params) -> None:
    """The body of a trial, in the process that Tune gave it.

    What the user has to put right is left in error.log, and no retry follows; any other error
    is raised too, for Tune to try again.
    """
    id = str(ray.tune.get_context().get_trial_name())
    run = plan.folder.trial(id)
    run.error_log.unlink(missing_ok=True)
    run.console.touch()
    if plan.folder.stop_request.exists():
        return
    try:
        config = plan.space.configure(params)
        if plan.group.high:
            _run_group(plan, config, run)
        else:
            _run_here(plan, config, params, run)
    except UserError as error:
        write_atomically(run.error_log, f"{error}\n")
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        reason = one_line(error, 300)
        write_atomically(run.error_log, f"{type(error).__name__}: {reason}\n\n{text}")
        raise


def _run_here(plan: TrialPlan, config: Config, params: Params, run: RunFolder) -> None:
    use_threads(max(1, int(plan.cpus)))
    scheduler = plan.space.file.scheduler
    keep, source = selection.KEEP_LAST, None
    if isinstance(scheduler, Pbt):
        keep = max(LEAST_KEPT, scheduler.perturbation_interval // config.train.eval_every + 2)
        source = _take_over(plan, config, run)
    newest = selection.checkpoints(run.checkpoints)
    resumed_at = selection.update_of(newest[0]) if newest else 0
    worker = TrialWorker(plan, config, run.name, {RESUMED_AT: resumed_at, SOURCE: source, PARAMS: params})
    Trainer(config, worker, keep).run()


def _take_over(plan: TrialPlan, config: Config, run: RunFolder) -> str | None:
    """Put the checkpoint that this trial is to resume from with other settings into its folder. Returns the
    trial that it is from, or None where the trial resumes from its own."""
    pointer = _pointed_to()
    source, from_trial = selection.latest_sound(run.checkpoints, run.say), None
    if pointer is not None and pointer[0] != run.name:
        path = plan.folder.trial(pointer[0]).checkpoints / pointer[1]
        if path.exists():
            source, from_trial = path, pointer[0]
    if source is None:
        return None
    if from_trial is not None or differences(checkpoint.read_state(source).config, config):
        checkpoint.adopt(source, run.checkpoints, config, plan.space.dimensions)
        write_atomically(run.config, config.to_yaml())
    return from_trial


def _run_group(plan: TrialPlan, config: Config, run: RunFolder) -> None:
    """The trial as Ray Train's workers. Tune ends this process to stop it; what it started then ends with
    it."""
    cluster.prepare()
    attempt = new_attempt(plan.folder.name, run.name)
    curriculum = start_curriculum(config, attempt)
    trainer = worker_group(
        config,
        run.path,
        plan.group,
        attempt,
        plan.folder.stop_request,
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
