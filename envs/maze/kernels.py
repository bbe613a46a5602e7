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


@njit(cache=True, nogil=True)
def transform_all(mazes, size, transforms, moved):
    """Each maze (N, L) of a square canvas under one of the eight symmetries of the square, numbered by
    transforms (N,), into moved (N, L).

    What is turned is the rectangle that holds all cells that are not padding; it ends at the top left.
    """
    extent = np.zeros(4, np.int64)
    for n in range(len(mazes)):
        moved[n] = PAD
        _bounds(mazes[n], size, extent)
        _transform(mazes[n], size, extent, transforms[n], moved[n])


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _bounds(maze, size, extent):
    """Top, left, height and width of the rectangle of a maze (L,) that holds all cells that are not padding, into
    extent (4,); an empty maze has height and width 0."""
    top, left, bottom, right = size, size, -1, -1
    for row in range(size):
        for column in range(size):
            if maze[row * size + column] != PAD:
                top, bottom = min(top, row), row
                left, right = min(left, column), max(right, column)
    extent[0], extent[1] = top, left
    extent[2], extent[3] = max(0, bottom - top + 1), max(0, right - left + 1)


@njit(cache=True, nogil=True)
def _transform(maze, size, extent, transform, moved):
    """Write the rectangle of a maze (L,) to the top left of moved (L,): rows reversed if bit 0 of `transform` is
    set, columns reversed if bit 1, then rows and columns exchanged if bit 2."""
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


@njit(cache=True, nogil=True)
def extents_all(mazes, size, extents):
    """Height and width of each maze (N, L) without its padding, into extents (N, 2)."""
    extent = np.zeros(4, np.int64)
    for n in range(len(mazes)):
        _bounds(mazes[n], size, extent)
        extents[n] = extent[2:]


