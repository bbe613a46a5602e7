"""How much of the difference between trials one swept setting explains by itself, and how much chance would.

Trials and, for numbers, values count by their rank. A number's effect is the best parabola (so that
an optimum in the middle is seen), a category's the mean of each of its values; importance is the
share R^2 of the variance that this explains. Any setting explains something by chance, the more the
fewer trials there are: `chance` is what 95 % of random pairings of scores and values stay below.
What settings do together is not seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm_rl.sweeps.results.reading import SweepResults, Trial

LEAST_TRIALS = 5
"""With fewer trials a parabola explains anything."""
SHUFFLES = 2000


@dataclass(frozen=True)
class Importance:
    """What one setting explains."""

    name: str
    explained: float
    """R^2, 0 to 1."""
    chance: float
    """What 95 % of shuffled trials stay below."""
    trials: int
    """Those that have a score and this setting."""


def importances(sweep: SweepResults) -> list[Importance]:
    """Of each swept setting that took several values in at least LEAST_TRIALS trials with a score; first
    those that explain most beyond chance."""
    found = []
    for name in sweep.parameters:
        trials = trials_with(sweep, name)
        values = [trial.scored_params[name] for trial in trials]
        if len(trials) < LEAST_TRIALS or len({key(value) for value in values}) < 2:
            continue
        scores = _ranks(np.array([trial.best.value for trial in trials if trial.best]))
        explained, chance = _explained(scores, _design(values))
        found.append(Importance(name, explained, chance, len(trials)))
    return sorted(found, key=lambda importance: importance.chance - importance.explained)


def trials_with(sweep: SweepResults, name: str) -> list[Trial]:
    """The trials that have a score and the setting `name` (conditional settings are absent in some)."""
    return [trial for trial in sweep.trials if trial.best and name in trial.scored_params]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def key(value: Any) -> str:
    """The same text for equal values, lists among them."""
    return json.dumps(value, sort_keys=True, default=str)


def _design(values: list[Any]) -> NDArray[np.float64]:
    """(N, C) what the ranks of the scores are explained with: rank and its square, or a column a category."""
    if all(is_number(value) for value in values):
        rank = _ranks(np.array(values, dtype=np.float64))
        rank -= rank.mean()
        return np.stack([rank, rank**2], axis=1)
    keys = np.array([key(value) for value in values])
    return (keys[:, None] == np.unique(keys)[None, :]).astype(np.float64)


def _explained(scores: NDArray[np.float64], design: NDArray[np.float64]) -> tuple[float, float]:
    """R^2 of the least-squares fit of scores (N,) by design (N, C) and a constant, and its 95 % point under
    shuffling."""
    centred = scores - scores.mean()
    total = float(centred @ centred)
    if total == 0.0:
        return 0.0, 0.0  # all trials are equal: there is nothing to explain
    columns = design - design.mean(axis=0)
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * max(sizes.max(), 1.0)]
    shuffled = np.random.default_rng(0).permuted(np.tile(centred, (SHUFFLES, 1)), axis=1)  # (S, N)
    by_chance = ((shuffled @ basis) ** 2).sum(axis=1) / total
    explained = float(((centred @ basis) ** 2).sum() / total)
    return min(1.0, explained), min(1.0, float(np.quantile(by_chance, 0.95)))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]
