"""Compiled code that reads mazes: shortest paths, the rule, symmetries. What draws them is in sampling.py.

Numba's cache notices a change in the file of a function, not in those it calls: no function here calls one of
another file.
Grids are walked with a border of walls around them, so that no step has to ask whether it leaves the
canvas: a cell's number is then `(row + 1) * width + column + 1` with `width = columns + 2`. `nogil`
lets a background thread make puzzles.

Legend: N mazes, L = rows * columns cells of the canvas, C cells with the border.
"""

from __future__ import annotations

import numpy as np

from envs.compiling import compiled
from envs.maze.grid import FREE, GOAL, PAD, PATH, START, WALL


@compiled
def _load(maze, rows, columns, passable):
    """Fill passable (C,) from the tokens of a maze (L,). Returns the cells of S and G, 0 for one that is
    missing or there twice."""
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


@compiled
def _spread(passable, width, source, target, distance, queue):
    """Breadth-first distances of passable cells (C,) from `source`, in steps, -1 where it cannot be reached.

    Stops when `target` is reached (0 for none): then only cells nearer than it are sure to have their
    distance. Returns the number of cells reached, which are queue[:number] in order of distance.
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


@compiled
def label_all(mazes, rows, columns, solutions, lengths):
    """The deterministic shortest path of each maze (N, L), into solutions (N, L) and lengths (N,); see
    `label`."""
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


@compiled
def distances_all(mazes, rows, columns, distances):
    """Steps to G from each cell of each maze (N, L), into distances (N, L); -1 for walls, for cells that do
    not reach G, and everywhere in a maze without exactly one G."""
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


@compiled
def _line_steps(maze, answer, rows, columns, marked):
    """Steps of the line from S to G that an answer (L,) draws in a maze (L,), 0 if it draws none.

    A line keeps everything that is given, marks nothing but itself and never touches itself: following it,
    every marked cell has one marked neighbour behind it and one before it.  marked: (C,) scratch.
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


@compiled
def judge_all(mazes, answers, rows, columns, solved, excess):
    """Whether each answer (N, L) is a shortest path, into solved (N,), and the steps that a line is
    longer, into excess (N,); see `judge`."""
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


@compiled
def contradicts_all(boards, rows, columns, result):
    """Whether the marks of each board (N, L) cannot be part of an answer, into result (N,); see
    `contradicts`."""
    width = columns + 2
    passable = np.zeros((rows + 2) * width, np.bool_)
    line = np.zeros(len(passable), np.bool_)
    joined = np.zeros(len(passable), np.int64)
    distance = np.zeros(len(passable), np.int32)
    queue = np.zeros(len(passable), np.int32)
    for n in range(len(boards)):
        start, goal = _load(boards[n], rows, columns, passable)
        result[n] = start == 0 or goal == 0 or _misplaced(boards[n], rows, columns, passable, line, joined)
        if result[n]:
            continue
        # Now the line falls into pieces with two ends, and loops.
        end, steps = _take_away(start, width, line)
        if end == goal:
            _spread(passable, width, goal, start, distance, queue)
            result[n] = line.any() or steps > distance[start]
        else:
            for cell in range(len(line)):
                if line[cell] and joined[cell] < 2:
                    _take_away(cell, width, line)
            result[n] = line.any()  # a loop has no end to be taken away from


@compiled
def _misplaced(board, rows, columns, passable, line, joined):
    """Fill line (C,), the cells of a board (L,) that are S, G or marked, and joined (C,), how many of its
    neighbours each of them has in the line. Returns whether one has more than it can have, two or for an
    end one, or has no passable neighbours for that many."""
    width = columns + 2
    line[:] = False
    for row in range(rows):
        for column in range(columns):
            token = board[row * columns + column]
            line[(row + 1) * width + column + 1] = token in (START, GOAL, PATH)
    for row in range(rows):
        for column in range(columns):
            cell = (row + 1) * width + column + 1
            if not line[cell]:
                continue
            open_sides, joined[cell] = 0, 0
            for direction in range(4):
                near = cell + (width, -1, 1, -width)[direction]
                open_sides += passable[near]
                joined[cell] += line[near]
            wanted = 2 if board[row * columns + column] == PATH else 1
            if joined[cell] > wanted or open_sides < wanted:
                return True
    return False


@compiled
def _take_away(cell, width, line):
    """Take the piece that ends in `cell` out of line (C,). Returns its other end and the steps between."""
    steps = 0
    while True:
        line[cell] = False
        following = 0
        for direction in range(4):
            near = cell + (width, -1, 1, -width)[direction]
            if line[near]:
                following = near
        if following == 0:
            return cell, steps
        cell = following
        steps += 1


@compiled
def transform_all(mazes, size, transforms, moved):
    """Each maze (N, L) of a square canvas under one of the eight symmetries of the square, numbered by
    transforms (N,), into moved (N, L).

    What is moved is the rectangle that holds all cells that are not padding; it ends at the top left.
    """
    extent = np.zeros(4, np.int64)
    for n in range(len(mazes)):
        moved[n] = PAD
        _bounds(mazes[n], size, extent)
        _transform(mazes[n], size, extent, transforms[n], moved[n])


@compiled
def canonical_all(mazes, size, smallest):
    """The lexicographically smallest of the eight transforms of each maze (N, L), into smallest (N, L)."""
    extent = np.zeros(4, np.int64)
    candidate = np.zeros(size * size, np.uint8)
    for n in range(len(mazes)):
        smallest[n] = PAD
        _bounds(mazes[n], size, extent)
        _transform(mazes[n], size, extent, 0, smallest[n])
        for transform in range(1, 8):
            candidate[:] = PAD
            _transform(mazes[n], size, extent, transform, candidate)
            for cell in range(size * size):
                if candidate[cell] != smallest[n, cell]:
                    if candidate[cell] < smallest[n, cell]:
                        smallest[n] = candidate
                    break


@compiled
def _bounds(maze, size, extent):
    """Top, left, height and width of the rectangle of a maze (L,) that holds all cells that are not padding,
    into extent (4,); an empty maze has height and width 0."""
    top, left, bottom, right = size, size, -1, -1
    for row in range(size):
        for column in range(size):
            if maze[row * size + column] != PAD:
                top, bottom = min(top, row), row
                left, right = min(left, column), max(right, column)
    extent[0], extent[1] = top, left
    extent[2], extent[3] = max(0, bottom - top + 1), max(0, right - left + 1)


@compiled
def _transform(maze, size, extent, transform, moved):
    """Write the rectangle of a maze (L,) to the top left of moved (L,): rows reversed if bit 0 of `transform`
    is set, columns reversed if bit 1, then rows and columns exchanged if bit 2."""
    top, left, height, width = extent
    for i in range(height):
        row = top + (height - 1 - i if transform & 1 else i)
        for j in range(width):
            column = left + (width - 1 - j if transform & 2 else j)
            token = maze[row * size + column]
            if transform & 4:
                moved[j * size + i] = token
            else:
                moved[i * size + j] = token


@compiled
def extents_all(mazes, size, extents):
    """Height and width of each maze (N, L) without its padding, into extents (N, 2)."""
    extent = np.zeros(4, np.int64)
    for n in range(len(mazes)):
        _bounds(mazes[n], size, extent)
        extents[n] = extent[2:]
