"""What Ray costs and what a second worker gives: whole runs of `hrm-rl train`, timed from outside.

Kinds of run take turns: in one process without Ray, with one Ray worker, with two, and two runs without Ray
side by side, which know nothing of each other: what these give over one is what the machine has to give. Each
worker has one thread and the same number of slots. A run's telemetry has records with the time of day; the
slots of the updates between two records over the time between them is the rate of the whole loop, with what
workers tell each other and the log.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from envs.cores import usable_cpus
from hrm_rl.benchmarks.measure import Aim
from hrm_rl.runs.folder import RunFolder
from hrm_rl.utils.errors import UserError

COMMAND = (sys.executable, "-m", "hrm_rl.cli.main", "train")
WORKERS = (0, 1, 2)
"""Ray workers of the runs; 0 is a run without Ray."""
SLOTS = 32
"""Slots of each worker."""
FLAGS = "--preset sudoku9-cpu --cpus-per-worker 1 --train.device cpu --data.eval-puzzles 8"
EVERY = 5
"""Updates from record to record."""
UPDATES, SKIPPED = 60, 10
"""Updates of a run, and those at its beginning that do not count."""
ROUNDS = 2
"""Runs of each kind, the best of which counts."""
LEAST_SCALING, MOST_OVERHEAD, MOST_SECONDS = 1.8, 0.03, 15.0


@dataclass(frozen=True)
class Pace:
    """How fast a run was."""

    first_update_s: float
    """From the command to the first update: to the first record, less the time of the updates before it."""
    segments_per_s: float
    """By the clock, over all workers: median of the updates that count."""
    segments_per_s_in_updates: float
    """The same as the run itself logs it, without what is between two updates."""


def time_ray() -> dict[str, Any]:
    """Segments a second by number of workers, how two workers scale, what Ray costs one,
    and seconds until the first update."""
    cores = usable_cpus()
    paces: dict[int, list[Pace]] = {workers: [] for workers in WORKERS if workers <= cores}
    strangers: list[float] = []
    with TemporaryDirectory() as folder:
        for turn in range(ROUNDS):
            for workers, found in paces.items():
                found += _train([workers], Path(folder) / f"workers-{workers}-{turn}")
            if 2 in paces:
                both = _train([0, 0], Path(folder) / f"strangers-{turn}")
                strangers.append(sum(pace.segments_per_s for pace in both))
    note = {} if cores >= max(WORKERS) else {"not_run": f"two workers need 2 cores, this machine has {cores}"}
    fastest = {workers: best(found) for workers, found in paces.items()}
    return note | compare(fastest, max(strangers, default=None))


def compare(paces: dict[int, Pace], strangers: float | None = None) -> dict[str, Any]:
    """The runs' table, with what two workers give over one and what one Ray worker costs.

    strangers: segments a second of two runs without Ray side by side.
    """
    found: dict[str, Any] = {"runs": [{"workers": n, **vars(pace)} for n, pace in paces.items()]}
    overhead = paces[0].segments_per_s / paces[1].segments_per_s - 1
    found["overhead"] = overhead
    found["aims"] = [Aim("one Ray worker: overhead over no Ray", overhead, most=MOST_OVERHEAD)]
    if 2 in paces:
        found["scaling"] = scaling = paces[2].segments_per_s / paces[1].segments_per_s
        if strangers is not None:
            found["scaling_of_two_runs_without_ray"] = strangers / paces[0].segments_per_s
        found["aims"] += [
            Aim("two Ray workers: segments/s over one", scaling, least=LEAST_SCALING, form=".2f"),
            Aim(
                "two Ray workers: seconds to the first update",
                paces[2].first_update_s,
                most=MOST_SECONDS,
                form=".1f",
            ),
        ]
    return found


def best(paces: Sequence[Pace]) -> Pace:
    """The best of each number."""
    return Pace(
        min(pace.first_update_s for pace in paces),
        max(pace.segments_per_s for pace in paces),
        max(pace.segments_per_s_in_updates for pace in paces),
    )


def _train(workers: Sequence[int], folder: Path) -> list[Pace]:
    """The paces of runs side by side, one for each number of workers."""
    # Ray's workers are as urgent as a run without Ray, and no cluster of the user's is joined.
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["RAY_worker_niceness"] = "0"
    started = time.time()
    runs = []
    for i, count in enumerate(workers):
        command = [
            *(*COMMAND, *FLAGS.split()),
            *("--num-workers", str(count), "--train.global-batch-size", str(SLOTS * max(1, count))),
            *("--max-updates", str(UPDATES), "--train.log-every", str(EVERY)),
            *("--storage-path", str(folder), "--run-name", str(i)),
        ]
        pipe = subprocess.PIPE
        runs.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
    try:
        outputs = [run.communicate() for run in runs]
    except BaseException:
        for run in runs:
            run.terminate()
        raise
    for run, count, (told, wrong) in zip(runs, workers, outputs, strict=True):
        if run.returncode:
            said = (wrong or told).strip().splitlines() or ["it said nothing"]
            raise UserError(f"part ray: the run with {count} Ray workers failed: {said[-1]}")
    return [read_pace(folder / str(i), SLOTS * max(1, n), started) for i, n in enumerate(workers)]


def read_pace(run_dir: Path, slots: int, started: float) -> Pace:
    """The pace of a run that was started at the time of day `started`, from its telemetry."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # slow to import

    records = EventAccumulator(str(RunFolder(run_dir).tensorboard)).Reload().Scalars("perf/segments_per_s")
    times, skipped = [record.wall_time for record in records], SKIPPED // EVERY
    update_s = float(np.median(np.diff(times[skipped - 1 :]))) / EVERY
    return Pace(
        first_update_s=times[0] - started - (EVERY - 1) * update_s,
        segments_per_s=slots / update_s,
        segments_per_s_in_updates=float(np.median([record.value for record in records[skipped:]])),
    )
