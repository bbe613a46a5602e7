"""A sweep under Ray Tune: which trial runs when and where, who is stopped, and what is noted of each.

Tune schedules, retries and reuses processes; its schedulers decide whom to stop. All that a sweep needs to
resume is in our own files (hrm_rl/sweeps/results/records.py, and the checkpoints of the trials): to Tune
every start is a new experiment, whose scheduler is told of the curves so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.tune
from ray import PlacementGroupID
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.state import list_placement_groups

from hrm_rl.distributed.schedulers import TRIAL, make_scheduler
from hrm_rl.distributed.trial import TrialPlan, run_trial
from hrm_rl.distributed.trial_log import Notes
from hrm_rl.distributed.watch import watch
from hrm_rl.sweeps.file import Pbt
from hrm_rl.sweeps.results.reading import read_sweep
from hrm_rl.sweeps.results.records import Book, trial_id
from hrm_rl.sweeps.search import Tried, propose
from hrm_rl.sweeps.space import Params, Space
from hrm_rl.utils import stops
from hrm_rl.utils.console import Patience
from hrm_rl.utils.errors import UserError

RETRIES = 2
"""Times that a trial resumes from its last checkpoint after it has failed."""
PATIENCE_SECONDS, SETTLE_SECONDS = 10.0, 60.0
"""After the last trial: how long Ray Train has to clear up after stopped trials by itself, and how long it
may take in all."""


class Proposals(Searcher):
    """What to run next: first the trials that an earlier start left unfinished, then new ones."""

    def __init__(self, book: Book, space: Space, seed: int, total: int):
        super().__init__(metric=space.file.metric, mode=space.file.mode)
        self.book, self.space, self.seed, self.total = book, space, seed, total
        self.waiting = [id for id, record in book.records.items() if not record.over]
        self.grid = space.grid()
        self.error: str | None = None
        """Why there was nothing more to propose."""

    def suggest(self, trial_id: str) -> Any:
        if self.book.folder.stop_request.exists():
            return Searcher.FINISHED
        try:
            return next_trial(self) or Searcher.FINISHED
        except UserError as error:
            self.error = str(error)
            return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Nothing to learn here: proposals look at the sweep's folder."""

    def save(self, checkpoint_path: str) -> None:
        """Tune wants a file; all that matters is in the sweep's folder."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Never done: each start is a new experiment."""


def next_trial(todo: Proposals) -> dict[str, Any] | None:
    """Tune's configuration of the next trial, its folder made; None when there is none left. Raises
    UserError."""
    if todo.waiting:
        id = todo.waiting.pop(0)
    else:
        index = next(i for i in range(todo.total + 1) if trial_id(i) not in todo.book.records)
        if index == todo.total:
            return None
        id = trial_id(index)
        params = propose(todo.space, todo.seed, index, _tried(todo.book), todo.grid)
        todo.book.begin(id, params, todo.space)
    return {TRIAL: {"id": id, "params": todo.book.records[id].params}}


def _tried(book: Book) -> list[Tried]:
    """Every trial so far with its score, as the sweep's report has it."""
    return [
        Tried(
            t.scored_params,
            t.best.value if t.best else None,
            t.best.cost if t.best else None,
            book.records[t.id].over,
        )
        for t in read_sweep(book.folder.path).trials
        if t.id in book.records and book.records[t.id].status != "failed"
    ]


class Silence(TrialProgressCallback):
    """In place of Tune's own lines about each trial, which its verbosity does not silence."""

    def log_result(self, *args: Any, **kwargs: Any) -> None: ...

    def on_trial_complete(self, *args: Any, **kwargs: Any) -> None: ...


class GoodEnough(ray.tune.Stopper):
    """Ends a trial that has reached what the sweep's file calls enough."""

    def __init__(self, space: Space):
        self.space = space

    def __call__(self, trial_id: str, result: dict) -> bool:
        return self.space.file.metric in result and self.space.good_enough(result[self.space.file.metric])

    def stop_all(self) -> bool:
        return False


@dataclass(frozen=True)
class Spent:
    """What one start of a sweep took."""

    complete: bool
    """Whether every trial is over."""
    seconds: float
    """From the start of the first trial to the end of the last."""
    train_seconds: float
    """Spent in updates, over all trials."""
    concurrent: int

    @property
    def share(self) -> float:
        """The part of the time of all trials that could have run at once which was spent in updates."""
        return self.train_seconds / (self.seconds * self.concurrent) if self.seconds else 0.0


