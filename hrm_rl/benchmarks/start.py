"""Where the time goes before the first update of a run and after its last: whole runs of `hrm-rl train`,
timed from outside by the lines that they print, and imports in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from envs.cores import usable_cpus
from hrm_rl.benchmarks.measure import Aim
from hrm_rl.utils.errors import UserError

UPDATES = 40
COMMAND = (
    *(sys.executable, "-m", "hrm_rl.cli.main", "train", "--preset", "sudoku4-quick"),
    *("--max-updates", str(UPDATES), "--train.log-every", "1", "--train.device", "cpu"),
)
MARKS = {
    "plan": "  parameters ",
    "ray": "starting 2 workers",
    "workers_up": "2 workers up",
    "first_update": f"update 1/{UPDATES} ",
    "evaluated": f"update {UPDATES}: held-out",
    "finished": f"finished at update {UPDATES} of",
}
"""How the line begins that is printed when a phase is over; the second and the third with Ray alone."""
IMPORTS = ("hrm_rl.cli.train", "torch", "numba", "hrm_rl.training.loop", "ray", "ray.train")
"""In this order; what one of them takes is what those before it have not imported yet."""
ROUNDS = 2
"""Runs of each kind, the one of which counts that was over first."""
MOST = {0: (3.0, 1.0), 2: (10.0, 3.0)}
"""Seconds to the first update, and from the last evaluation to the end, by Ray workers."""
MOST_SILENT = 3.0


def time_start() -> dict[str, Any]:
    """Seconds at which a run without Ray and one with two workers are where, and of the imports."""
    kinds = [workers for workers in MOST if workers <= usable_cpus()]
    runs: dict[int, list[dict[str, float]]] = {workers: [] for workers in kinds}
    with TemporaryDirectory() as folder:
        for turn in range(ROUNDS):
            for workers, found in runs.items():
                found.append(phases(watched(workers, Path(folder) / f"{workers}-{turn}")))
    return {"imports": imports()} | judged({n: min(found, key=ended) for n, found in runs.items()})


def ended(run: dict[str, float]) -> float:
    return run["prompt"]


def judged(runs: dict[int, dict[str, float]]) -> dict[str, Any]:
    """The table of the runs, by Ray workers, and whether they reach the aims."""
    aims = []
    for workers, run in runs.items():
        first, end = MOST[workers]
        who = f"{workers} Ray workers" if workers else "no Ray"
        after = run["prompt"] - run["evaluated"]
        aims += [
            Aim(f"{who}: seconds to the first update", run["first_update"], most=first, form=".1f"),
            Aim(f"{who}: seconds from the last evaluation to the end", after, most=end, form=".1f"),
            Aim(f"{who}: seconds of silence at most", run["silent"], most=MOST_SILENT, form=".1f"),
        ]
    return {"runs": [{"workers": workers, **run} for workers, run in runs.items()], "aims": aims}


def phases(lines: Sequence[tuple[float, str]]) -> dict[str, float]:
    """When each phase was over, and the longest silence at the start or the end, from the lines of a run with
    their times. The last one is the end of the process. Raises UserError if a line is missing."""
    at: dict[str, float] = {}
    for name, begin in MARKS.items():
        found = [seconds for seconds, line in lines if line.startswith(begin)]
        if found:
            at[name] = found[0]
    if "first_update" not in at or "finished" not in at:
        said = [line for _, line in lines if line.strip()] or ["it said nothing"]
        raise UserError(f"part start: a run did not come to its end: {said[-1]}")
    times = [0.0, *(seconds for seconds, _ in lines)]
    gaps = [
        after - before
        for before, after in pairwise(times)
        if after <= at["first_update"] or before >= at["evaluated"]
    ]
    return at | {"prompt": times[-1], "silent": max(gaps)}


def watched(workers: int, folder: Path) -> list[tuple[float, str]]:
    """The lines of a run, each with the seconds since its command was given; the last one is its end."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONUNBUFFERED"] = "1"
    command = [*COMMAND, "--num-workers", str(workers), "--storage-path", str(folder)]
    began = time.monotonic()
    both = subprocess.STDOUT
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=both, text=True) as run:
        lines = list(_timed(run, began))
    return [*lines, (time.monotonic() - began, "")]


def _timed(run: subprocess.Popen[str], began: float) -> Iterator[tuple[float, str]]:
    assert run.stdout is not None
    for line in run.stdout:
        yield time.monotonic() - began, line.rstrip("\n")


def imports() -> dict[str, float]:
    """Seconds that a fresh process takes to start and to import IMPORTS."""
    code = f"""
import importlib, json, time
took = {{}}
for name in {IMPORTS!r}:
    began = time.perf_counter()
    importlib.import_module(name)
    took[name] = time.perf_counter() - began
print(json.dumps(took))"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"python": time.monotonic() - began - sum(took.values())} | took
