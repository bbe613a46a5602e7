"""Running the steps of the kit within one limit, writing down what each has found as it ends.

Phases follow each other. The lanes of a phase run side by side, the steps of a lane one after the other: what
is timed has the machine for itself, the rest does not wait for each other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Event, Lock

from hrm_rl.benchmarks.gpu.report import report
from hrm_rl.benchmarks.gpu.running import GpuOutcome, GpuStep, not_run, run
from hrm_rl.utils.files import write_atomically

Lane = Sequence[GpuStep]
Phase = Sequence[Lane]
RESULTS, REPORT, LOGS = "results.jsonl", "report.md", "logs"
LEAST = 5.0
"""Seconds below which a step is not begun."""


def run_kit(
    phases: Sequence[Phase], out: Path, limit: float, title: str, say: Callable[[str], None]
) -> list[GpuOutcome]:
    """Run all steps, in at most `limit` seconds. In `out`, a folder that is there, are then results.jsonl, a
    line a step in the order in which they ended, report.md, and logs/ with what each has said."""
    (out / LOGS).mkdir()
    ends = time.monotonic() + limit
    outcomes: list[GpuOutcome] = []
    writing, stop = Lock(), Event()

    def keep(outcome: GpuOutcome) -> None:
        with writing:
            outcomes.append(outcome)
            with (out / RESULTS).open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
            write_atomically(out / REPORT, report(title, outcomes, limit))
            told = f" ({outcome.why})" if outcome.why else ""
            say(f"{limit - ends + time.monotonic():4.0f} s  {outcome.step}: {outcome.status}{told}")

    def one_by_one(lane: Lane, later: float) -> None:
        for i, step in enumerate(lane):
            if stop.is_set():
                return
            left = ends - time.monotonic() - later - sum(after.reserved for after in lane[i + 1 :])
            if left < min(step.limit, LEAST):
                keep(not_run(step, "no time was left"))
            else:
                keep(run(step, out / LOGS / f"{step.name}.txt", min(step.limit, left), stop))

    for i, phase in enumerate(phases):
        later = sum(step.reserved for after in phases[i + 1 :] for lane in after for step in lane)
        with ThreadPoolExecutor(len(phase)) as lanes:
            try:
                for ended in [lanes.submit(one_by_one, lane, later) for lane in phase]:
                    ended.result()
            except BaseException:
                stop.set()
                raise
    return outcomes