@njit(cache=True, nogil=True)
def _try_unbiased(size, walls, fewest, most, state, cells, from_start, from_goal):
    """Draw one maze: S, G, then `walls` walls, each uniform among the cells left. Returns whether its shortest
    path has `fewest` to `most` cells; if so the maze is in cells (C,).

    Whether a cell is a wall is drawn when a search first touches it, with the probability `left / undecided` that
    it has given all cells drawn before: which cells are walls is then as uniform as if all had been drawn first,
    and a maze that is of no use is given up after a few of its cells. Two searches, from S and from G, take turns,
    the one with the smaller front next; where they first touch, their depths add up to the shortest path.
    """
    width = size + 2
    for row in range(1, size + 1):
        cells[row * width + 1 : row * width + size + 1] = _UNDECIDED
    start = _random_below(state, size * size)
    goal = _random_below(state, size * size - 1)
    goal += goal >= start
    start = (start // size + 1) * width + start % size + 1
    goal = (goal // size + 1) * width + goal % size + 1
    cells[start], cells[goal] = _FROM_START, _FROM_GOAL
    from_start[0], from_goal[0] = start, goal
    start_head, start_tail, goal_head, goal_tail = 0, 1, 0, 1
    undecided, left, length, met = size * size - 2, walls, 2, False
    while not met:
        if length > most:
            return False
        if start_tail - start_head <= goal_tail - goal_head:
            start_head, start_tail, undecided, left, met = _advance(
                cells, width, from_start, start_head, start_tail, _FROM_START, undecided, left, state
            )
            if start_head == start_tail:
                break
        else:
            goal_head, goal_tail, undecided, left, met = _advance(
                cells, width, from_goal, goal_head, goal_tail, _FROM_GOAL, undecided, left, state
            )
            if goal_head == goal_tail:
                break
        if not met:
            length += 1
    if not met or length < fewest:
        return False
    for row in range(1, size + 1):
        for cell in range(row * width + 1, row * width + size + 1):
            if cells[cell] == _UNDECIDED:
                wall = _random_below(state, undecided) < left
                undecided -= 1
                left -= wall
                cells[cell] = WALL if wall else FREE
            else:
                cells[cell] = WALL if cells[cell] == _CLOSED else FREE
    cells[start], cells[goal] = START, GOAL
    return True


@njit(cache=True, nogil=True)
def _advance(cells, width, queue, head, tail, mine, undecided, left, state):
    """Take one search a step further: its front is queue[head:tail]. Returns the new front, what is left to draw,
    and whether the other search was touched."""
    end = tail
    for place in range(head, end):
        cell = queue[place]
        for direction in range(4):
            near = cell + (width, -1, 1, -width)[direction]
            seen = cells[near]
            if seen == _UNDECIDED:
                wall = _random_below(state, undecided) < left
                undecided -= 1
                if wall:
                    left -= 1
                    cells[near] = _CLOSED
                else:
                    cells[near] = mine
                    queue[tail] = near
                    tail += 1
            elif seen != _CLOSED and seen != mine:
                return end, tail, undecided, left, True
    return end, tail, undecided, left, False


@njit(cache=True, nogil=True)
def make_all(size, fewest, most, two_sweeps, seeds, tries, most_tries, budget, mazes):
    """Draw mazes until each of N has a shortest path of `fewest` to `most` cells, into mazes (N, size * size).

    seeds: (N,) random state of each maze.  tries: (N,) draws so far.  Both are brought up to date, so that a call
    that ends for `budget`, the draws of one call, can be followed by another.  most_tries: gives up at a maze that
    takes more.  Returns the number of mazes that are ready, which are the first ones.
    """
    width = size + 2
    cells = np.full(width * width, _CLOSED)
    first, second = np.zeros(size * size, np.int32), np.zeros(size * size, np.int32)
    distance = np.zeros(len(cells), np.int32)
    passable = np.zeros(len(cells), np.bool_)
    lowest, highest = (3 * size * size + 9) // 10, size * size // 2  # 30 to 50 % of the cells
    for n in range(len(seeds)):
        state = seeds[n : n + 1]
        while True:
            if budget == 0 or tries[n] == most_tries:
                return n
            budget -= 1
            tries[n] += 1
            walls = lowest + _random_below(state, highest - lowest + 1)
            if two_sweeps:
                kept = _try_two_sweeps(size, walls, fewest, most, state, cells, passable, distance, first)
            else:
                kept = _try_unbiased(size, walls, fewest, most, state, cells, first, second)
            if kept:
                for row in range(size):
                    for column in range(size):
                        mazes[n, row * size + column] = cells[(row + 1) * width + column + 1]
                break
    return len(seeds)


@njit(cache=True, nogil=True)
def _try_two_sweeps(size, walls, fewest, most, state, cells, passable, distance, queue):
    """As `_try_unbiased`, but S and G are a pair of cells far apart: S is the cell farthest from a random one, G
    the cell farthest from S; of several, any."""
    width = size + 2
    source = _random_below(state, size * size)
    source = (source // size + 1) * width + source % size + 1
    undecided, left = size * size - 1, walls
    passable[:] = False
    for row in range(1, size + 1):
        for cell in range(row * width + 1, row * width + size + 1):
            if cell == source:
                passable[cell] = True
                continue
            wall = _random_below(state, undecided) < left
            undecided -= 1
            left -= wall
            passable[cell] = not wall
    start = _farthest(passable, width, source, distance, queue, state)
    goal = _farthest(passable, width, start, distance, queue, state)
    length = distance[goal] + 1
    if start == goal or length < fewest or length > most:
        return False
    for row in range(1, size + 1):
        for cell in range(row * width + 1, row * width + size + 1):
            cells[cell] = FREE if passable[cell] else WALL
    cells[start], cells[goal] = START, GOAL
    return True


@njit(cache=True, nogil=True)
def _farthest(passable, width, source, distance, queue, state):
    """A random one of the cells farthest from `source`."""
    reached = _spread(passable, width, source, 0, distance, queue)
    first = reached - 1
    while first > 0 and distance[queue[first - 1]] == distance[queue[reached - 1]]:
        first -= 1
    return queue[first + _random_below(state, reached - first)]
