"""Which settings to try next: a function of the seed, the trial's number and the trials so far, and of
nothing else.

So a sweep resumes from its folder alone: there is no searcher's state to save.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from hrm_rl.sweeps.file import Grid, Optuna
from hrm_rl.sweeps.space import Params, Space, bounds
from hrm_rl.utils.errors import UserError

REJECTED = 50
"""Proposals that a constraint forbids after which a trial is drawn at random instead."""

REPEATED = 50
"""Draws of what was tried before, after which a trial may repeat another."""


@dataclass(frozen=True)
class Tried:
    """A trial that was proposed before."""

    params: Params
    value: float | None
    """Its score by the sweep's metric; None while there is none."""
    cost: float | None
    """What that score cost: mean segments."""
    over: bool
    """Whether the trial has ended."""


def number_of_trials(space: Space, num_samples: int | None) -> int:
    """Trials of the whole sweep. num_samples: of --num-samples, else the file's. Raises UserError without
    one."""
    if num_samples is not None and num_samples < 1:
        raise UserError(f"--num-samples {num_samples}: give at least 1")
    wanted = num_samples if num_samples is not None else space.file.budget.num_samples
    points = len(space.grid())
    if isinstance(space.file.searcher, Grid):
        return min(points, wanted) if wanted else points
    if wanted is None:
        raise UserError("how many trials? give --num-samples N, or budget: {num_samples: N} in the file")
    return wanted * points


def propose(
    space: Space, seed: int, index: int, tried: Sequence[Tried] = (), grid: list[Params] | None = None
) -> Params:
    """Params of trial number `index` (from 0). grid: `space.grid()`, to save making it again.
    Raises UserError if constraints leave nothing to propose."""
    searcher = space.file.searcher
    points = space.grid() if grid is None else grid
    if isinstance(searcher, Grid):
        return points[index]
    rng = np.random.default_rng([seed, index])
    if isinstance(searcher, Optuna) and index >= searcher.startup_trials:
        return _estimated(space, searcher, int(rng.integers(2**32)), tried)
    return _unlike(space, rng, points[index % len(points)], tried)


def _unlike(space: Space, rng: np.random.Generator, fixed: Params, tried: Sequence[Tried]) -> Params:
    """Settings drawn at random that were not tried before, if there are any."""
    known = [one.params for one in tried]
    for _ in range(REPEATED):
        params = space.sample(rng, fixed)
        if params not in known:
            break
    return params


def _estimated(space: Space, searcher: Optuna, seed: int, tried: Sequence[Tried]) -> Params:
    """Ask the estimator, which is told of everything tried, until its answer is allowed.

    It looks at settings together (multivariate), or constraints between them would forbid most of what it
    proposes; running trials count as bad (constant liar), so that they are not proposed again.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    metric: Literal["maximize", "minimize"] = "maximize" if space.file.mode == "max" else "minimize"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=searcher.startup_trials,
            constant_liar=True,
            multivariate=True,
            group=True,
        )
        study = optuna.create_study(
            sampler=sampler, directions=[metric, "minimize"] if searcher.multi_objective else [metric]
        )
        for one in tried:
            if (known := _as_known(space, searcher, one)) is not None:
                study.add_trial(known)
        for _ in range(REJECTED):
            trial = study.ask()
            params = suggest(space, trial)
            if space.refusal(params) is None:
                return params
            study.tell(trial, state=TrialState.FAIL)
    return _unlike(space, np.random.default_rng(seed), {}, tried)


def suggest(space: Space, trial: Trial) -> Params:
    """Params that an Optuna trial draws, setting by setting (define-by-run); constraints are not looked
    at."""
    params: Params = {}
    for name in space.dimensions:
        if space.active(name, params):
            params[name] = _from_optuna(space, name, _drawn(trial, name, _distribution(space, name)))
    return params


def _drawn(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case IntDistribution(low=low, high=high):
            return trial.suggest_int(name, low, high)
    raise TypeError(f"no draw from {distribution}")


def _as_known(space: Space, searcher: Optuna, one: Tried) -> FrozenTrial | None:
    """A trial for the estimator to learn from; None for one that teaches nothing (failed, or of another
    space)."""
    values: list[float] | None = None
    if one.value is not None and (one.cost is not None or not searcher.multi_objective):
        values = [float(one.value)]
        if searcher.multi_objective:
            values.append(float(one.cost or 0.0))
    if one.over and values is None:
        return None
    try:
        return create_trial(
            state=TrialState.COMPLETE if one.over else TrialState.RUNNING,
            values=values if one.over else None,
            params={name: _to_optuna(space, name, value) for name, value in one.params.items()},
            distributions={name: _distribution(space, name) for name in one.params},
        )
    except (ValueError, KeyError):
        return None


def _distribution(space: Space, name: str) -> BaseDistribution:
    dim = space.dimensions[name]
    if dim.listed:
        assert dim.values is not None
        return CategoricalDistribution([json.dumps(v) for v in dim.values])
    low, high = bounds(dim)
    if dim.dist in ("uniform", "loguniform"):
        return FloatDistribution(low, high, log=dim.dist == "loguniform")
    step = dim.q or 1.0
    return IntDistribution(round(low / step), round(high / step))


def _to_optuna(space: Space, name: str, value: Any) -> Any:
    dim = space.dimensions[name]
    if dim.listed:
        return json.dumps(value)
    return float(value) if dim.dist in ("uniform", "loguniform") else round(value / (dim.q or 1.0))


def _from_optuna(space: Space, name: str, value: Any) -> Any:
    dim = space.dimensions[name]
    if dim.listed:
        return json.loads(value)
    return space.rounded(name, value if dim.dist in ("uniform", "loguniform") else value * (dim.q or 1.0))
