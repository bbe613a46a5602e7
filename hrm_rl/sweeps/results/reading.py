"""A sweep as its folder tells: its settings, its trials, and what each has reached so far.

The sweep may still run, or may have broken: what is missing or damaged is left out and named in `notes`.
Nothing is written here; hrm_rl/sweeps/results/report.py draws the conclusions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from hrm_rl.config import flatten
from hrm_rl.runs.folder import RunFolder, parse_metrics
from hrm_rl.sweeps.file import COST
from hrm_rl.sweeps.results.folder import SweepFolder
from hrm_rl.sweeps.results.records import UNKNOWN, TrialRecord, read_record, value_of
from hrm_rl.sweeps.space import Params
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError, one_line
from hrm_rl.utils.files import read_yaml


@dataclass(frozen=True)
class CurvePoint:
    """One evaluation of a trial."""

    update: int
    value: float
    """The sweep's metric."""
    cost: float | None
    """The sweep's cost, by default the mean number of segments; None if it was not recorded."""


@dataclass(frozen=True)
class Trial(TrialRecord):
    """What is noted of a trial, and its learning curve."""

    curve: tuple[CurvePoint, ...] = ()
    """In the order of updates."""
    best: CurvePoint | None = None
    """The trial's score: its best evaluation by the sweep's metric, the earliest of equals. Not the last:
    trials end at different updates, and a checkpoint of the best evaluation by eval/solved is kept. The best
    of many noisy evaluations flatters somewhat, and more so the more there were."""

    @property
    def scored_params(self) -> Params:
        """The settings that the score was reached with; the present ones if there is none yet."""
        return self.params_at(self.best.update) if self.best else self.params


@dataclass(frozen=True)
class SweepResults:
    """Trials of one search space."""

    folder: SweepFolder
    content: dict[str, Any]
    """The sweep's file as it was given."""
    file: str
    """Its name."""
    metric: str
    """Tag of metrics.jsonl, for example eval/solved."""
    mode: Literal["max", "min"]
    """Whether more or less of the metric is better."""
    cost: str
    """Tag of metrics.jsonl that the metric is traded against, for example eval/segments_mean; less is
    better."""
    num_samples: int
    max_updates: int | None
    parameters: tuple[str, ...]
    """Swept settings, `section.field`."""
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = field(default=())
    """What could not be read, a line each."""

    @property
    def ranked(self) -> list[Trial]:
        """Best first; of equals the one that costs less, then the older; trials without a score at the
        end."""

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
        """The trials of the Pareto front, cheapest first: no other is as good and as cheap and better in
        one."""
        points = [
            (trial, self.gain(trial.best.value), trial.best.cost)
            for trial in self.trials
            if trial.best and trial.best.cost is not None
        ]
        kept = pareto_front([(gain, cost) for _, gain, cost in points])
        members = [points[i] for i in kept]
        return [trial for trial, _, _ in sorted(members, key=lambda point: (point[2], point[1], point[0].id))]

    def gain(self, value: float) -> float:
        """The metric, negated where less is better."""
        return value if self.mode == "max" else -value


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (gain, cost) that no other dominates: one at least as good in both and better in one."""
    return [
        i
        for i, (gain, cost) in enumerate(points)
        if not any(g >= gain and c <= cost and (g, c) != (gain, cost) for g, c in points)
    ]


def read_sweep(path: Path) -> SweepResults:
    """The sweep in folder `path`. Raises UserError if it is none."""
    folder = SweepFolder(path)
    if not folder.file.exists():
        raise UserError(
            f"{path} is no sweep: it holds no sweep.yaml; name a folder that {typed_command('tune')} wrote"
        )
    record = read_yaml(folder.file, "the sweep")
    if not isinstance(record, dict) or not isinstance(record.get("metric"), str):
        raise UserError(f"{folder.file} describes no sweep: it names no metric")
    mode: Literal["max", "min"] = "min" if record.get("mode") == "min" else "max"
    metric, cost = record["metric"], value_of(record, "cost", str, COST)
    parameters = tuple(str(name) for name in value_of(record, "parameters", list, []))
    notes: list[str] = []
    trials = []
    for id in folder.trial_ids():
        noted = _read_record(folder, id, parameters, notes)
        curve = _read_curve(folder.trial(id), metric, cost, notes)
        best = (max if mode == "max" else min)(curve, key=lambda point: point.value, default=None)
        updates = noted.updates or (curve[-1].update if curve else 0)
        trials.append(Trial(**(vars(noted) | {"updates": updates}), curve=curve, best=best))
    if not trials:
        notes.append(f"{path.name}: no trial has started yet")
    return SweepResults(
        folder=folder,
        content=value_of(record, "space", dict, {}),
        file=value_of(record, "file", str, ""),
        metric=metric,
        mode=mode,
        cost=cost,
        num_samples=value_of(record, "num_samples", int, len(trials)),
        max_updates=value_of(record, "max_updates", int, None),
        parameters=parameters or tuple(dict.fromkeys(name for trial in trials for name in trial.params)),
        trials=tuple(trials),
        notes=tuple(notes),
    )


def _read_record(folder: SweepFolder, id: str, parameters: Sequence[str], notes: list[str]) -> TrialRecord:
    """trial.json; where it is missing or damaged, the swept settings out of config.yaml."""
    try:
        return read_record(folder.record(id))
    except (OSError, ValueError) as error:
        notes.append(f"{id}: trial.json cannot be read ({_reason(error)}); its status is unknown")
    try:
        config = yaml.safe_load(folder.trial(id).config.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        config = None
    settings = flatten(config) if isinstance(config, dict) else {}
    return TrialRecord(id, {name: settings[name] for name in parameters if name in settings}, UNKNOWN)


def _read_curve(run: RunFolder, metric: str, cost: str, notes: list[str]) -> tuple[CurvePoint, ...]:
    """The evaluations in a trial's metrics.jsonl."""
    try:
        stat = run.metrics.stat()
        return _curve_of(run.metrics, metric, cost, (stat.st_mtime_ns, stat.st_size))
    except FileNotFoundError:
        return ()  # no update has been logged yet
    except (OSError, ValueError) as error:
        notes.append(f"{run.name}: metrics.jsonl cannot be read ({_reason(error)})")
        return ()


@lru_cache(maxsize=4096)
def _curve_of(path: Path, metric: str, cost: str, stamp: tuple[int, int]) -> tuple[CurvePoint, ...]:
    """A file whose stamp has not changed is not read again, so that a running sweep can be looked at every
    few seconds. Raises OSError; ValueError if it is no text."""
    found: dict[int, CurvePoint] = {}
    for record in parse_metrics(path.read_text()):
        update, value = value_of(record, "update", int, None), value_of(record, metric, float, None)
        if update is not None and value is not None:
            found[update] = CurvePoint(update, value, value_of(record, cost, float, None))
    return tuple(found[update] for update in sorted(found))


def _reason(error: BaseException) -> str:
    return one_line((isinstance(error, OSError) and error.strerror) or error, 120)
