"""Shortest paths and what counts as one: the label of a maze, and the rule that judges an answer.

Mazes have many shortest paths (a median of 3.8 million in Maze-Hard). The label is one of them, chosen
by a fixed rule; the judge takes any.

Legend: N mazes, L = rows * columns cells; `shape` is (rows, columns).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.maze.grid import FREE, GOAL, PAD, PATH, START, WALL
from envs.maze.kernels import contradicts_all, distances_all, judge_all, label_all
from envs.puzzle import Tokens


def label(inputs: Tokens, shape: tuple[int, int]) -> tuple[Tokens, NDArray[np.int64]]:
    """The solution of each maze (N, L) as the Maze-Hard set writes it, and the length of its path.

    From S always step to a neighbour that is one nearer to G; where several are, take the first of
    down, left, right, up. Returns (N, L) the mazes with the cells between S and G marked PATH, and
    (N,) the number of cells with both ends: 0 where G cannot be reached or where there is not one S
    and one G, and then nothing is marked.
    """
    inputs = _checked(inputs, shape)
    solution = np.empty_like(inputs)
    length = np.empty(len(inputs), np.int64)
    label_all(inputs, *shape, solution, length)
    return solution, length


def distances(inputs: Tokens, shape: tuple[int, int]) -> NDArray[np.int32]:
    """(N, L) steps from each cell to G; -1 for walls, for padding and for cells that do not reach G."""
    inputs = _checked(inputs, shape)
    result = np.empty(inputs.shape, np.int32)
    distances_all(inputs, *shape, result)
    return result


def judge(
    inputs: Tokens, answer: Tokens, shape: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(N,) whether each answer (N, L) is a shortest path, and (N,) how many cells its path is too long.

    The second is 0 for a shortest path and NaN where the answer draws no path: it must keep walls, S
    and G, answer every free cell with FREE or PATH, and its marks must form one line from S to G
    without branches that neither crosses nor touches itself. What is answered at padding does not
    matter. Any uint8 may stand in an answer.
    """
    inputs = _checked(inputs, shape)
    if answer.shape != inputs.shape:
        raise ValueError(f"answer has shape {answer.shape}; inputs have {inputs.shape}")
    solved = np.empty(len(inputs), np.bool_)
    excess = np.empty(len(inputs), np.float64)
    judge_all(inputs, np.ascontiguousarray(answer, np.uint8), *shape, solved, excess)
    return solved, excess


def contradicts(boards: Tokens, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) whether the PATH cells of each board (N, L) cannot be part of an answer, as far as a glance tells.

    A marked cell has more than two neighbours of its line (marks, S and G) or fewer than two that could be; S
    or G more than one or none that could be; the line closes a loop; or it joins S and G, and is longer than
    a shortest path or not all that is marked. Then S and G are joined, the board is a whole answer, and the
    rule may judge it: before that nothing asks how long a path is, or where one could go.
    A maze without one S and one G has no answer.
    """
    boards = _checked(boards, shape)
    result = np.empty(len(boards), np.bool_)
    contradicts_all(boards, *shape, result)
    return result


def broken_rules(inputs: Tokens, answer: Tokens, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(N, 4) what is wrong with each answer (N, L), the first that is: it overwrites a wall, S or G, or
    answers a free cell with neither FREE nor PATH; its marks do not join S and G; they do, but are not one
    line; the line is longer than a shortest path. None of them is what `judge` calls solved."""
    solved, excess = judge(inputs, answer, shape)
    marked = answer == PATH
    stands = (answer == inputs) | ((inputs == FREE) & (marked | (answer == FREE))) | (inputs == PAD)
    along = np.where((inputs == FREE) & ~marked, np.uint8(WALL), inputs)  # only marked cells can be walked
    joined = (distances(along, shape) * (inputs == START)).sum(axis=1) > 0
    first = np.select([solved, ~stands.all(axis=1), ~joined, np.isnan(excess)], [-1, 0, 1, 2], 3)
    return first[:, None] == np.arange(4)


def violations(inputs: Tokens, answer: Tokens, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(N, L) the cells that keep each answer (N, L) from being a shortest path; none of one that is.

    Those that overwrite a wall, S or G or answer a free cell with neither FREE nor PATH; marks with more or
    fewer than two neighbours in the line (marks, S and G), S or G with more or fewer than one; where S and G
    are joined, marks elsewhere; and of a line that is too long the cells that it enters without coming nearer
    to G.
    """
    marked = (answer == PATH) & (inputs == FREE)
    stands = (answer == inputs) | ((inputs == FREE) & (marked | (answer == FREE))) | (inputs == PAD)
    ends = (inputs == START) | (inputs == GOAL)
    line = (marked | ends).reshape(-1, *shape)
    beside = np.stack(_neighbours(line, fill=False)).sum(axis=0).reshape(inputs.shape)
    wrong = ~stands | ((marked | ends) & (beside != np.where(ends, 1, 2)))

    along = distances(np.where((inputs == FREE) & ~marked, np.uint8(WALL), inputs), shape)  # of marks alone
    joined = ((inputs == START) & (along > 0)).any(axis=1, keepdims=True)
    wrong |= joined & marked & (along < 0)
    left = distances(inputs, shape).reshape(-1, *shape)
    behind = along.reshape(-1, *shape) + 1
    for before, farther in zip(_neighbours(behind - 1, fill=-1), _neighbours(left, fill=-1), strict=True):
        enters = line & (before == behind) & (behind > 0)  # from that neighbour, on the way to G
        wrong |= (enters & (left != farther - 1)).reshape(inputs.shape)
    return wrong


def _neighbours(grids: NDArray[Any], fill: Any) -> list[NDArray[Any]]:
    """What lies above, below, to the left and to the right of each cell (N, rows, columns); `fill` beyond the
    edge."""
    wide = np.pad(grids, ((0, 0), (1, 1), (1, 1)), constant_values=fill)
    return [wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:]]


def _checked(inputs: Tokens, shape: tuple[int, int]) -> Tokens:
    if inputs.ndim != 2 or inputs.shape[1] != shape[0] * shape[1]:
        raise ValueError(f"mazes have shape {inputs.shape}; it must be (N, {shape[0]}*{shape[1]} cells)")
    return np.ascontiguousarray(inputs, np.uint8)
