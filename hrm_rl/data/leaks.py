"""Whether puzzles held out for evaluation were trained on, up to symmetry: rotated, mirrored or relabelled.

Two puzzles are *twins* if a symmetry of their task turns one into the other, equal ones included.
Legend: N puzzles of a pool, H held-out ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch, PuzzleTask, fingerprint
from envs.puzzle import Puzzles

_IDENTITY = np.uint64(0x9E3779B97F4A7C15)
"""Keeps what it is multiplied by apart from hashes that it is added to."""

CHUNK = 8192
"""Puzzles of a pool that are in memory at a time."""


@dataclass(frozen=True)
class Keys:
    """What tells the puzzles of a pool apart, (N,) each."""

    puzzle: NDArray[np.uint64]
    """Equal for equal puzzles of one identity."""
    family: NDArray[np.uint64]
    """Equal for twins (see `family_of`)."""
    level: NDArray[np.int64]
    secret: NDArray[np.bool_]
    """Never to be trained on (`task.secret`)."""

    @staticmethod
    def of(task: PuzzleTask, puzzles: Puzzles) -> Keys:
        """One pass over the pool."""
        keys = Keys(
            np.empty(len(puzzles), np.uint64),
            np.empty(len(puzzles), np.uint64),
            np.empty(len(puzzles), np.int64),
            np.empty(len(puzzles), np.bool_),
        )
        for start in range(0, len(puzzles), CHUNK):
            chunk = puzzles.take(slice(start, start + CHUNK))
            rows = slice(start, start + len(chunk))
            keys.puzzle[rows] = fingerprint(chunk.inputs) + _IDENTITY * chunk.identifier.astype(np.uint64)
            keys.family[rows] = family_of(task, chunk)
            keys.level[rows] = chunk.level
            keys.secret[rows] = task.secret(chunk)
        return keys


def twins(
    task: PuzzleTask, pool: Puzzles, family: NDArray[np.uint64], held_out: PuzzleBatch
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which puzzles of the pool have a twin among the held-out ones (N,), and the reverse (H,).

    family: (N,) `Keys.family` of the pool. Canonical forms decide, for the few puzzles whose family occurs on
    both sides.
    """
    in_pool, in_held_out = np.zeros(len(family), np.bool_), np.zeros(len(held_out), np.bool_)
    own = family_of(task, held_out)
    rows = np.flatnonzero(np.isin(family, own))
    suspects = np.flatnonzero(np.isin(own, family[rows]))
    if not len(rows):
        return in_pool, in_held_out
    forms = np.concatenate(
        [_form(task, pool.take(rows[start : start + CHUNK])) for start in range(0, len(rows), CHUNK)]
    )
    own_forms = _form(task, held_out.take(suspects))
    in_pool[rows] = np.isin(forms, own_forms)
    in_held_out[suspects] = np.isin(own_forms, forms)
    return in_pool, in_held_out


def family_of(task: PuzzleTask, puzzles: PuzzleBatch) -> NDArray[np.uint64]:
    """(N,) what twins share: `task.invariant`, and the solution where only the label tells which is right.
    The same grid under another rule is another puzzle."""
    return task.invariant(puzzles.inputs) + _label(task, puzzles)


def _form(task: PuzzleTask, puzzles: PuzzleBatch) -> NDArray[np.uint64]:
    return fingerprint(task.canonical(puzzles.inputs)) + _label(task, puzzles)


def _label(task: PuzzleTask, puzzles: PuzzleBatch) -> NDArray[np.uint64]:
    if not task.label_decides:
        return np.zeros(len(puzzles), np.uint64)
    return _IDENTITY * fingerprint(task.canonical(puzzles.solution))
