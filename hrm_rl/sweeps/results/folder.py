"""The folder of a sweep, and the name of everything in it.

sweeps/NAME/
    sweep.yaml        the sweep's file as it was given, seed, number of trials, swept settings
    lock              which process runs the sweep, while one does
    trials/ID/        a run's folder (hrm_rl/runs/folder.py), and in it
        trial.json    the trial's settings and how it fares
    results.csv       a row for each trial, best first
    best.yaml         the whole configuration of the best, for train_ray.py --config
    pictures/         front.png, importance.png, slices.png, curves.png
    tensorboard/ID/   settings and score of each trial
    error.log         the traceback of an unexpected error
    stop-requested    while the sweep is asked to stop
    tune/             Ray Tune's own files; where it expects a checkpoint there is a pointer.json
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hrm_rl.runs.folder import RunFolder

POINTER = "pointer.json"
"""All that a checkpoint of Tune's holds: which checkpoint of which trial is meant."""


@dataclass(frozen=True)
class SweepFolder:
    """The names in a sweep's folder. It need not exist."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def file(self) -> Path:
        return self.path / "sweep.yaml"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def results(self) -> Path:
        return self.path / "results.csv"

    @property
    def best(self) -> Path:
        return self.path / "best.yaml"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def error_log(self) -> Path:
        return self.path / "error.log"

    @property
    def stop_request(self) -> Path:
        return self.path / "stop-requested"

    @property
    def tune(self) -> Path:
        return self.path / "tune"

    def trial(self, id: str) -> RunFolder:
        """The folder of a trial, which is that of a run."""
        return RunFolder(self.trials / id)

    def record(self, id: str) -> Path:
        """The trial.json of a trial."""
        return self.trials / id / "trial.json"

    def trial_ids(self) -> list[str]:
        """The trials that have a folder, in order."""
        if not self.trials.is_dir():
            return []
        return sorted(p.name for p in self.trials.iterdir() if p.is_dir() and not p.name.startswith("."))
