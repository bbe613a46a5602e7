"""A sweep's folder, written: sweep.yaml once, and trial.json of each trial as it fares
(folder.py reads them).

Whoever drives the sweep is the only one that writes these; a trial itself writes the rest of its run folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from hrm_rl.sweeps.file import COST
from hrm_rl.sweeps.space import Params, Space
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically

TRIALS = "trials"
"""Folder of the trials, in that of the sweep."""
SWEEP_FILE = "sweep.yaml"
TRIAL_FILE = "trial.json"
OVER = ("stopped", "finished", "failed")
"""Statuses of trials that a resumed sweep leaves alone."""


@dataclass(frozen=True)
class Record:
    """trial.json."""

    id: str
    params: Params
    status: str = "paused"
    """running; paused: to be gone on with; stopped: by the scheduler; finished; failed."""
    error: str | None = None
    attempts: int = 1
    started: float | None = None
    """Seconds since 1970."""
    seconds: float = 0.0
    """Spent in the trial, up to its last report."""
    train_seconds: float = 0.0
    """Of these, spent in updates."""
    updates: int = 0
    history: tuple[dict[str, Any], ...] = ()
    """`{"update": ..., "params": ...}`: the params from that update on, if they were changed in mid-run."""
    source: str | None = None
    """The trial from whose checkpoint this one went on last."""

    @property
    def over(self) -> bool:
        return self.status in OVER

    def to_json(self) -> str:
        values = {k: getattr(self, k) for k in self.__dataclass_fields__ if k != "source"}
        return json.dumps(values | {"from": self.source}, indent=1)

    @staticmethod
    def from_json(text: str) -> Record:
        values = json.loads(text)
        values["source"] = values.pop("from", None)
        values["history"] = tuple(values.get("history", ()))
        return Record(**{k: v for k, v in values.items() if k in Record.__dataclass_fields__})


def trial_id(index: int) -> str:
    return f"t{index:04d}"


@dataclass
class Book:
    """The trials of a sweep, in memory and in its folder."""

    folder: Path
    records: dict[str, Record] = field(default_factory=dict)

    @staticmethod
    def open(folder: Path) -> Book:
        """The book of a sweep that has begun. A trial whose trial.json is damaged counts as paused, with the
        params of its number unknown: it raises UserError."""
        book = Book(folder)
        for path in sorted((folder / TRIALS).glob(f"*/{TRIAL_FILE}")):
            try:
                record = Record.from_json(path.read_text())
            except (OSError, ValueError, TypeError) as error:
                raise UserError(
                    f"{path} cannot be read ({error}); delete the folder {path.parent} to run this trial "
                    "again"
                ) from None
            book.records[record.id] = record
        return book

    def trial_folder(self, id: str) -> Path:
        return self.folder / TRIALS / id

    def begin(self, id: str, params: Params, space: Space) -> None:
        """Make the folder of a new trial, which waits for its turn."""
        folder = self.trial_folder(id)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "config.yaml", space.configure(params).to_yaml())
        self.records[id] = Record(id, params)
        self._write(id)

    def note(self, id: str, **changes: Any) -> None:
        """Change a trial's record, here and on disk."""
        record = replace(self.records[id], **changes)
        if record != self.records[id]:
            self.records[id] = record
            self._write(id)

    def change_params(self, id: str, params: Params, update: int, source: str | None) -> None:
        """Note that a trial goes on from `update` of trial `source` with other params."""
        record = self.records[id]
        before = record.history or ({"update": 0, "params": record.params},)
        history = (
            *(h for h in before if h["update"] < update or not h["update"]),
            {"update": update, "params": params},
        )
        self.note(id, params=params, history=history, source=source)

    def _write(self, id: str) -> None:
        write_atomically(self.trial_folder(id) / TRIAL_FILE, self.records[id].to_json())


def write_sweep(
    folder: Path, content: dict[str, Any], file: str, space: Space, seed: int, trials: int
) -> None:
    """Make the sweep's folder and sweep.yaml. Raises UserError if the disk refuses."""
    record = {
        "space": content,
        "file": file,
        "base": space.file.base,
        "metric": space.file.metric,
        "mode": space.file.mode,
        "cost": COST,
        "seed": seed,
        "num_samples": trials,
        "max_updates": space.file.budget.max_updates,
        "parameters": list(space.dimensions),
    }
    try:
        (folder / TRIALS).mkdir(parents=True, exist_ok=True)
        write_atomically(folder / SWEEP_FILE, yaml.safe_dump(record, sort_keys=False))
    except OSError as error:
        raise UserError(f"cannot write the sweep's folder {folder}: {error.strerror}") from None
