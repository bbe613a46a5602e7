"""What a sweep is about to do: processors of a trial, trials at once, time, and the lines that say so."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hrm_rl.config import Config
from hrm_rl.data.held_out import evaluated_levels
from hrm_rl.data.streams import build_data
from hrm_rl.sweeps.checks import metric_level
from hrm_rl.sweeps.file import Optuna, Pbt
from hrm_rl.sweeps.search import Tried, number_of_trials, propose
from hrm_rl.sweeps.space import Params, Space
from hrm_rl.training.plan import small_learner
from hrm_rl.training.resources import Machine, Plan
from hrm_rl.utils.console import duration
from hrm_rl.utils.devices import use_threads
from hrm_rl.utils.errors import UserError

SHOWN_SAMPLES = 8
TIMED_UPDATES = 3


@dataclass(frozen=True)
class Resources:
    """Processors of each trial, and trials at once."""

    group: Plan
    """Ray Train's workers of a trial; high is 0 where a trial is one process."""
    cpus: float
    gpus: float
    """Of a whole trial."""
    concurrent: int

    def describe(self, trials: int, machine: Machine) -> str:
        """`8, 2 at once: one process with 1 CPU each, on this machine (2 CPUs, 0 GPUs)`."""
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        each = f"one process with {self.cpus:g} CPU{gpus} each"
        if self.group.high:
            each = f"Ray Train with {self.group.describe()}"
        there = f"{machine.name} ({machine.cpus:g} CPUs, {machine.gpus:g} GPUs)"
        return f"{trials}, {min(trials, self.concurrent)} at once: {each}, on {there}"


def plan_resources(
    workers: int,
    cpus: float | None,
    gpus: float | None,
    max_concurrent: int | None,
    machine: Machine,
    space: Space,
    command: str,
) -> Resources:
    """What the flags ask for, with what they leave open filled in from the machine: of each worker a GPU if
    there are any, and a CPU, or the CPUs' even share where there are GPUs. Raises UserError if no trial fits.

    command: what the user typed, without the resource flags.
    """
    if workers < 1:
        raise UserError(f"--workers-per-trial {workers}: give 1 (one process a trial) or more")
    if max_concurrent is not None and max_concurrent < 1:
        raise UserError(f"--max-concurrent {max_concurrent}: give at least 1")
    population = isinstance(space.file.scheduler, Pbt)
    if population and workers > 1:
        raise UserError(
            "scheduler pbt needs trials of one process: leave out --workers-per-trial, or choose another "
            "scheduler"
        )
    on_cpu = space.base.train.device == "cpu" or gpus == 0
    if gpus is None:
        gpus = float(workers) if machine.gpus and not on_cpu else 0.0
    if gpus < 0 or (space.base.train.device == "cpu" and gpus):
        raise UserError(
            f"--gpus-per-trial {gpus:g} makes no sense here: give 0, or a train.device other than cpu"
        )
    each_gpus = gpus / workers
    if each_gpus > 1:
        raise UserError(
            f"--gpus-per-trial {gpus:g}: a process uses one GPU at most; give --workers-per-trial "
            f"{int(gpus)} too"
        )
    if cpus is None:
        slots = max(1, int(machine.gpus / each_gpus)) if each_gpus else int(machine.cpus)
        cpus = float(workers * max(1, int(machine.cpus) // max(1, slots)))
    each_cpus = cpus / workers
    if each_cpus < 1:
        raise UserError(
            f"--cpus-per-trial {cpus:g} is too little: each of {workers} processes needs at least 1"
        )
    room = machine.room(each_cpus, each_gpus) // workers
    if room < 1:
        fitting = f"--workers-per-trial 1 --cpus-per-trial 1 --gpus-per-trial {min(1.0, machine.gpus):g}"
        wanted = f"{workers} process{'es' if workers > 1 else ''}, {cpus:g} CPUs and {gpus:g} GPUs"
        raise UserError(
            f"a trial of {wanted} does not fit on {machine.name} ({machine.cpus:g} CPUs, {machine.gpus:g} "
            f"GPUs); this would: {command} {fitting}"
        )
    if max_concurrent is not None and max_concurrent < room:
        if population:
            raise UserError(
                "scheduler pbt takes as many trials at once as fit: give --cpus-per-trial instead of "
                "--max-concurrent"
            )
        room = max_concurrent
    low = high = workers if workers > 1 else 0
    return Resources(Plan(low, high, each_cpus, each_gpus), cpus, gpus, room)


def first_samples(space: Space, seed: int, total: int) -> list[Params]:
    """Params of the first trials, as far as they do not depend on how others fare."""
    count = min(total, SHOWN_SAMPLES)
    if isinstance(space.file.searcher, Optuna):
        count = min(count, space.file.searcher.startup_trials)
    grid = space.grid()
    samples: list[Params] = []
    for index in range(count):
        tried = [Tried(params, None, None, over=False) for params in samples]
        samples.append(propose(space, seed, index, tried, grid))
    return samples


def check_data(space: Space, samples: list[Params]) -> list[str]:
    """Make the puzzles of these trials, each kind once, so that a wrong file or level is found before any
    trial starts. Returns what the user should know. Raises UserError."""
    seen: set[str] = set()
    level = metric_level(space)
    notes: list[str] = []
    for params in samples:
        config = space.configure(params)
        kind = f"{config.env}{config.data}{config.curriculum.stages}"
        if kind not in seen:
            seen.add(kind)
            if level and config.data.path is None and level not in (levels := evaluated_levels(config)):
                raise UserError(
                    f"metric {space.file.metric} is of level {level}, which no stage of the curriculum has "
                    f"and data.eval_levels does not name (there are {', '.join(levels)}): choose one of "
                    "these, or eval/solved"
                )
            data = build_data(config)
            data.source.close()
            notes += [note for note in data.notes if note not in notes]
    return notes


def seconds_an_update(config: Config, threads: int) -> float:
    """Time of an update in this process, measured with few slots and scaled to all of them."""
    use_threads(threads)
    slots = config.train.global_batch_size
    times = []
    with small_learner(config, slots) as (learner, tried):
        learner.update()
        for _ in range(TIMED_UPDATES):
            began = time.perf_counter()
            learner.update()
            times.append(time.perf_counter() - began)
    return float(np.median(times)) * slots / tried


def dry_run(
    space: Space, content: str, seed: int, num_samples: int | None, resources: Resources, machine: Machine
) -> None:
    """Print the space, the first samples, the plan and the time it would take. content: the sweep as YAML."""
    total = number_of_trials(space, num_samples)
    samples = first_samples(space, seed, total)
    check_data(space, samples)
    print(content)
    print("first trials")
    for index, params in enumerate(samples):
        print(f"  t{index:04d}  " + "  ".join(f"{name}={value}" for name, value in params.items()))
    if len(samples) < total:
        print(f"  ... {total - len(samples)} more")
    each = seconds_an_update(space.configure(samples[0]), resources.group.threads)
    updates = space.file.budget.max_updates
    at_once = min(resources.concurrent, total)
    print(f"\ntrials     {resources.describe(total, machine)}")
    print(f"update     {each * 1000:.0f} ms in the first trial, on one process of this machine")
    print(
        f"time       at most about {duration(each * updates * total / at_once)} for updates: {total} trials "
        f"of {updates} updates, {at_once} at once; early stopping saves some of it, evaluation adds some"
    )
    print("dry run    done; no Ray was started, no folder written")
