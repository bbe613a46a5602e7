"""All compiled code of mazes: shortest paths, the rule, symmetries, generators.

It stands in one file because Numba's cache notices a change in the file of a function, not in those it calls.
Grids are walked with a border of walls around them, so that no step has to ask whether it leaves the canvas: a
cell's number is then `(row + 1) * width + column + 1` with `width = columns + 2`. `nogil` lets threads make
mazes side by side.

Legend: N mazes, L = rows * columns cells of the canvas; C cells with the border; `state` a (1,) uint64 random
state.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.maze.grid import FREE, GOAL, PAD, PATH, START, WALL

# What a generator knows of a cell: not decided yet, wall, reached from S, reached from G.
_UNDECIDED, _CLOSED, _FROM_START, _FROM_GOAL = np.uint8(0), np.uint8(1), np.uint8(2), np.uint8(3)


@njit(cache=True, nogil=True)
def _next_random(state):
    """One step of splitmix64; `state` is a (1,) uint64 array. The kernels carry their own generator so that
    a maze depends on its seed alone, never on which thread made it."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _random_below(state, bound):
    """Integer in 0..bound-1 (bias below 2^-18 for the bounds used here)."""
    return np.int64(((_next_random(state) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _load(maze, rows, columns, passable):
    """Fill passable (C,) from the tokens of a maze (L,). Returns the cells of S and G, 0 for one that is missing
    or there twice."""
    width = columns + 2
    start, goal, starts, goals = 0, 0, 0, 0
    passable[:] = False
    for row in range(rows):
        for column in range(columns):
            token = maze[row * columns + column]
            cell = (row + 1) * width + column + 1
            passable[cell] = token != PAD and token != WALL
            if token == START:
                start = cell
                starts += 1
            elif token == GOAL:
                goal = cell
                goals += 1
    return (start if starts == 1 else 0), (goal if goals == 1 else 0)


@njit(cache=True, nogil=True)
def _spread(passable, width, source, target, distance, queue):
    """Breadth-first distances of passable cells (C,) from `source`, in steps, -1 where it cannot be reached.

    Stops when `target` is reached (0 for none): then only cells nearer than it are sure to have their distance.
    Returns the number of cells reached, which are queue[:number] in order of distance.
    """
    distance[:] = -1
    distance[source] = 0
    queue[0] = source
    head, tail = 0, 1
    while head < tail:
        cell = queue[head]
        head += 1
        if cell == target:
            break
        for direction in range(4):
            near = cell + (width, -1, 1, -width)[direction]
            if passable[near] and distance[near] < 0:
                distance[near] = distance[cell] + 1
                queue[tail] = near
                tail += 1
    return tail


@njit(cache=True, nogil=True)
def label_all(mazes, rows, columns, solutions, lengths):
    """The deterministic shortest path of each maze (N, L), into solutions (N, L) and lengths (N,); see `label`."""
    width = columns + 2
    passable = np.zeros((rows + 2) * width, np.bool_)
    distance = np.zeros(len(passable), np.int32)
    queue = np.zeros(len(passable), np.int32)
    for n in range(len(mazes)):
        solutions[n] = mazes[n]
        lengths[n] = 0
        start, goal = _load(mazes[n], rows, columns, passable)
        if start == 0 or goal == 0:
            continue
        _spread(passable, width, goal, start, distance, queue)
        if distance[start] < 0:
            continue
        lengths[n] = distance[start] + 1
        cell = start
        while distance[cell] > 1:
            for direction in range(4):
                near = cell + (width, -1, 1, -width)[direction]  # down, left, right, up
                if distance[near] == distance[cell] - 1:
                    cell = near
                    break
            solutions[n, (cell // width - 1) * columns + cell % width - 1] = PATH


@njit(cache=True, nogil=True)
def distances_all(mazes, rows, columns, distances):
    """Steps to G from each cell of each maze (N, L), into distances (N, L); -1 for walls, for cells that do not
    reach G, and everywhere in a maze without exactly one G."""
    width = columns + 2
    passable = np.zeros((rows + 2) * width, np.bool_)
    distance = np.zeros(len(passable), np.int32)
    queue = np.zeros(len(passable), np.int32)
    for n in range(len(mazes)):
        distances[n] = -1
        _, goal = _load(mazes[n], rows, columns, passable)
        if goal == 0:
            continue
        _spread(passable, width, goal, 0, distance, queue)
        for row in range(rows):
            for column in range(columns):
                distances[n, row * columns + column] = distance[(row + 1) * width + column + 1]


@njit(cache=True, nogil=True)
def _line_steps(maze, answer, rows, columns, marked):
    """Steps of the line from S to G that an answer (L,) draws in a maze (L,), 0 if it draws none.

    A line keeps everything that is given, marks nothing but itself and never touches itself: following it, every
    marked cell has one marked neighbour behind it and one before it.  marked: (C,) scratch.
    """
    width = columns + 2
    marked[:] = False
    start, goal, marks = 0, 0, 0
    for row in range(rows):
        for column in range(columns):
            place = row * columns + column
            given, token = maze[place], answer[place]
            if given == PAD:
                continue
            if given == FREE:
                if token == FREE:
                    continue
                if token != PATH:
                    return 0
            elif token != given:
                return 0
            elif given == WALL:
                continue
            cell = (row + 1) * width + column + 1
            if given == START:
                if start != 0:
                    return 0
                start = cell
            elif given == GOAL:
                if goal != 0:
                    return 0
                goal = cell
            marked[cell] = True
            marks += 1
    if start == 0 or goal == 0:
        return 0
    before, cell, steps = 0, start, 0
    while cell != goal:
        following, neighbours = 0, 0
        for direction in range(4):
            near = cell + (width, -1, 1, -width)[direction]
            if marked[near] and near != before:
                following = near
                neighbours += 1
        if neighbours != 1:
            return 0
        before, cell = cell, following
        steps += 1
    ends = 0
    for direction in range(4):
        ends += marked[goal + (width, -1, 1, -width)[direction]]
    return steps if ends == 1 and steps == marks - 1 else 0


@njit(cache=True, nogil=True)
def judge_all(mazes, answers, rows, columns, solved, excess):
    """Whether each answer (N, L) is a shortest path, into solved (N,), and the steps that a line is longer, into
    excess (N,); see `judge`."""
    width = columns + 2
    passable = np.zeros((rows + 2) * width, np.bool_)
    distance = np.zeros(len(passable), np.int32)
    queue = np.zeros(len(passable), np.int32)
    for n in range(len(mazes)):
        solved[n] = False
        excess[n] = np.nan
        steps = _line_steps(mazes[n], answers[n], rows, columns, passable)
        if steps > 0:
            start, goal = _load(mazes[n], rows, columns, passable)
            _spread(passable, width, goal, start, distance, queue)
            excess[n] = steps - distance[start]
            solved[n] = steps == distance[start]
