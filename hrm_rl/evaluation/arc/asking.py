"""A model asked about test grids in many forms, question by question: what is kept of an answer is its vote.

The forms are made as the model gets to them, and a question's votes go once all of its forms are answered, so
that 400 puzzles in 1,000 forms need little more memory than one.
Legend: S numbers of forms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from envs import PuzzleBatch
from envs.arc.canvas import Grid
from envs.arc.task import ArcTask
from envs.puzzle import Tokens
from hrm_rl.agents.act.engine import answers
from hrm_rl.evaluation.arc.ballot import Ballot, Candidate
from hrm_rl.evaluation.arc.questions import ArcQuestion
from hrm_rl.evaluation.arc.roster import Form, Roster
from hrm_rl.evaluation.votes import Asker

ATTEMPTS = 2
"""Answers to a test grid that ARC allows."""


@dataclass(frozen=True)
class ArcVotes:
    """How the vote on one test grid went, after each of S numbers of forms. A puzzle with fewer forms has the
    same outcome from there on."""

    question: ArcQuestion
    ranks: tuple[int | None, ...]
    """(S,) answers before the right one in the order of votes; None where it is not among them, or not
    known."""
    best: tuple[Grid | None, ...]
    """(S,) the answer with most votes; None where no answer was a grid."""
    asked: tuple[int, ...]
    """(S,) forms."""
    segments: tuple[int, ...]
    """(S,) segments that they took."""
    attempts: tuple[Candidate, ...]
    """The answers with most votes in the end, all different: two, unless fewer were given."""

    def solved(self, attempts: int, at: int = -1) -> bool:
        """Whether the right answer is among the first so many. at: which number of forms."""
        rank = self.ranks[at]
        return rank is not None and rank < attempts


@dataclass
class _Poll:
    """A question whose forms are being answered."""

    question: ArcQuestion
    forms: Sequence[Form]
    sizes: Sequence[int]
    ballot: Ballot = field(default_factory=Ballot)
    answered: int = 0
    spent: int = 0
    rows: list[tuple[int | None, Grid | None, int, int]] = field(default_factory=list)
    ranked: list[Candidate] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        return self.answered == len(self.forms)

    def take(self, task: ArcTask, answer: Tokens, q_halt: float, segments: int) -> None:
        """The answer (L,) to the next form."""
        grid = task.grid(answer)
        if grid is not None:
            self.ballot.cast(self.forms[self.answered][1].undo(grid), q_halt)
        self.answered += 1
        self.spent += segments
        if self.answered in self.sizes or self.closed:
            self.ranked = self.ballot.ranked()
            best = self.ranked[0].grid if self.ranked else None
            row = (_rank(self.ranked, self.question.output), best, self.answered, self.spent)
            self.rows += [row] * (len(self.sizes) - len(self.rows) if self.closed else 1)

    def result(self) -> ArcVotes:
        ranks, best, asked, segments = zip(*self.rows, strict=True)
        return ArcVotes(self.question, ranks, best, asked, segments, tuple(self.ranked[:ATTEMPTS]))


def _rank(ranked: Sequence[Candidate], right: Grid | None) -> int | None:
    """The place of the right answer, from 0."""
    if right is None:
        return None
    return next((n for n, one in enumerate(ranked) if np.array_equal(one.grid, right)), None)


def ask(
    asker: Asker, roster: Roster, questions: Sequence[ArcQuestion], sizes: Sequence[int], blank: bool = False
) -> Iterator[ArcVotes]:
    """The votes on each question, in order. sizes: numbers of forms at which the votes are counted, in order;
    the last is how many are asked, of puzzles that have so many. The first form is the puzzle as it is.
    blank: ask with the blank identifier instead of each form's own."""
    open_: deque[_Poll] = deque()

    def forms() -> Iterator[PuzzleBatch]:
        for question in questions:
            chosen = roster.forms(question.puzzle)[: sizes[-1]]
            open_.append(_Poll(question, chosen, sizes))
            yield question.painted(roster.task.size, chosen, blank)

    for found in answers(asker.solver, forms(), asker.stopping, asker.batch_size):
        for answer, q, segments in zip(found.answer, found.q, found.segment, strict=True):
            open_[0].take(roster.task, answer, float(q[0]), int(segments))
            if open_[0].closed:
                yield open_.popleft().result()
        asker.progress(int(found.index[-1]) + 1)
