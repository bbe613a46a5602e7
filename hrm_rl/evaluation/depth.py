"""What a larger budget would have brought: the answers held after 1, 2, 4, ... segments of one run.

Legend: N puzzles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table

from hrm_rl.evaluation.intervals import Interval, bootstrap
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.utils.console import print_whole


@dataclass(frozen=True)
class Depth:
    """One budget. An answer that was handed in before is held; of the other puzzles, the answer counts as it
    stands then."""

    budget: int
    times: int | None
    """How many times the budget of training it is, where it is one of 1x, 2x, 4x, ..."""
    segments_mean: float
    exact_accuracy: float
    solved: float
    solved_interval: Interval
    handed_in: float
    """Share of puzzles whose answer the stopping rule has handed in by then."""
    solved_of_the_rest: float | None
    """Solved among those that were not; None if there are none."""


def depths(budget: int, trained: int) -> list[int]:
    """1, 2, 4, ... segments, 1x, 2x, 4x, ... of the trained budget, and the budget itself."""
    found = {start * 2**i for start in (1, trained) for i in range(budget.bit_length())}
    return sorted({k for k in found if k <= budget} | {budget})


def depth(budget: int, trained: int, **figures: Any) -> Depth:
    """The row of one budget, with its place among the multiples of the trained one."""
    times, rest = divmod(budget, trained)
    return Depth(budget=budget, times=times if not rest and times & (times - 1) == 0 else None, **figures)


def by_depth(result: Evaluation, trained: int, seed: int = 0) -> list[Depth]:
    """A row for each of the evaluation's `depths`. seed: of the intervals."""
    rows = []
    for column, budget in enumerate(result.depths.tolist()):
        solved, handed_in = result.solved_after[:, column], (result.segments <= budget) & ~result.forced
        rows.append(
            depth(
                budget,
                trained,
                segments_mean=float(np.minimum(result.segments, budget).mean()),
                exact_accuracy=float(result.exact_after[:, budget - 1].mean()),
                solved=float(solved.mean()),
                solved_interval=bootstrap(solved, seed),
                handed_in=float(handed_in.mean()),
                solved_of_the_rest=None if handed_in.all() else float(solved[~handed_in].mean()),
            )
        )
    return rows


def print_depths(rows: Sequence[Depth], console: Console) -> None:
    """The budgets from that of training on."""
    names = ("of training's", "segments", "exact", "solved", "95 %", "handed in", "rest solved")
    table = Table(
        Column("budget", justify="right"), *[Column(name, justify="right") for name in names], padding=0
    )
    for row in rows:
        if row.times or row is rows[-1]:
            low, high = row.solved_interval
            table.add_row(
                str(row.budget),
                f"{row.times}x" if row.times else "",
                f"{row.segments_mean:.2f}",
                f"{row.exact_accuracy:.1%}",
                f"{row.solved:.1%}",
                f"{low:.1%} {high:.1%}",
                f"{row.handed_in:.1%}",
                "-" if row.solved_of_the_rest is None else f"{row.solved_of_the_rest:.1%}",
            )
    print_whole(console, table)


def solved_within(result: Evaluation, rows: NDArray[np.bool_] | slice = slice(None)) -> dict[int, float]:
    """Solved among some of the puzzles, by budget: each of the evaluation's `depths`."""
    return dict(zip(result.depths.tolist(), result.solved_after[rows].mean(axis=0).tolist(), strict=True))


def print_solved_within(
    groups: Mapping[str, Mapping[int, float]], by: str, rows: Sequence[Depth], console: Console
) -> None:
    """What each group of puzzles gains from the budgets that `print_depths` shows."""
    budgets = [row.budget for row in rows if row.times or row is rows[-1]]
    table = Table(
        Column(f"solved, by {by}", no_wrap=True),
        *[Column(str(budget), justify="right") for budget in budgets],
        title="and within a budget of so many segments",
        title_justify="left",
        title_style="",
    )
    for name, solved in groups.items():
        table.add_row(name, *[f"{solved[budget]:.1%}" for budget in budgets])
    print_whole(console, table)
