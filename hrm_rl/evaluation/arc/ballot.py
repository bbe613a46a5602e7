"""Votes on one test grid: equal answers are counted, and the most frequent comes first.

So do the evaluators of sapientinc/HRM and TinyRecursiveModels, but for two things: an answer that is no grid
has no vote here, and equals in votes and in q keep one order, whichever came first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, tanh

import numpy as np

from envs.arc.canvas import Grid


@dataclass(frozen=True)
class Candidate:
    """One answer to a test grid."""

    grid: Grid
    votes: int
    q: float
    """The chance of being right that q_halt stands for (its sigmoid), the mean over the votes."""


class Ballot:
    """The votes on one test grid. The order in which they are cast does not matter."""

    def __init__(self) -> None:
        self._cast: dict[tuple[int, int, bytes], list[float]] = {}

    def cast(self, grid: Grid, q_halt: float) -> None:
        """A vote for a grid, with the Q-value that came with it."""
        chance = (1 + tanh(q_halt / 2)) / 2
        self._cast.setdefault((*grid.shape, grid.tobytes()), []).append(chance)

    def ranked(self) -> list[Candidate]:
        """The different answers: those with more votes first, of those with as many the one with the higher
        mean q, then the smaller grid and the one with the smaller colours."""
        means = {key: fsum(chances) / len(chances) for key, chances in self._cast.items()}
        order = sorted(self._cast, key=lambda key: (-len(self._cast[key]), -means[key], key))
        return [Candidate(_grid(key), len(self._cast[key]), means[key]) for key in order]


def _grid(key: tuple[int, int, bytes]) -> Grid:
    rows, columns, content = key
    return np.frombuffer(content, np.uint8).reshape(rows, columns)
