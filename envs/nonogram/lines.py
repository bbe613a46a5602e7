"""Lines of a nonogram: their clues, and what a line alone tells of its cells.

Legend: N grids, n cells a line, m = (n + 1) // 2 numbers a clue at most, P = 2**n ways to fill a line.
A clue is m numbers, the last ones used, the others -1; an empty line has the one number 0.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError

Clues = NDArray[np.int8]
"""(N, 2, n, m) of the rows, then of the columns."""
OPEN = -1
"""A cell that is not known; else 0 is empty and 1 filled."""


@cache
def fillings(n: int) -> NDArray[np.int8]:
    """(P, n) all ways to fill a line."""
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.int8)


@cache
def clues_of_fillings(n: int) -> Clues:
    """(P, m) the clue of each."""
    found = np.full((2**n, (n + 1) // 2), -1, np.int8)
    for row, line in zip(found, fillings(n), strict=True):
        runs = [len(run) for run in "".join(map(str, line)).split("0") if run] or [0]
        row[-len(runs) :] = runs
    return found


def clues_of(grids: NDArray[np.int8]) -> Clues:
    """The clues of grids (N, n, n) of 0 and 1."""
    n = grids.shape[1]
    both = np.stack([grids, grids.transpose(0, 2, 1)], axis=1)
    return clues_of_fillings(n)[(both.astype(np.int64) << np.arange(n)).sum(axis=-1)]


def one_pass(clues: Clues, known: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """What rows and then columns tell, each line by itself: the grids (N, n, n) with more known, and (N,)
    where a line cannot be filled any more."""
    every, stuck = fillings(known.shape[1]), np.zeros(len(known), np.bool_)
    known = known.copy()
    for side in range(2):
        lines = known if side == 0 else known.transpose(0, 2, 1)
        fits = _fitting(clues[:, side], lines)
        stuck |= ~fits.any(axis=-1).all(axis=-1)
        can = [(fits[..., None] & (every == value)).any(axis=2) for value in (0, 1)]
        lines[:] = np.where(can[0] & can[1], OPEN, can[1].astype(np.int8))
    return known, stuck


def _fitting(clues: NDArray[np.int8], lines: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(N, n, P) which fillings have the clues (N, n, m) of lines (N, n, n) and agree with what is known."""
    n = lines.shape[2]
    agrees = (lines[:, :, None] == fillings(n)) | (lines[:, :, None] == OPEN)
    found: NDArray[np.bool_] = agrees.all(axis=-1) & (clues[:, :, None] == clues_of_fillings(n)).all(axis=-1)
    return found


def impossible(clues: Clues, known: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(N,) whether a row or a column of the grids (N, n, n), by itself, cannot be filled any more."""
    rows, columns = (_fitting(clues[:, 0], known), _fitting(clues[:, 1], known.transpose(0, 2, 1)))
    found: NDArray[np.bool_] = np.logical_not((rows.any(axis=-1) & columns.any(axis=-1)).all(axis=-1))
    return found


def passes(clues: Clues, most: int) -> NDArray[np.int64]:
    """(N,) passes of line logic until every cell is known, most + 1 where that many do not do it."""
    n = clues.shape[2]
    known = np.full((len(clues), n, n), OPEN, np.int8)
    needed = np.full(len(clues), most + 1)
    for number in range(1, most + 1):
        known, _ = one_pass(clues, known)
        done = (known != OPEN).all(axis=(1, 2))
        needed = np.where(done, np.minimum(needed, number), needed)
    return needed


def fill(clues: Clues) -> NDArray[np.int8]:
    """(n, n) a grid with these clues (1, 2, n, m), found by line logic and, where that ends, by trying.
    Raises DataError where there is none."""
    n = clues.shape[2]
    waiting = [np.full((1, n, n), OPEN, np.int8)]
    while waiting:
        before, known = None, waiting.pop()
        stuck = np.zeros(1, np.bool_)
        while not stuck[0] and (before is None or (known != before).any()):
            before = known
            known, stuck = one_pass(clues, known)
        if stuck[0]:
            continue
        left = np.argwhere(known[0] == OPEN)
        if not len(left):
            return known[0]
        for value in (0, 1):
            tried = known.copy()
            tried[0, left[0][0], left[0][1]] = value
            waiting.append(tried)
    raise DataError("no grid has these clues")
