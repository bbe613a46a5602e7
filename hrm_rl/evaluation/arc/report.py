"""What is said of a vote on ARC's test grids: a table, JSON, and what the votes cost beside a single pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table

from envs import PuzzleBatch
from envs.arc.puzzles import EVALUATION
from envs.arc.task import ArcTask
from hrm_rl.evaluation.arc.asking import ATTEMPTS, ArcVotes, ask
from hrm_rl.evaluation.arc.questions import NOBODY, as_answer, questions_of
from hrm_rl.evaluation.arc.scores import PASS_AT, ArcRow, copy_row, rows_of
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.evaluation.votes import Asker, MultiPass
from hrm_rl.evaluation.votes import sizes as sizes_of_votes

FORMS = 8
"""Of each test grid, if nobody says how many: the puzzle as it is and seven others."""


@dataclass(frozen=True)
class ArcReport:
    """The votes of one model and their scores."""

    task: ArcTask
    votes: Sequence[ArcVotes]
    """With identifiers."""
    sizes: Sequence[int]
    """Numbers of forms at which votes were counted."""
    rows: Sequence[ArcRow]
    """The baseline, the blank identifier if it was asked, and each of `sizes`."""
    demonstrated: int
    """Evaluation tasks among those asked about; their demonstrations may be trained on."""

    @property
    def tasks(self) -> int:
        return len({one.question.puzzle for one in self.votes})

    @property
    def known(self) -> int:
        """Test grids whose answers are known."""
        return sum(one.question.output is not None for one in self.votes)

    def notes(self) -> list[str]:
        """What a reader of the scores has to know."""
        found = []
        if unknown := len(self.votes) - self.known:
            found.append(f"{unknown} test grids have no known answer and are not scored")
        if self.demonstrated:
            found.append(
                f"demonstrations of {self.demonstrated} of these tasks, which are evaluation tasks, may have "
                "been trained on, as in the published systems; their test grids never are"
            )
        return found

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "tasks": self.tasks,
            "test_grids": len(self.votes),
            "known": self.known,
            "attempts": ATTEMPTS,
            "notes": self.notes(),
            "rows": [row.as_dictionary() for row in self.rows],
        }

    def multi_passes(self, puzzles: PuzzleBatch, single: Evaluation) -> dict[str, MultiPass]:
        """The answer with most votes to each of the puzzles (N, L), at each number of forms but one. single:
        whose answer stands where no other is."""
        numbers = questions_of(self.task, puzzles)[1]
        found = {}
        for at, forms in enumerate(self.sizes):
            if forms > 1:
                found[f"vote of {forms}"] = self._multi_pass(puzzles, single, numbers, at)
        return found

    def _multi_pass(
        self, puzzles: PuzzleBatch, single: Evaluation, numbers: NDArray[np.int64], at: int
    ) -> MultiPass:
        answer, segments = single.answer.copy(), single.segments.copy()
        passes = np.ones(len(puzzles), np.int64)
        for row in np.flatnonzero(numbers != NOBODY).tolist():
            one = self.votes[numbers[row]]
            segments[row], passes[row] = one.segments[at], one.asked[at]
            if (best := one.best[at]) is not None:
                identifier = int(puzzles.identifier[row])
                answer[row] = as_answer(self.task, puzzles.inputs[row], identifier, best)
        return MultiPass.of(self.task, puzzles, answer, segments, passes, "vote")

    def print(self, console: Console) -> None:
        """The scores of every row, and the intervals of the last."""
        console.print(
            f"ARC: {len(self.votes)} test grids of {self.tasks} tasks; a task's share of its test grids that are "
            "solved by the first K answers in the order of votes, mean over the tasks",
            soft_wrap=True,
        )
        if self.known:
            table = Table(
                Column("answers of", no_wrap=True),
                *[Column(f"pass@{k}", justify="right", no_wrap=True) for k in PASS_AT],
                padding=(0, 0),
            )
            for row in self.rows:
                table.add_row(row.name, *[f"{row.pass_at[k].score:.1%}" for k in PASS_AT])
            console.print(table)
            table = Table(
                Column(f"solved in {ATTEMPTS} attempts, 95 %", no_wrap=True),
                *[Column(name, justify="right", no_wrap=True) for name in ("score", "all grids", "test grids")],
                padding=(0, 0),
            )
            for row in self.rows:
                found = row.pass_at[ATTEMPTS]
                ...
            console.print(table)
        for note in self.notes():
            console.print(note, soft_wrap=True)
