"""Tune's schedulers, as a sweep's file names them, told of what earlier starts of the sweep have seen."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, PopulationBasedTraining
from ray.tune.schedulers.trial_scheduler import FIFOScheduler, TrialScheduler

from hrm_rl.distributed.cluster import forget_stopped_trials
from hrm_rl.distributed.train_worker import UPDATES
from hrm_rl.sweeps.file import Asha, Median, Pbt
from hrm_rl.sweeps.results.reading import read_sweep
from hrm_rl.sweeps.results.records import Book
from hrm_rl.sweeps.space import Space

TRIAL = "trial"
"""Key of Tune's configuration of a trial: `{"id": ..., "params": ...}`."""


@dataclass(frozen=True)
class Known:
    """A trial as a scheduler knows it: by the name that it keeps when the sweep is resumed."""

    trial_id: str


class Replayed(FIFOScheduler):
    """A scheduler that has been told of the curves of earlier starts of the sweep."""

    def __init__(self, rule: TrialScheduler, metric: str, curves: dict[str, list[tuple[int, float]]]):
        super().__init__()
        self.rule = rule
        self.added: set[str] = set()
        for id, curve in curves.items():
            self._add(Known(id))
            for update, value in curve:
                self.rule.on_trial_result(None, Known(id), {UPDATES: update, metric: value})  # type: ignore[arg-type]
        if isinstance(rule, MedianStoppingRule):
            forget_stopped_trials(rule)  # those that resume were not stopped, whatever it makes of them now

    def _add(self, trial: Known) -> None:
        if trial.trial_id not in self.added:
            self.added.add(trial.trial_id)
            self.rule.on_trial_add(None, trial)  # type: ignore[arg-type]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._add(Known(str(trial)))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:
        return self.rule.on_trial_result(tune_controller, Known(str(trial)), result)  # type: ignore[arg-type]


class Population(PopulationBasedTraining):
    """Population-based training that lets a trial end when its budget is spent, instead of giving it new
    settings for no further update."""

    def __init__(self, max_updates: int, **options: Any):
        super().__init__(time_attr=UPDATES, **options)
        self.max_updates = max_updates

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:
        if result.get(UPDATES, 0) >= self.max_updates:
            return TrialScheduler.CONTINUE
        return super().on_trial_result(tune_controller, trial, result)


@dataclass
class Explore:
    """What population-based training does to the settings of a trial that resumes from a better one."""

    space: Space
    seed: int
    resample: float
    calls: int = 0

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        rng = np.random.default_rng([self.seed, 1, self.calls])
        params = self.space.perturb(config[TRIAL]["params"], rng, self.resample)
        return {TRIAL: {**config[TRIAL], "params": params}}


def make_scheduler(space: Space, seed: int, book: Book) -> TrialScheduler:
    """Tune's scheduler for the one that the sweep's file names, with what the sweep's folder tells."""
    spec, metric, mode = space.file.scheduler, space.file.metric, space.file.mode
    if isinstance(spec, Pbt):
        random.seed(seed)  # Tune draws from which trial to resume
        return Population(
            space.file.budget.max_updates,
            metric=metric,
            mode=mode,
            log_config=False,
            perturbation_interval=spec.perturbation_interval,
            burn_in_period=spec.burn_in_period,
            quantile_fraction=spec.quantile_fraction,
            resample_probability=spec.resample_probability,
            custom_explore_fn=Explore(space, seed, spec.resample_probability),
        )
    if isinstance(spec, Asha):
        rule: TrialScheduler = AsyncHyperBandScheduler(
            time_attr=UPDATES,
            metric=metric,
            mode=mode,
            max_t=space.file.budget.max_updates,
            grace_period=spec.grace_period,
            reduction_factor=spec.reduction_factor,
            stop_last_trials=False,
        )
    elif isinstance(spec, Median):
        rule = MedianStoppingRule(
            time_attr=UPDATES,
            metric=metric,
            mode=mode,
            grace_period=spec.grace_period,
            min_samples_required=spec.min_samples_required,
            min_time_slice=math.inf,  # type: ignore[arg-type]  # pause no trial to let others catch up
        )
    else:
        return FIFOScheduler()
    curves = {t.id: [(e.update, e.value) for e in t.curve] for t in read_sweep(book.folder.path).trials}
    return Replayed(rule, metric, {id: curve for id, curve in curves.items() if curve})
