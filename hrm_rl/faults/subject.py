"""The run that faults strike, and what has to be true of it afterwards."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hrm_rl.faults.commands import LONGEST, Commands, Running
from hrm_rl.runs.folder import RunFolder, read_metrics
from hrm_rl.runs.selection import checkpoints, damage

UPDATES = 40
SETTINGS = (
    "--preset", "sudoku4-quick", "--train.device", "cpu",
    "--model.hidden-size", "16", "--model.num-heads", "2", "--model.swiglu-multiple", "16",
    "--halting.halt-max-steps", "4", "--train.global-batch-size", "8", "--data.eval-puzzles", "16",
    "--optim.ema-decay", "0.9", "--optim.warmup-updates", "0", "--optim.lr-min-ratio", "1",
    "--train.max-updates", str(UPDATES), "--train.log-every", "2",
    "--train.eval-every", "10", "--train.checkpoint-every", "5",
    "--curriculum.stages", "easy=1", "easy=1,medium=1", "--curriculum.threshold", "0",
    "--curriculum.min-updates", "15", "--curriculum.min-episodes", "1", "--curriculum.window", "4",
)  # fmt: skip
"""4x4 Sudoku, 16 numbers wide; two stages, of which the second begins in the middle."""
TIMES = ("perf/",)
"""Values of metrics.jsonl that differ between any two runs."""


class Subject:
    """A tiny run, in a folder of runs."""

    def __init__(self, commands: Commands, runs: Path, settings: Sequence[str] = SETTINGS, workers: int = 0):
        """workers: of Ray; 0 trains without it."""
        self.commands = commands
        self.runs = runs
        self.settings = tuple(settings)
        self.workers = workers

    def folder(self, name: str) -> RunFolder:
        return RunFolder(self.runs / name)

    def command(self, name: str) -> list[str]:
        """What starts the run, or resumes it if it has begun."""
        where = f"train --num-workers {self.workers} --cpus-per-worker 1 --run-name {name}".split()
        where += ["--storage-path", str(self.runs)]
        return [*where, "--resume"] if self.folder(name).config.exists() else [*where, *self.settings]

    def start(self, name: str) -> Running:
        return self.commands.start(self.command(name))

    def finish(self, name: str, seconds: float = LONGEST) -> Running:
        """Start or resume the run, and let it end."""
        return self.commands.run(self.command(name), seconds)


def differences(run: RunFolder, whole: RunFolder) -> list[str]:
    """Where a run that was struck differs from one that was not: weights, optimisers and slots of its last
    checkpoint, bit for bit; stage and counts; what was recorded."""
    found = []
    mine, theirs = checkpoints(run.checkpoints), checkpoints(whole.checkpoints)
    newer = all(one.name >= other.name for one, other in zip(mine, theirs, strict=False))
    if len(mine) != len(theirs) or not newer:  # a run that is asked to stop makes one more, and keeps that
        found.append(f"checkpoints are {[p.name for p in mine]}, not {[p.name for p in theirs]}")
    if not mine or mine[0].name != theirs[0].name:
        return [*found, "the last checkpoint is another one"]
    found += [f"{p.name}: {said}" for p in mine if (said := damage(p)) is not None]
    for file in sorted(theirs[0].glob("*.safetensors")):
        if (mine[0] / file.name).read_bytes() != file.read_bytes():
            found.append(f"{file.name} differs")
    one, other = (json.loads((path / "state.json").read_text()) for path in (mine[0], theirs[0]))
    found += [
        f"{key} of state.json differs"
        for key in ("update", "stage", "curriculum", "score")
        if one[key] != other[key]
    ]
    found += _records(run, whole)
    left = [p.name for p in run.checkpoints.iterdir() if p.name.startswith(".")]
    return found + ([f"left behind: {', '.join(left)}"] if left else [])


def _records(run: RunFolder, whole: RunFolder) -> list[str]:
    def comparable(folder: RunFolder) -> list[dict[str, object]]:
        return [
            {tag: value for tag, value in record.items() if not tag.startswith(TIMES)}
            for record in read_metrics(folder.metrics)
        ]

    found = [] if comparable(run) == comparable(whole) else ["metrics.jsonl differs"]
    return found + [f"TensorBoard has {tag} of update {step} {n} times" for (tag, step), n in repeated(run)]


def repeated(run: RunFolder) -> list[tuple[tuple[str, int], int]]:
    """Values that TensorBoard would show more than once, with their tag, update and count."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of every resume
    events = EventAccumulator(str(run.tensorboard), size_guidance={"scalars": 0})
    events.Reload()
    counts = Counter((tag, event.step) for tag in events.Tags()["scalars"] for event in events.Scalars(tag))
    return [(key, n) for key, n in counts.items() if n > 1][:3]
