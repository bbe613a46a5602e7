"""What a run of many updates costs more than a short one, but for the updates: coming back to it, and disk.

The run is a tiny one with a checkpoint and the records of so many updates, as a run would have written them:
their number and tags are real, their values are not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hrm_rl.benchmarks.measure import Aim
from hrm_rl.benchmarks.scaling.fitting import exponent
from hrm_rl.config import Config, get_preset
from hrm_rl.runs.folder import RunFolder
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.training.telemetry import Telemetry

UPDATES = (100, 1_000, 10_000, 100_000)
LAST = 20
"""Updates that are done."""
TIMES = 3
"""Returns that are timed, the fastest of which counts."""
MOST_LONGER = 1.5
"""Most time of coming back to the longest run, over that to the shortest."""


def time_length(updates: Sequence[int] = UPDATES) -> dict[str, Any]:
    """For runs of so many updates: ms from its folder to the next update, without imports; MB of
    metrics.jsonl, TensorBoard and checkpoints."""
    rows = []
    for count in updates:
        with TemporaryDirectory() as folder:
            rows.append(_row(count, Path(folder)))
    longer = rows[-1]["resume_ms"] / rows[0]["resume_ms"]
    told = f"a run of {updates[-1]:,} updates: time to resume over that of {updates[0]:,}"
    columns = ("resume_ms", "metrics_mb", "tensorboard_mb", "checkpoints_mb")
    powers = {name: exponent(updates, [row[name] for row in rows]) for name in columns}
    return {
        "rows": rows,
        "exponents": powers,
        "aims": [Aim(told, longer, most=MOST_LONGER, form=".2f")],
    }


def _row(updates: int, folder: Path) -> dict[str, Any]:
    config = _config(updates)
    _leave_records(config, folder, updates)
    run, taken = RunFolder(folder), float("inf")
    for _ in range(TIMES):
        started = time.perf_counter()
        trainer = Trainer(config, LocalWorker(config, folder, lambda line: None))
        taken = min(taken, time.perf_counter() - started)
        assert trainer.learner.updates == updates
        if trainer.telemetry is not None:
            trainer.telemetry.close()
        trainer.data.source.close()
    return {
        "updates": updates,
        "resume_ms": 1000 * taken,
        "metrics_mb": run.metrics.stat().st_size / 1e6,
        "tensorboard_mb": _size(run.tensorboard) / 1e6,
        "checkpoints_mb": _size(run.checkpoints) / 1e6,
    }


def _config(updates: int) -> Config:
    values = get_preset("sudoku4-quick").model_dump()
    values["data"]["eval_puzzles"] = 8
    values["train"] |= {"device": "cpu", "max_updates": updates, "global_batch_size": 4}
    values["train"] |= dict.fromkeys(("log_every", "eval_every", "checkpoint_every"), updates)
    return Config.model_validate(values)


def _leave_records(config: Config, folder: Path, updates: int) -> None:
    """A run's last updates, which make a checkpoint and show what a record holds, and records of those before
    them, one for every ten."""
    trainer = Trainer(config, LocalWorker(config, folder, lambda line: None))
    trainer.learner.updates = updates - LAST
    trainer.run()
    run = RunFolder(folder)
    record = next(r for r in run.read_metrics() if "perf/update_ms" in r)
    values = {tag: float(value or 0) for tag, value in record.items() if tag != "update"}
    last = run.metrics.read_text()
    run.metrics.unlink()
    telemetry = Telemetry(folder, config, 0)
    for update in range(10, updates - LAST, 10):
        telemetry.scalars(update, values)
    telemetry.close()
    with run.metrics.open("a") as file:
        file.write(last)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
