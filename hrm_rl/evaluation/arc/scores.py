"""ARC's score: shares of test grids and tasks that are solved by the first K answers in the order of votes.

Legend: G test grids whose answers are known, T tasks that they belong to, K attempts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm_rl.evaluation.arc.asking import ArcVotes
from hrm_rl.evaluation.intervals import Interval, bootstrap, bootstrap_of_groups

PASS_AT = (1, 2, 5, 10, 100, 1000)
"""Numbers of attempts that are reported, as TinyRecursiveModels does; two are what ARC allows."""


@dataclass(frozen=True)
class ArcScore:
    """Shares, with 95 % bootstrap intervals over tasks."""

    score: float
    """Mean over the tasks of the share of their test grids that are solved: what ARC Prize reports."""
    score_interval: Interval
    tasks: float
    """Share of tasks all of whose test grids are solved."""
    tasks_interval: Interval
    grids: float
    """Share of test grids."""
    grids_interval: Interval

    @staticmethod
    def of(task: NDArray[np.int64], solved: NDArray[np.bool_], seed: int) -> ArcScore:
        """task: (G,) any numbers that tell tasks apart. solved: (G,)."""
        _, place, sizes = np.unique(task, return_inverse=True, return_counts=True)
        sums = np.bincount(place, weights=solved)
        share, whole = sums / sizes, sums == sizes
        return ArcScore(
            float(share.mean()),
            bootstrap(share, seed),
            float(whole.mean()),
            bootstrap(whole, seed),
            float(solved.mean()),
            bootstrap_of_groups(sums, sizes, seed),
        )


@dataclass(frozen=True)
class ArcRow:
    """One way to answer, scored."""

    name: str
    identifier: bool
    """Whether each form came with its own identifier."""
    forms: int
    """At most so many of each test grid; 0 where no model was asked."""
    segments_mean: float
    """All forms of a test grid together."""
    pass_at: dict[int, ArcScore]
    """By K, for PASS_AT; empty where no answer is known."""

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"pass_at": {str(k): asdict(found) for k, found in self.pass_at.items()}}


def rows_of(votes: Sequence[ArcVotes], sizes: Sequence[int], identifier: bool, seed: int) -> list[ArcRow]:
    """A row for each number of forms at which the votes were counted."""
    named = "" if identifier else ", no identifier"
    return [
        ArcRow(
            f"{forms} form{'s' * (forms > 1)}{named}",
            identifier,
            forms,
            float(np.mean([one.segments[at] for one in votes])),
            {k: found for k in PASS_AT if (found := _score(votes, [v.solved(k, at) for v in votes], seed))},
        )
        for at, forms in enumerate(sizes)
    ]


def copy_row(votes: Sequence[ArcVotes], seed: int) -> ArcRow:
    """The simplest baseline: every answer is the question itself."""
    solved = [
        v.question.output is not None and np.array_equal(v.question.input, v.question.output) for v in votes
    ]
    found = _score(votes, solved, seed)
    return ArcRow("copy of the input", False, 0, 0.0, dict.fromkeys(PASS_AT, found) if found else {})


def _score(votes: Sequence[ArcVotes], solved: Sequence[bool], seed: int) -> ArcScore | None:
    """None where no answer is known."""
    known = np.array([one.question.output is not None for one in votes])
    if not known.any():
        return None
    task = np.array([one.question.puzzle for one in votes])
    return ArcScore.of(task[known], np.array(solved)[known], seed)
