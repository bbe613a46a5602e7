"""The driver of a run that runs training/loop.py under Ray Train.

Ray Train starts the workers (train_worker.py), joins them in a process group, and restarts them when one
dies. Checkpoints are hrm_rl.runs.checkpoint's, in the run's folder, so that they are the same with and
without Ray; none is reported to Ray.
"""

from __future__ import annotations

import os
import re
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ray
import ray.train
from ray.train import UserCallback, WorkerGroupError
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

from hrm_rl.config import Config
from hrm_rl.distributed.cluster import ends_with_this_process
from hrm_rl.distributed.curriculum_actor import CurriculumActor
from hrm_rl.distributed.group import GroupConfig, GroupTrainer
from hrm_rl.distributed.watch import watch
from hrm_rl.runs.folder import RunFolder
from hrm_rl.training.resources import Plan
from hrm_rl.training.worker import RunOutcome
from hrm_rl.utils import stops
from hrm_rl.utils.console import Patience
from hrm_rl.utils.errors import NotResumable, UserError, one_line, refused_by_disk

MAX_FAILURES = 3
"""Times that a run resumes from its last checkpoint after workers have died or raised."""


class RunFailed(RuntimeError):
    """The workers failed more often than MAX_FAILURES; the message is the first failing rank's own error."""


def train_with_ray(
    config: Config,
    run_dir: Path,
    plan: Plan,
    verbose: bool = False,
    say: Callable[[str], None] = print,
    at_once: str = stops.AT_ONCE,
) -> RunOutcome:
    """Train with `plan.low` to `plan.high` Ray workers; Ray must be connected.

    The first Ctrl-C or other signal to stop lets the workers end with a checkpoint, another Ctrl-C ends them
    at once, which a command says with the line `at_once` (hrm_rl/utils/stops.py). Raises UserError for what
    the user has to put right and RunFailed when the workers fail too often.
    """
    run = RunFolder(run_dir)
    _forget_stops(run)
    run.console.touch()
    attempt = new_attempt(run.name)
    curriculum = start_curriculum(config, attempt)
    trainer = worker_group(config, run_dir, plan, attempt, run.stop_request, MAX_FAILURES, verbose)
    stopping = "stopping with a checkpoint"
    waiting = Patience(f"starting {counted(plan)}", say)
    try:
        with run.console.open() as console:
            console.seek(0, os.SEEK_END)

            def show() -> None:
                for line in console:
                    say(line.rstrip("\n"))
                    waiting.spoke()
                if not run.begun.exists():
                    waiting.look()

            result: Any = watch(trainer.fit, show, run.begun.exists, run.stop_request, say, stopping, at_once)
    finally:
        ray.kill(curriculum)
    _forget_stops(run)
    if isinstance(result, BaseException):
        raise _explained(result, run)
    values = dict(result.return_value)
    if "error" in values:
        raise (UserError if values["resumable"] else NotResumable)(values["error"])
    return RunOutcome(**values)


def counted(plan: Plan) -> str:
    """The workers of a plan, in words."""
    number = f"{plan.low} to {plan.high}" if plan.elastic else str(plan.high)
    return f"{number} worker{'s' if plan.high > 1 else ''}"


def _forget_stops(run: RunFolder) -> None:
    run.stop_request.unlink(missing_ok=True)
    run.begun.unlink(missing_ok=True)


def new_attempt(*names: str) -> str:
    """A name for what Ray runs that was never used before. Ray's names are ASCII; those of folders need not
    be."""
    return f"{re.sub('[^A-Za-z0-9_.-]+', '-', '-'.join(names))}-{time.time_ns()}"


def start_curriculum(config: Config, attempt: str) -> Any:
    """The curriculum's actor of one attempt at a run."""
    options = CurriculumActor.options(name=_curriculum_name(attempt))  # type: ignore[attr-defined]
    rules = SimpleNamespace(**config.curriculum.model_dump())  # whose class is not imported for that
    return options.remote(rules, config.train.log_every)


def _curriculum_name(attempt: str) -> str:
    return f"curriculum-{attempt}"


def worker_group(
    config: Config,
    run_dir: Path,
    plan: Plan,
    attempt: str,
    stop_file: Path,
    max_failures: int,
    verbose: bool = False,
    trial_callback: UserCallback | None = None,
) -> GroupTrainer:
    """Ray Train's workers of a run, not started yet. attempt: a name that was never used before, also that of
    the curriculum's actor. trial_callback: hears of the evaluations, in a trial of a sweep."""
    return GroupTrainer(
        _work,
        train_loop_config={
            "config": config.model_dump(mode="json"),
            "run_dir": str(run_dir),
            "curriculum_actor": _curriculum_name(attempt),
            "cwd": os.getcwd(),
            "threads": plan.threads,
            "gpu": plan.gpus_per_worker > 0,
            "stop_file": str(stop_file),
            "reports": trial_callback is not None,
        },
        backend_config=GroupConfig(plan.backend),
        cleans_up=not ends_with_this_process(),
        scaling_config=ScalingConfig(
            num_workers=(plan.low, plan.high) if plan.elastic else plan.high,
            use_gpu=plan.gpus_per_worker > 0,
            resources_per_worker={"CPU": plan.cpus_per_worker}
            | ({"GPU": plan.gpus_per_worker} if plan.gpus_per_worker else {}),
        ),
        run_config=RunConfig(
            name=attempt,  # never an old one: resuming is done from our own checkpoints
            storage_path=str(RunFolder(run_dir).ray),
            failure_config=FailureConfig(max_failures=max_failures, controller_failure_limit=2),
            logging_config=LoggingConfig(log_level="INFO" if verbose else "ERROR"),
            callbacks=[trial_callback] if trial_callback else None,
        ),
    )


def _work(settings: dict[str, Any]) -> dict[str, Any]:
    """What each worker runs; only there is it imported, and torch with it."""
    from hrm_rl.distributed.train_worker import work

    return work(settings)


_SECONDARY = ("Connection closed by peer", "Connection reset", "connection", "gloo", "NCCL", "ProcessGroup")


def _explained(error: BaseException, run: RunFolder) -> BaseException:
    """The error to show for a failed run: the rank that failed first, not those that lost contact with it.
    The full story goes to error.log in the run's folder."""
    text = "".join(traceback.format_exception(error))
    if not isinstance(error, WorkerGroupError):
        run.error_log.write_text(text)
        return RunFailed(f"{type(error).__name__}: {one_line(error, 500)}")
    failures = sorted(error.worker_failures.items())
    for rank, failure in failures:
        text += f"\n--- worker {rank}\n" + "".join(traceback.format_exception(failure))
    run.error_log.write_text(text)
    own = [(r, e) for r, e in failures if not any(word in str(e) for word in _SECONDARY)]
    rank, first = (own or failures)[0]
    cause = getattr(first, "cause", None) or first.__cause__ or first
    if isinstance(cause, UserError):
        return cause
    if isinstance(cause, OSError) and (refused := refused_by_disk(cause)):
        return refused
    summary = one_line(cause, 500)
    return RunFailed(f"worker {rank} failed: {type(cause).__name__}: {summary} (all of it: {run.error_log})")
