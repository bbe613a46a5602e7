"""What is said of votes on ARC's test grids: tables and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from envs.arc.puzzles import ArcPuzzle
from hrm_rl.evaluation.arc.asking import ATTEMPTS, ArcVotes
from hrm_rl.evaluation.arc.roster import Roster
from hrm_rl.evaluation.arc.scores import PASS_AT, ArcRow, copy_row, rows_of
from hrm_rl.utils.console import print_whole


@dataclass(frozen=True)
class ArcReport:
    """The votes of one model and their scores."""

    roster: Roster
    votes: Sequence[ArcVotes]
    """With identifiers."""
    sizes: Sequence[int]
    """Numbers of forms at which votes were counted."""
    rows: Sequence[ArcRow]
    """The baseline, the blank identifier if it was asked, and each of `sizes`."""
    notes: Sequence[str]
    """What a reader of the scores has to know, a sentence each."""

    @staticmethod
    def of(
        roster: Roster,
        votes: Sequence[ArcVotes],
        blank: Sequence[ArcVotes],
        sizes: Sequence[int],
        notes: Sequence[str],
        seed: int,
    ) -> ArcReport:
        """blank: the votes without identifiers; empty if they were not asked for. seed: of the intervals."""
        rows = [copy_row(votes, seed)]
        if blank:
            rows.append(rows_of(blank, sizes, False, seed)[-1])
        unknown = sum(one.question.output is None for one in votes)
        if unknown:
            notes = [*notes, f"{unknown} of the test grids have no known answer and are not scored"]
        return ArcReport(roster, votes, sizes, [*rows, *rows_of(votes, sizes, True, seed)], notes)

    @property
    def tasks(self) -> int:
        return len({one.question.puzzle for one in self.votes})

    def by_task(self) -> list[tuple[ArcPuzzle, list[ArcVotes]]]:
        """Each task that was asked about, with the votes on its test grids."""
        found: dict[int, list[ArcVotes]] = {}
        for one in self.votes:
            found.setdefault(one.question.puzzle, []).append(one)
        return [(self.roster.task.puzzles[place], votes) for place, votes in found.items()]

    def as_dictionary(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "tasks": self.tasks,
            "test_grids": len(self.votes),
            "known": sum(one.question.output is not None for one in self.votes),
            "attempts": ATTEMPTS,
            "notes": list(self.notes),
            "rows": [row.as_dictionary() for row in self.rows],
            "by_task": {
                puzzle.name: {"test_grids": len(votes), "solved": sum(v.solved(ATTEMPTS) for v in votes)}
                for puzzle, votes in self.by_task()
            },
        }

    def print(self, console: Console) -> None:
        """The scores of every row, then intervals: of the baseline, without identifiers, and of all forms."""
        console.print(f"ARC: {len(self.votes)} test grids of {self.tasks} tasks", soft_wrap=True)
        if self.rows[-1].pass_at:
            print_whole(console, self._scores())
            print_whole(console, self._intervals())
        for note in self.notes:
            console.print(note, soft_wrap=True)

    def _scores(self) -> Table:
        table = Table(Column("score", no_wrap=True), *_right(*[f"pass@{k}" for k in PASS_AT]), padding=0)
        for row in self.rows:
            table.add_row(row.name, *[f"{row.pass_at[k].score:.1%}" for k in PASS_AT])
        return table

    def _intervals(self) -> Table:
        named = ("score", "95 %", "whole tasks", "95 %", "test grids", "95 %")
        table = Table(Column(f"pass@{ATTEMPTS}", no_wrap=True), *_right(*named), padding=0)
        for row in self.rows:
            if row.identifier and row.forms < self.sizes[-1]:
                continue
            found, cells = row.pass_at[ATTEMPTS], []
            for share, (low, high) in (
                (found.score, found.score_interval),
                (found.tasks, found.tasks_interval),
                (found.grids, found.grids_interval),
            ):
                cells += [f"{share:.1%}", f"{100 * low:.0f}-{100 * high:.0f}"]
            table.add_row(row.name, *cells)
        return table


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right", no_wrap=True) for name in names]
