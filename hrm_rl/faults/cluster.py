"""Faults that end one process of a run under Ray: a worker, the curriculum's actor, the driver."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

from hrm_rl.benchmarks.processes import descendants, title
from hrm_rl.faults.commands import Running, verdict
from hrm_rl.faults.kills import finished
from hrm_rl.faults.subject import Subject, differences
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.selection import checkpoints

VICTIMS = {
    "a Ray worker": "ray::RayTrainWorker",
    "the curriculum's actor": "ray::CurriculumActor",
    "the driver of a Ray run": None,
}
"""What is killed, by the beginning of its process's title; None for the command itself."""
LONGEST = 300.0
"""Seconds that a run under Ray may take."""


def killed_under_ray(subject: Subject, whole: RunFolder, victim: str, chance: random.Random) -> str | None:
    """Kill a process of a run that has a checkpoint. A run that loses a worker or the actor has to end as if
    nothing had been; one that loses its driver, after it was resumed."""
    folder = subject.folder(f"ray-{chance.randrange(10**9)}")
    running = subject.start(folder.name)
    if not running.until(lambda: bool(checkpoints(folder.checkpoints)), LONGEST, every=0.05):
        return verdict(running) or "it ended before it could be killed"
    running.until(lambda: False, chance.uniform(0, 0.5))
    beginning = VICTIMS[victim]
    if beginning is None:
        running.kill()
        return finished(subject, folder, whole, LONGEST)
    struck = kill_one(running, beginning, chance)
    if running.wait(LONGEST) != 0:
        return verdict(running) or f"exit {running.status}"
    if not struck:
        return f"there was no {beginning} to kill"
    return "; ".join(differences(folder, whole)) or None


def kill_one(running: Running, beginning: str, chance: random.Random) -> bool:
    """Kill one of the processes with this title that the command started."""
    found = [pid for pid in descendants(running.pid) if title(pid).startswith(beginning)]
    if found:
        os.kill(chance.choice(found), signal.SIGKILL)
    return bool(found)


SWEEP = """\
base: sudoku4-quick
metric: eval/cell_accuracy
scheduler: {name: none}
searcher: {name: grid}
budget: {max_updates: 40}
set:
  {model.hidden_size: 16, model.num_heads: 2, model.swiglu_multiple: 16, halting.halt_max_steps: 4,
   train.global_batch_size: 8, train.log_every: 2, train.eval_every: 10, train.checkpoint_every: 5,
   train.device: cpu, data.eval_puzzles: 16, optim.ema_decay: 0.9}
space:
  optim.lr: {dist: grid, values: [0.001, 0.002]}
"""
"""Two trials of runs like the others."""


def swept(subject: Subject, name: str) -> Running:
    """Start the sweep."""
    file = subject.runs / "sweep.yaml"
    file.write_text(SWEEP)
    where = f"tune --space {file} --sweep-name {name} --storage-path {subject.runs} --cpus-per-trial 1"
    return subject.commands.start([*where.split(), "--max-concurrent", "2"])


def killed_in_a_sweep(subject: Subject, whole: Path, chance: random.Random) -> str | None:
    """Kill a trial of a sweep once one has a checkpoint. It is tried again, and all have to end as those
    of a sweep that nothing happened to."""
    folder = subject.runs / f"swept-{chance.randrange(10**9)}"
    running = swept(subject, folder.name)
    if not running.until(lambda: any(folder.glob("trials/*/checkpoints/update-*")), LONGEST, every=0.05):
        return verdict(running) or "it ended before it could be killed"
    struck = kill_one(running, "ray::ImplicitFunc", chance)
    if running.wait(LONGEST) != 0:
        return verdict(running) or f"exit {running.status}"
    if not struck:
        return "there was no trial to kill"
    trials = sorted(path.name for path in whole.glob("trials/*"))
    found = [
        line
        for id in trials
        for line in differences(RunFolder(folder / "trials" / id), RunFolder(whole / "trials" / id))
    ]
    return "; ".join(found) or None
