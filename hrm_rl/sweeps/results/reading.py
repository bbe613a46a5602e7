"""A sweep's folder, read: its settings, its trials, and what each has reached so far.

    SWEEP/sweep.yaml              the space as it was given, base preset, metric, mode, budget, swept settings
    SWEEP/trials/ID/trial.json    the trial's settings and how it fares
    SWEEP/trials/ID/              else a run folder like those of scripts/train_ray.py

The sweep may still run, or may have broken: what is missing or damaged is left out and named in `notes`.
Nothing is written here; hrm_rl/sweeps/results/report.py draws the conclusions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from hrm_rl.config import flatten
from hrm_rl.runs.folder import read_metrics
from hrm_rl.utils.errors import UserError

Kind = TypeVar("Kind")
STATUSES = ("running", "paused", "stopped", "finished", "failed")
UNKNOWN = "unknown"
"""Status of a trial without a readable trial.json."""


@dataclass(frozen=True)
class Evaluation:
    """One point of a learning curve."""

    update: int
    value: float
    """The sweep's metric."""
    cost: float | None
    """The sweep's cost, by default the mean number of segments; None if it was not recorded."""


@dataclass(frozen=True)
class Change:
    """Settings that hold from an update on (population-based training changes them)."""

    update: int
    params: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One run of a sweep."""

    id: str
    folder: Path
    params: dict[str, Any]
    """Swept settings as `section.field: value`; conditional ones may be absent."""
    status: str
    """One of STATUSES, or UNKNOWN."""
    error: str | None = None
    attempts: int = 1
    started: float | None = None
    """Seconds since 1970."""
    seconds: float = 0.0
    train_seconds: float = 0.0
    """Of `seconds`, those spent in updates."""
    updates: int = 0
    history: tuple[Change, ...] = ()
    source: str | None = None
    """The trial whose checkpoint this one went on from last (population-based training)."""
    curve: tuple[Evaluation, ...] = ()
    """Evaluations in the order of their updates."""
    best: Evaluation | None = None
    """The trial's score: its best evaluation by the sweep's metric, the earliest of equals. Not the last:
    trials end at different updates, and a checkpoint of the best evaluation by eval/solved is kept. The best
    of many noisy evaluations flatters somewhat, and more so the more there were."""

    def params_at(self, update: int) -> dict[str, Any]:
        """The settings in force when `update` was made: those of the last change before it."""
        held = [change for change in self.history if change.update < update]
        return held[-1].params if held else self.history[0].params if self.history else self.params

    @property
    def scored_params(self) -> dict[str, Any]:
        """The settings that the score was reached with; the present ones if there is none yet."""
        return self.params_at(self.best.update) if self.best else self.params


@dataclass(frozen=True)
class Sweep:
    """Trials of one search space."""

    folder: Path
    space: dict[str, Any]
    """The sweep's file as it was given."""
    file: str
    base: str
    """Preset that every trial starts from."""
    metric: str
    """Tag of metrics.jsonl, for example eval/solved."""
    mode: Literal["max", "min"]
    """Whether more or less of the metric is better."""
    cost: str
    """Tag of metrics.jsonl that the metric is traded against, for example
    eval/segments_mean; less is better."""
    seed: int
    num_samples: int
    max_updates: int | None
    parameters: tuple[str, ...]
    """Swept settings, `section.field`."""
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = field(default=())
    """What could not be read, a line each."""

    @property
    def ranked(self) -> list[Trial]:
        """Best first; of equals the one that costs less, then the older; trials without
        a score at the end."""

        def order(trial: Trial) -> tuple[float, float, str]:
            if trial.best is None:
                return math.inf, math.inf, trial.id
            cost = math.inf if trial.best.cost is None else trial.best.cost
            return -self.gain(trial.best.value), cost, trial.id

        return sorted(self.trials, key=order)

    @property
    def best(self) -> Trial | None:
        ranked = self.ranked
        return ranked[0] if ranked and ranked[0].best else None

    @property
    def front(self) -> list[Trial]:
        """The trials of the Pareto front, cheapest first: no other is as good and as
        cheap and better in one."""
        points = [
            (trial, self.gain(trial.best.value), trial.best.cost)
            for trial in self.trials
            if trial.best and trial.best.cost is not None
        ]
        kept = pareto_front([(gain, cost) for _, gain, cost in points])
        members = [points[i] for i in kept]
        return [trial for trial, _, _ in sorted(members, key=lambda point: (point[2], point[1], point[0].id))]

    def gain(self, value: float) -> float:
        """The metric turned so that more is better."""
        return value if self.mode == "max" else -value


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (gain, cost) that no other dominates: one at least as good in both and better in one."""
    return [
        i
        for i, (gain, cost) in enumerate(points)
        if not any(g >= gain and c <= cost and (g, c) != (gain, cost) for g, c in points)
    ]


def read_sweep(path: Path) -> Sweep:
    """The sweep in folder `path`. Raises UserError if it is none."""
    file = path / "sweep.yaml"
    try:
        record = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path} is no sweep: it holds no sweep.yaml; name the folder that tune_ray.py wrote"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(record, dict) or not isinstance(record.get("metric"), str):
        raise UserError(f"{file} describes no sweep: it names no metric")
    mode: Literal["max", "min"] = "min" if record.get("mode") == "min" else "max"
    metric, cost = record["metric"], _get(record, "cost", str, "eval/segments_mean")
    parameters = tuple(str(name) for name in _get(record, "parameters", list, []))
    notes: list[str] = []
    trials = [
        _read_trial(folder, metric, mode, cost, parameters, notes) for folder in _folders(path / "trials")
    ]
    if not trials:
        notes.append(f"{path.name}: no trial has started yet")
    return Sweep(
        folder=path,
        space=_get(record, "space", dict, {}),
        file=_get(record, "file", str, ""),
        base=_get(record, "base", str, ""),
        metric=metric,
        mode=mode,
        cost=cost,
        seed=_get(record, "seed", int, 0),
        num_samples=_get(record, "num_samples", int, len(trials)),
        max_updates=_get(record, "max_updates", int, None),
        parameters=parameters or tuple(dict.fromkeys(name for trial in trials for name in trial.params)),
        trials=tuple(trials),
        notes=tuple(notes),
    )


def _folders(path: Path) -> list[Path]:
    return (
        sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
        if path.is_dir()
        else []
    )


def _read_trial(
    folder: Path,
    metric: str,
    mode: Literal["max", "min"],
    cost: str,
    parameters: Iterable[str],
    notes: list[str],
) -> Trial:
    record = _read_record(folder, parameters, notes)
    try:
        curve = read_curve(folder / "metrics.jsonl", metric, cost)
    except FileNotFoundError:
        curve = ()  # no update has been logged yet
    except (OSError, ValueError) as error:
        notes.append(f"{folder.name}: metrics.jsonl cannot be read ({_one_line(error)})")
        curve = ()
    choose = max if mode == "max" else min
    status = _get(record, "status", str, UNKNOWN)
    history = [_change(entry) for entry in _get(record, "history", list, [])]
    return Trial(
        id=folder.name,
        folder=folder,
        params=_get(record, "params", dict, {}),
        status=status if status in STATUSES else UNKNOWN,
        error=_get(record, "error", str, None),
        attempts=_get(record, "attempts", int, 1),
        started=_get(record, "started", float, None),
        seconds=_get(record, "seconds", float, 0.0),
        train_seconds=_get(record, "train_seconds", float, 0.0),
        updates=_get(record, "updates", int, curve[-1].update if curve else 0),
        history=tuple(sorted((c for c in history if c is not None), key=lambda change: change.update)),
        source=_get(record, "from", str, None),
        curve=curve,
        best=choose(curve, key=lambda evaluation: evaluation.value, default=None),
    )


def _read_record(folder: Path, parameters: Iterable[str], notes: list[str]) -> dict[str, Any]:
    """trial.json; where it is missing or damaged, the swept settings out of config.yaml."""
    try:
        record = json.loads((folder / "trial.json").read_text())
        if isinstance(record, dict):
            return record
        notes.append(f"{folder.name}: trial.json holds no trial; its status is unknown")
    except (OSError, ValueError) as error:
        notes.append(f"{folder.name}: trial.json cannot be read ({_one_line(error)}); its status is unknown")
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    settings = flatten(config) if isinstance(config, dict) else {}
    return {"params": {name: settings[name] for name in parameters if name in settings}}


def read_curve(path: Path, metric: str, cost: str) -> tuple[Evaluation, ...]:
    """The evaluations in a metrics.jsonl. A file that has not changed is not read again, so that a running
    sweep can be looked at every few seconds. Raises OSError; ValueError if it is no text."""
    stat = path.stat()
    return _read_curve(path, metric, cost, (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=4096)
def _read_curve(path: Path, metric: str, cost: str, stamp: tuple[int, int]) -> tuple[Evaluation, ...]:
    found: dict[int, Evaluation] = {}
    for record in read_metrics(path):
        if not isinstance(record, dict):
            continue
        update, value = _get(record, "update", int, None), _get(record, metric, float, None)
        if update is not None and value is not None:
            found[update] = Evaluation(update, value, _get(record, cost, float, None))
    return tuple(found[update] for update in sorted(found))


def _change(entry: Any) -> Change | None:
    if not isinstance(entry, Mapping):
        return None
    update, params = _get(entry, "update", int, None), _get(entry, "params", dict, None)
    return None if update is None or params is None else Change(update, params)


def _get(record: Mapping[str, Any], key: str, kind: type[Kind], default: Any) -> Any:
    """`record[key]` if it is of that kind, else `default`; a whole number is a float
    too, no float is infinite."""
    value = record.get(key)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else default
    return value if isinstance(value, kind) and not isinstance(value, bool) else default


def _one_line(error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split())[:120]
