"""What is asked of a model and what comes back, whoever runs it: the seam between the application and the
engines, in this process or behind Ray.

Legend: L tokens a puzzle, V vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.utils.errors import UserError

Mode = Literal["adaptive", "fixed", "search"]
"""`adaptive` halts where the model wants to, `fixed` spends the budget, `search` hands in what the rule
accepts."""
Decision = Literal["continue", "halt", "spent", "hand in", "start over", "give up"]
"""What follows a segment: `halt` and `spent` (the budget is) end an adaptive or fixed job, `hand in` and
`give up` a search."""
ENDINGS: tuple[Decision, ...] = ("halt", "spent", "hand in", "give up")


@dataclass(frozen=True)
class Job:
    """One puzzle for one model."""

    model: str
    """The name of a model that is served."""
    inputs: Tokens
    """(L,) the puzzle."""
    mode: Mode
    segments: int
    """The most segments it may take, over all starts."""
    seed: int = 0
    """Of a search."""
    detailed: bool = False
    """Whether its segments carry probabilities."""
    identifier: int = 0
    """Of the puzzle: its row of the puzzle-embedding table."""


@dataclass(frozen=True)
class JobSegment:
    """The outcome of one segment."""

    segment: int
    """Segments spent so far, this one included."""
    start: int
    """Times that a search had started over before it."""
    board: Tokens
    """(L,) the puzzle with what was assumed before this segment: what the model thought about."""
    answer: Tokens
    """(L,)"""
    probabilities: NDArray[np.float32] | None
    """(L, V) of the answer's tokens, in the form in which the puzzle was given; only of detailed jobs."""
    q: tuple[float, float | None]
    """Q-values of halt and continue, as logits; None where the model was not taught the second."""
    solved: bool | None
    """The rule's verdict on the answer; None where the task has no rule, only labels."""
    decision: Decision
    contradicted: bool
    """It starts over because the board contradicted itself; else because of doubt."""
    assumed: Tokens
    """(L,) tokens assumed after this segment, 0 where none."""


@dataclass(frozen=True)
class JobResult:
    """How a job ended."""

    answer: Tokens
    """(L,) the last answer; of a search the one handed in, or the last one abandoned."""
    solved: bool | None
    """As in JobSegment."""
    segments: int
    starts: int
    """Times that a search started over."""
    decision: Decision
    """Of the last segment."""
    q: list[tuple[float, float | None]]
    """By segment, as in JobSegment."""
    queued: float
    """Seconds until it got a slot."""
    seconds: float
    """Seconds from then to the end."""


@dataclass(frozen=True)
class ServedModel:
    """What the application knows of a model: all but its weights."""

    name: str
    version: str
    """The first 12 hexadecimal digits of the SHA-256 of its weights and settings."""
    task: PuzzleTask
    parameters: int
    budget: int
    """Segments that halting was trained with: what an adaptive job may take if nothing is said."""
    search_budget: int | None
    """What a search may take if nothing is said; None for a task that cannot be searched."""
    trained_to_search: bool
    origin: str
    """Where the weights come from, in words."""
    identifiers: int = 1
    """Identities that it can be asked with: those below that."""

    @property
    def default_mode(self) -> Mode:
        return "search" if self.trained_to_search else "adaptive"

    def default_segments(self, mode: Mode) -> int:
        """The budget of a job that says nothing. Raises ValueError for a search that cannot be."""
        if mode != "search":
            return self.budget
        if self.search_budget is None:
            raise ValueError(f"{self.name} cannot search")
        return self.search_budget


def refuse_one_name(models: Sequence[ServedModel]) -> None:
    """Refuse models that requests could not tell apart. Raises UserError."""
    twice = [name for name, count in Counter(model.name for model in models).items() if count > 1]
    if twice:
        raise UserError(f"two models are called {twice[0]}: serve them from folders with other names")


class BackendError(RuntimeError):
    """A job failed inside the engine, or its replica died. The message is for the log, not for the client."""


class Backend(Protocol):
    """Runs jobs. A job whose task is cancelled, or whose iterator is closed, frees its slot."""

    @property
    def models(self) -> Sequence[ServedModel]:
        """The first one is the default."""

    @property
    def slots(self) -> int:
        """Puzzles that are thought about at a time, all replicas together."""

    async def start(self) -> None:
        """Get ready for jobs."""

    async def solve(self, jobs: Sequence[Job]) -> list[JobResult]:
        """The results in the order of the jobs. Raises BackendError."""

    def stream(self, job: Job) -> AsyncIterator[JobSegment | JobResult]:
        """Every segment as it is thought, then the result. Raises BackendError, also between two."""

    async def slots_in_use(self) -> int:
        """Of `slots`, now."""

    async def close(self) -> None:
        """Let go of everything; running jobs fail."""