def run_sweep(
    plan: TrialPlan,
    book: Book,
    seed: int,
    total: int,
    concurrent: int,
    show: Callable[[], None],
    say: Callable[[str], None] = print,
    at_once: str = stops.AT_ONCE,
) -> Spent:
    """Run what is left of the sweep's `total` trials, `concurrent` at once; Ray must be connected.

    show: called several times a second. After a Ctrl-C or another signal to stop, or when its time is up, the
    sweep is not complete; a second Ctrl-C ends it at once, which a command says with the line `at_once`
    (hrm_rl/utils/stops.py). Raises UserError if there is nothing to propose.
    """
    stop_request = plan.folder.stop_request
    stop_request.unlink(missing_ok=True)
    free = ray.available_resources()
    todo, notes = Proposals(book, plan.space, seed, total), Notes(book, plan.space)
    before = sum(record.train_seconds for record in book.records.values())
    tuner = _tuner(plan, book, todo, notes, seed, concurrent)
    minutes = plan.space.file.stop.minutes
    began = time.monotonic()

    waiting = Patience("starting the first trial", say)

    def look() -> None:
        show()
        if not notes.has_begun():
            waiting.look()
        if minutes is not None and time.monotonic() - began > minutes * 60 and not stop_request.exists():
            stop_request.touch()
            say("the time of the sweep is up: its trials end with a checkpoint")

    try:
        stopping = "stopping every trial with a checkpoint"
        ended = watch(tuner.fit, look, notes.has_begun, stop_request, say, stopping, at_once)
        if isinstance(ended, BaseException):
            raise ended
    finally:
        for id, record in book.records.items():
            if record.status == "running":
                book.note(id, status="paused")
        stop_request.unlink(missing_ok=True)
    wall = 0.0 if notes.first_start is None else time.monotonic() - notes.first_start
    _settle(free)
    if todo.error:
        raise UserError(todo.error)
    complete = len(book.records) >= total and all(record.over for record in book.records.values())
    return Spent(complete, wall, sum(r.train_seconds for r in book.records.values()) - before, concurrent)


def _tuner(
    plan: TrialPlan, book: Book, todo: Proposals, notes: Notes, seed: int, concurrent: int
) -> ray.tune.Tuner:
    def trial(config: dict[str, Any]) -> None:
        params: Params = config[TRIAL]["params"]
        run_trial(plan, params)

    if plan.group.high:
        # The workers' resources are asked for by Ray Train; the trial itself takes next to nothing.
        resources = {"cpu": 0.0, "memory": 2.0**20}
    else:
        resources = {"cpu": plan.cpus} | ({"gpu": plan.gpus} if plan.gpus else {})
    space: dict[str, Any] = {}
    searcher: Searcher | None = todo
    population = isinstance(plan.space.file.scheduler, Pbt)
    if population:  # which is known from the start, and must not come from a Searcher
        members = []
        while (member := next_trial(todo)) is not None:
            members.append(member[TRIAL])
        space, searcher = {TRIAL: ray.tune.grid_search(members)}, None
    return ray.tune.Tuner(
        ray.tune.with_resources(trial, resources),
        param_space=space,
        tune_config=ray.tune.TuneConfig(
            search_alg=searcher,
            scheduler=make_scheduler(plan.space, seed, book),
            num_samples=1 if population else -1,
            max_concurrent_trials=None if population else concurrent,
            reuse_actors=not plan.group.high,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=ray.tune.RunConfig(
            name=f"start-{time.time_ns()}",  # never an old one: resuming is done from our own files
            storage_path=str(plan.folder.tune),
            failure_config=ray.tune.FailureConfig(max_failures=RETRIES),
            callbacks=[notes, Silence()],
            stop=GoodEnough(plan.space),
            verbose=0,
        ),
    )


def _name(trial: Any) -> str:
    return str(trial.config[TRIAL]["id"])


def _settle(free: dict[str, float]) -> None:
    """Wait until the processors that were free before the sweep are free again.

    Ray Train removes the placement group of a stopped nested trial some time after; if that takes too long,
    it is removed here. On a shared cluster only what this driver's sweep made is looked at.
    """
    began = time.monotonic()
    removed = False
    while not _as_free_as(free) and time.monotonic() - began < SETTLE_SECONDS:
        if not removed and time.monotonic() - began > PATIENCE_SECONDS:
            removed = True
            _remove_placement_groups()
        time.sleep(0.2)


def _as_free_as(free: dict[str, float]) -> bool:
    now = ray.available_resources()
    return all(now.get(kind, 0.0) >= free.get(kind, 0.0) for kind in ("CPU", "GPU"))


def _remove_placement_groups() -> None:
    """Remove those of this job; its sweep is over."""
    context = ray.get_runtime_context()
    job = context.get_job_id()
    for group in list_placement_groups(address=context.gcs_address, detail=True, limit=1000):
        if group.creator_job_id == job and group.state != "REMOVED":
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(group.placement_group_id)))
