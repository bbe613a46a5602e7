"""How puzzles are searched, and what comes of each segment.

Legend: b slots in use, C chains a puzzle, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import Tokens
from hrm_rl.agents.search.branches import Branching
from hrm_rl.agents.search.doubt import Doubt
from hrm_rl.config import Config

PLAIN_BUDGET = 16
"""Segments of a search with a model that was not trained for it, as a multiple of its budget in training."""
PLAIN_PATIENCE = 2
"""Segments of each of its starts, likewise."""


@dataclass(frozen=True)
class Search:
    """How puzzles are searched."""

    budget: int
    """The most segments a puzzle, those of all starts and all chains together."""
    chains: int = 1
    """C, side by side."""
    branching: Branching = field(default_factory=Branching)
    doubt: Doubt | None = field(default_factory=Doubt)
    """When it starts over although nothing contradicts; None for never."""
    patience: int = 0
    """Segments after which a start is given up in any case; 0 for never."""
    seed: int = 0

    @staticmethod
    def of(config: Config, budget: int | None = None, chains: int = 1, seed: int = 0) -> Search:
        """As a run with these settings was trained. A model that was not trained to search has learned no
        doubt, and what it says of boards with assumptions is worth little (docs/search.md): it makes none
        and starts over now and then."""
        settings, trained_for = config.search, config.halting.halt_max_steps
        if not settings.share:
            plain = Branching(settings.assume_share, 0, settings.temperature)
            return Search(
                budget or PLAIN_BUDGET * trained_for, chains, plain, None, PLAIN_PATIENCE * trained_for, seed
            )
        branching = Branching(settings.assume_share, settings.assume_every, settings.temperature)
        # In training, doubt comes early, so that it is learned from; here as late as halting was trained to.
        doubt = replace(Doubt.of(config), after=max(2, trained_for))
        return Search(budget or settings.budget, chains, branching, doubt, 0, seed)


@dataclass(frozen=True)
class Moves:
    """The outcome of one segment, a row for each slot in use."""

    index: NDArray[np.int64]
    """(b,) which puzzle: its place in the queue."""
    chain: NDArray[np.int64]
    """(b,) which of the puzzle's chains side by side."""
    start: NDArray[np.int64]
    """(b,) times that this chain had started over before."""
    age: NDArray[np.int64]
    """(b,) segments since its fresh start, this one included."""
    segment: NDArray[np.int64]
    """(b,) segments spent on the puzzle by all chains, this round included."""
    inputs: Tokens
    """(b, L) the puzzle."""
    board: Tokens
    """(b, L) the puzzle with the assumptions, as it was thought about."""
    answer: Tokens
    """(b, L)"""
    q: NDArray[np.float32]
    """(b, 2) Q-values of halt and continue."""
    solved: NDArray[np.bool_]
    """(b,) the rule's verdict on the answer."""
    choice: NDArray[np.int64]
    """(b,) of `Choice`. Who continues in the last segment abstains."""
    contradicted: NDArray[np.bool_]
    """(b,) whether it starts over because the board contradicted itself; else because of doubt."""
    assumed: Tokens
    """(b, L) tokens assumed after this segment, 0 where none; what contradicted itself, too."""
    done: NDArray[np.bool_]
    """(b,) the puzzle ends with this row: of the chains that are right the first; if the budget is spent and
    none is, the first chain."""

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Moves:
        return Moves(*(getattr(self, f.name)[rows] for f in fields(self)))

    @staticmethod
    def concatenate(parts: list[Moves]) -> Moves:
        return Moves(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Moves)))
