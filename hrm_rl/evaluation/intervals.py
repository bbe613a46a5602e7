"""How far a mean over puzzles can be trusted: confidence intervals.

Legend: N puzzles, U different values among them, R resamples.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 0.95

Interval = tuple[float, float]


def bootstrap(
    values: NDArray[np.generic], seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Percentile interval of the mean of values (N,), over puzzles redrawn with replacement (Efron, 1979).

    Drawing N puzzles of N is one multinomial draw of how often each different value occurs, so that the cost
    goes with R * U, not R * N: U is 2 for right and wrong. What the interval does not cover: another training
    run, and puzzles of another kind than these.
    """
    different, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    return bootstrap_of_counts(different, counts, seed, resamples, level)


def bootstrap_of_counts(
    different: NDArray[np.generic],
    counts: NDArray[np.int64],
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """`bootstrap` of values that are known by how often each of U different ones occurs (U,), in order."""
    different, counts = np.asarray(different, np.float64)[counts > 0], counts[counts > 0]
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    means = drawn @ different / counts.sum()
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_of_groups(
    sums: NDArray[np.generic],
    sizes: NDArray[np.generic],
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """`bootstrap` of a mean over things that come in groups: whole groups are redrawn, of each of which the
    sum of the values (N,) and the number of things (N,) are known."""
    pairs = np.stack([np.asarray(sums, np.float64), np.asarray(sizes, np.float64)], axis=1)
    different, counts = np.unique(pairs, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    totals = drawn @ different
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson(successes: int, count: int, level: float = LEVEL) -> Interval:
    """Interval of a share, from so many successes of `count` (Wilson, 1927). Unlike a bootstrap it keeps a
    width where all puzzles are solved, or none."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = successes / count, z * z / count
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * sqrt(share * (1 - share) / count + weight / (4 * count))
    # At the ends the interval's end is exact; the formula gives it but for rounding.
    return middle - half if successes else 0.0, middle + half if successes < count else 1.0
