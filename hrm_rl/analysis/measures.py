"""The numbers of the report, as functions of arrays.

Legend: N puzzles, K segments, M predictions, D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


def sigmoid(logits: NDArray) -> Numbers:
    """Logits as probabilities."""
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


def brier(probability: Numbers, happened: Flags) -> float:
    """Mean squared difference between a predicted probability (M,) and what happened (M,): 0 is best; always
    saying the base rate b gives b * (1 - b) (Brier 1950)."""
    return float(np.mean((probability - happened) ** 2))


def auc(score: Numbers, happened: Flags) -> float:
    """Area under the ROC curve: how often the score (M,) of something that happened is above that of
    something that did not, ties counting half (Mann and Whitney's U). NaN if only one of the two occurs."""
    positive = int(happened.sum())
    negative = len(happened) - positive
    if not positive or not negative:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2  # from 1, equal scores share theirs
    ranks = mean_rank[inverse]
    return float((ranks[happened].sum() - positive * (positive + 1) / 2) / (positive * negative))


@dataclass(frozen=True)
class Reliability:
    """Predictions by bins of equal width; bins without predictions are left out."""

    predicted: Numbers
    """Mean predicted probability of each bin."""
    observed: Numbers
    """Share of them that happened."""
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of the two, weighted by count."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.count))


def reliability(probability: Numbers, happened: Flags, bins: int = 10) -> Reliability:
    """Predicted probabilities (M,) against what happened (M,)."""
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    predicted = np.bincount(place, probability, bins)[used] / count[used]
    observed = np.bincount(place, happened.astype(np.float64), bins)[used] / count[used]
    return Reliability(predicted, observed, count[used])


@dataclass(frozen=True)
class Regret:
    """What halting when it did cost, by puzzle (N,)."""

    first_right: NDArray[np.int64]
    """Segment of the first right answer before the budget ends, 0 if there was none."""
    wasted: NDArray[np.int64]
    """Segments spent after the first right answer, for puzzles that were right before they halted
    and at the end; -1 for the others."""
    lost: Flags
    """Right before it halted, and not when it halted."""
    too_early: Flags
    """Never right until it halted, but would have been later within the budget."""
    never: Flags
    """Not right at any segment of the budget."""


def regret(right: Flags, halted: NDArray[np.int64]) -> Regret:
    """right: (K, N) whether the answer after each segment is, if the model thinks to the end of the budget K.
    halted: (N,) the segment after which the model stops, from 1."""
    ever: Flags = np.asarray(right.any(axis=0))
    first = np.where(ever, right.argmax(axis=0) + 1, 0)
    in_time = ever & (first <= halted)
    at_end = right[halted - 1, np.arange(right.shape[1])]
    return Regret(
        first_right=first,
        wasted=np.where(at_end, halted - first, -1),
        lost=in_time & ~at_end,
        too_early=ever & ~in_time,
        never=~ever,
    )


def participation_ratio(covariance: Numbers) -> float:
    """How many directions share the variance: (sum of eigenvalues)^2 / sum of their squares of a covariance
    (D, D): 1 for a line, D if all directions are alike. Eigenvalues are not needed: these are traces."""
    squares = float(np.square(covariance).sum())
    return float(np.trace(covariance) ** 2 / squares) if squares else float("nan")


class Covariance:
    """The covariance of vectors that come in parts."""

    def __init__(self, width: int):
        self.count = 0
        self.sum = np.zeros(width)
        self.products = np.zeros((width, width))

    def add(self, vectors: NDArray) -> None:
        """vectors: (M, D)."""
        vectors = vectors.astype(np.float64)
        self.count += len(vectors)
        self.sum += vectors.sum(axis=0)
        self.products += vectors.T @ vectors

    def value(self) -> Numbers:
        """(D, D)."""
        mean = self.sum / max(1, self.count)
        return self.products / max(1, self.count) - np.outer(mean, mean)


def principal_components(points: NDArray, components: int = 3) -> tuple[Numbers, Numbers]:
    """Points (P, X) in the directions in which they vary most, (P, components), and the share of the variance
    that each direction has. Works on the P x P products, since X is large."""
    centred = points.astype(np.float64) - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(values)[::-1][:components]
    kept = np.clip(values[order], 0, None)
    total = max(float(np.clip(values, 0, None).sum()), 1e-30)
    coordinates = vectors[:, order] * np.sqrt(kept)
    signs = np.sign(coordinates[-1])
    return coordinates * np.where(
        signs == 0, 1, signs
    ), kept / total  # the last point lies on the positive side


def effective_number(weights: Numbers) -> Numbers:
    """exp(entropy) over the last axis of weights that add up to 1: 1 if all weight is at one place,
    n if it is spread evenly over n."""
    logs = np.log(np.clip(weights, 1e-30, None))
    return np.exp(-(weights * logs).sum(axis=-1))
