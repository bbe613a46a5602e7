"""What the driver of a sweep notes: sweep.yaml once, and trial.json of each trial as it fares.

Nobody else writes these two; a trial itself writes the rest of its run folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hrm_rl.runs.dependencies import PATHS, digests
from hrm_rl.sweeps.file import COST
from hrm_rl.sweeps.results.folder import SweepFolder
from hrm_rl.sweeps.space import Params, Space
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically

Kind = TypeVar("Kind")
STATUSES = ("running", "paused", "stopped", "finished", "failed")
UNKNOWN = "unknown"
"""Status of a trial whose trial.json tells none."""
OVER = ("stopped", "finished", "failed")
"""Statuses of trials that a resumed sweep leaves alone."""


@dataclass(frozen=True)
class Change:
    """Settings that hold from an update on (population-based training changes them)."""

    update: int
    params: Params


@dataclass(frozen=True)
class TrialRecord:
    """What is noted of a trial: its trial.json."""

    id: str
    """The name of its folder."""
    params: Params
    """Swept settings as `section.field: value`; conditional ones may be absent."""
    status: str = "paused"
    """running; paused: to be resumed; stopped: by the scheduler; finished; failed; or UNKNOWN."""
    error: str | None = None
    attempts: int = 1
    started: float | None = None
    """Seconds since 1970."""
    seconds: float = 0.0
    """Spent in the trial, up to its last report."""
    train_seconds: float = 0.0
    """Of `seconds`, those spent in updates."""
    updates: int = 0
    history: tuple[Change, ...] = ()
    """In the order of updates; empty as long as the settings have not changed."""
    source: str | None = None
    """The trial whose checkpoint this one last resumed from (population-based training); `from` in the
    file."""

    @property
    def over(self) -> bool:
        return self.status in OVER

    def params_at(self, update: int) -> Params:
        """The settings in force when `update` was made: those of the last change before it."""
        held = [change for change in self.history if change.update < update]
        return held[-1].params if held else self.history[0].params if self.history else self.params


def read_record(path: Path) -> TrialRecord:
    """The trial.json at `path`. A value of another kind than it should be counts as absent. Raises OSError;
    ValueError if the file holds no trial."""
    values = json.loads(path.read_text())
    if not isinstance(values, dict) or not isinstance(values.get("params"), dict):
        raise ValueError("it holds no trial")
    status = value_of(values, "status", str, UNKNOWN)
    changes = [_change(entry) for entry in value_of(values, "history", list, [])]
    return TrialRecord(
        id=path.parent.name,
        params=values["params"],
        status=status if status in STATUSES else UNKNOWN,
        error=value_of(values, "error", str, None),
        attempts=value_of(values, "attempts", int, 1),
        started=value_of(values, "started", float, None),
        seconds=value_of(values, "seconds", float, 0.0),
        train_seconds=value_of(values, "train_seconds", float, 0.0),
        updates=value_of(values, "updates", int, 0),
        history=tuple(sorted((c for c in changes if c is not None), key=lambda change: change.update)),
        source=value_of(values, "from", str, None),
    )


def _change(entry: Any) -> Change | None:
    if not isinstance(entry, Mapping):
        return None
    update, params = value_of(entry, "update", int, None), value_of(entry, "params", dict, None)
    return None if update is None or params is None else Change(update, params)


def value_of(values: Mapping[str, Any], key: str, kind: type[Kind], default: Any) -> Any:
    """`values[key]` if it is of that kind, else `default`; a whole number is a float too, no float is
    infinite."""
    value = values.get(key)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else default
    return value if isinstance(value, kind) and not isinstance(value, bool) else default


def trial_id(index: int) -> str:
    return f"t{index:04d}"


@dataclass
class Book:
    """The trials of a sweep, in memory and in its folder."""

    folder: SweepFolder
    records: dict[str, TrialRecord] = field(default_factory=dict)

    @staticmethod
    def open(path: Path) -> Book:
        """The book of the sweep in folder `path`. Raises UserError if a trial.json is damaged: its trial's
        settings are then unknown."""
        book = Book(SweepFolder(path))
        for id in book.folder.trial_ids():
            file = book.folder.record(id)
            try:
                book.records[id] = read_record(file)
            except FileNotFoundError:
                continue  # the trial has not begun, and will be begun again
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{file} cannot be read ({error}); to run this trial again, delete {file.parent}"
                ) from None
        return book

    def begin(self, id: str, params: Params, space: Space) -> None:
        """Make the folder of a new trial, which waits for its turn."""
        run = self.folder.trial(id)
        run.path.mkdir(parents=True, exist_ok=True)
        write_atomically(run.config, space.configure(params).to_yaml())
        self.records[id] = TrialRecord(id, params)
        self._write(id)

    def note(self, id: str, **changes: Any) -> None:
        """Change a trial's record, here and on disk."""
        record = replace(self.records[id], **changes)
        if record != self.records[id]:
            self.records[id] = record
            self._write(id)

    def change_params(self, id: str, params: Params, update: int, source: str | None) -> None:
        """Note that a trial resumes from `update` of trial `source` with other params."""
        record = self.records[id]
        before = record.history or (Change(0, record.params),)
        kept = [change for change in before if change.update < update or not change.update]
        self.note(id, params=params, history=(*kept, Change(update, params)), source=source)

    def _write(self, id: str) -> None:
        values = asdict(self.records[id])
        values["from"] = values.pop("source")
        write_atomically(self.folder.record(id), json.dumps(values, indent=1))


def digests_of(space: Space) -> dict[str, str]:
    """Of what all trials, or some, depend on by path."""
    found = digests(space.base)
    for name in PATHS:
        section, _, field = name.partition(".")
        dimension = space.dimensions.get(name)
        for value in (dimension.values if dimension else None) or []:
            part = getattr(space.base, section).model_copy(update={field: value})
            found |= digests(space.base.model_copy(update={section: part}))
    return found


def write_sweep(path: Path, content: dict[str, Any], file: str, space: Space, seed: int, trials: int) -> None:
    """Make the sweep's folder and sweep.yaml. Raises UserError if the disk refuses."""
    folder = SweepFolder(path)
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
        "digests": digests_of(space),
    }
    try:
        folder.trials.mkdir(parents=True, exist_ok=True)
        write_atomically(folder.file, yaml.safe_dump(record, sort_keys=False))
    except OSError as error:
        raise UserError(f"cannot write the sweep's folder {path}: {error.strerror}") from None
