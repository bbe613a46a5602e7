"""The eight symmetries of a square: what turns a maze into one that is as hard.

A maze that is smaller than its canvas is turned within the rectangle it fills and stays at the top left.
A solution must not be turned: which of the shortest paths is the label depends on the directions (see `label`).

Legend: N mazes, L = size * size cells of a square canvas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.maze.kernels import canonical_all, extents_all, transform_all
from envs.puzzle import Tokens

SYMMETRIES = 8


def transform(inputs: Tokens, size: int, which: NDArray[np.int64]) -> Tokens:
    """Each maze (N, L) under the symmetry which (N,), 0..7: rows reversed (1), columns reversed (2), then rows and
    columns exchanged (4). 0 moves a maze to the top left and changes nothing else."""
    moved = np.empty_like(inputs)
    transform_all(np.ascontiguousarray(inputs), size, which, moved)
    return moved


def canonical(inputs: Tokens, size: int) -> Tokens:
    """(N, L) the smallest of the eight transforms of each maze, cells compared in order: the same exactly for
    mazes that a symmetry turns into one another."""
    smallest = np.empty_like(inputs)
    canonical_all(np.ascontiguousarray(inputs), size, smallest)
    return smallest


def extents(inputs: Tokens, size: int) -> NDArray[np.int64]:
    """(N, 2) rows and columns of each maze (N, L) without its padding."""
    result = np.empty((len(inputs), 2), np.int64)
    extents_all(np.ascontiguousarray(inputs), size, result)
    return result
