"""How well a model continues text that it has not seen, and how long it thinks about each token.

Every token that has a successor counts as a puzzle of its own: exact and solved are the share of tokens whose
successor is the likeliest one; `bits_per_byte` is the cross entropy.
Legend: N windows, L tokens a window, T tokens with a successor, K segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs import PAD, PuzzleBatch, PuzzleTask
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.text.thinking import think_tokens

SLOTS = 64
"""Windows that are thought about at once: each holds as much as many puzzles."""


@dataclass(frozen=True)
class Read:
    """What a model made of every token with a successor, after every segment."""

    bits: NDArray[np.float64]
    """(K, T) cross entropy of the successor, in bits a byte."""
    right: NDArray[np.bool_]
    """(K, T) whether the likeliest successor is the right one."""
    stops: NDArray[np.bool_]
    """(K, T) whether the stopping rule says so after this segment; it may have said so before."""
    q: NDArray[np.float32]
    """(K, T, 2)"""
    agreed: NDArray[np.int64]
    """(K, T) as in `Thoughts`, as are the next two."""
    change: NDArray[np.float32]
    """(K, T)"""
    entropy: NDArray[np.float32]
    """(K, T)"""
    answer: NDArray[np.uint8]
    """(K, T)"""
    level: NDArray[np.int64]
    """(T,) of the window."""

    @property
    def spent(self) -> NDArray[np.int64]:
        """(T,) the segments after which each token stopped: the budget, where it never did."""
        return np.where(self.stopped, self.stops.argmax(axis=0), len(self.stops) - 1) + 1

    @property
    def stopped(self) -> NDArray[np.bool_]:
        """(T,) whether each token stopped before the budget was spent, or with its last segment by itself."""
        found: NDArray[np.bool_] = self.stops.sum(axis=0) > 0
        return found


def counted(task: PuzzleTask, puzzles: PuzzleBatch) -> PuzzleBatch:
    """What counts as a puzzle: of a text, every token that has a successor (T puzzles of one token)."""
    if not task.next_token:
        return puzzles
    there = puzzles.solution != PAD
    each = there.sum(axis=1)
    level, identifier = np.repeat(puzzles.level, each), np.repeat(puzzles.identifier, each)
    return PuzzleBatch(puzzles.inputs[there][:, None], puzzles.solution[there][:, None], level, identifier)


def read_tokens(
    solver: Solver,
    windows: PuzzleBatch,
    stopping: Stopping,
    flat: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Read:
    """Let a model read all windows. flat: by its flat path, in one segment."""
    widths = solver.task.token_widths()
    parts: list[list[tuple[NDArray, ...]]] = []
    for start in range(0, len(windows), SLOTS):
        some = windows.take(slice(start, start + SLOTS))
        there = some.solution.reshape(-1) != PAD
        following = some.solution.reshape(-1)[there].astype(np.int64)
        width = widths[following]
        parts.append([])
        for found in think_tokens(solver, some, stopping, flat):
            thoughts = found.thoughts
            log_p = found.log_p.flatten(0, 1).numpy()[there]
            bits = -log_p[np.arange(len(following)), following].astype(np.float64) / math.log(2) / width
            answer = thoughts.answer[there, 0]
            kept = thoughts.take(there)
            parts[-1].append(
                (bits, answer == following, kept.done, kept.q, kept.agreed, kept.change, kept.entropy, answer)
            )
        progress(start + len(some))
    columns = zip(*[[np.stack(column) for column in zip(*part, strict=True)] for part in parts], strict=True)
    bits, right, stops, q, agreed, change, entropy, answer = (np.concatenate(c, axis=1) for c in columns)
    level = np.repeat(windows.level, (windows.solution != PAD).sum(axis=1))
    return Read(bits, right, stops, q, agreed, change, entropy, answer, level)
