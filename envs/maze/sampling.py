"""Compiled code that draws random mazes until one has a path of the wanted length.

Of a hundred thousand random mazes of 30x30 two have a path of 110 cells, so all is done to be quick
with the others. A row of a maze is a word with a bit for each column, and all cells of a row are
drawn, and reached by a search, at once. A board is 7 groups of n + 2 rows in one array, of which the
first and the last row of each stay empty:

    0 the free cells             1 free cells the first search has not reached    2 ... the second search
    3 and 4 the fronts of the two searches: the cells reached last                5 and 6 their next fronts

All of it stands in one file because Numba's cache notices a change in the file of a function, not in those it
calls. `nogil` lets threads draw side by side. Loops count in unsigned numbers, which spares Numba the
question whether an index is negative, and so lets it take several rows at once.

Legend: N mazes; n rows and columns, 64 at most; rows are numbered 1..n, columns 0..n-1; `board` (7 * (n +
2),) uint64; `seed` a uint64 random state, always given back.
"""

from __future__ import annotations

import numpy as np

from envs.compiling import compiled
from envs.maze.grid import FREE, GOAL, START, WALL

# Numba makes a float of a uint64 and a Python integer.
_0, _1, _2, _3, _4, _5, _6 = (np.uint64(number) for number in range(7))
_32 = np.uint64(32)


@compiled
def _next_random(seed):
    """One step of splitmix64: the new state and 64 random bits. A maze depends on its seed alone, never on
    which thread made it."""
    seed += np.uint64(0x9E3779B97F4A7C15)
    z = seed
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return seed, z ^ (z >> np.uint64(31))


@compiled
def _random_below(seed, bound):
    """The new state and an integer in 0..bound-1 (bias below 2^-19 for the bounds used here)."""
    seed, z = _next_random(seed)
    return seed, ((z >> _32) * np.uint64(bound)) >> _32


@compiled
def _ones(word):
    """The number of bits that are set."""
    word -= (word >> _1) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled
def _draw_walls(n, walls, seed, board):
    """Draw a board with exactly `walls` walls, every choice of their cells as likely as any other.

    First every cell is a wall with a probability close to walls / n^2, in steps of 1/256: its number
    of eight random bits is below that, compared bit by bit for 64 cells at once. Then walls are added
    to, or taken from, random cells until their number is right. Both steps treat all cells alike, so
    that all choices stay equally likely.
    """
    size = np.uint64(n)
    row_mask = ~_0 >> (np.uint64(64) - size)
    chance = np.uint64((walls * 256 + n * n // 2) // (n * n))
    rows_in_word = np.uint64(64) // size
    drawn, row = _0, _1
    while row <= size:
        word = _0
        for bit in range(np.uint64(8)):
            seed, z = _next_random(seed)
            either = _0 - ((chance >> bit) & _1)  # all ones if this bit of `chance` is set
            word = (word & z) | (either & (word | z))
        for place in range(min(rows_in_word, size - row + _1)):
            board[row] = (word >> (place * size)) & row_mask
            drawn += _ones(board[row])
            row += _1
    missing = np.int64(walls) - np.int64(drawn)
    wanted = _0 if missing > 0 else _1  # the cells to be changed: free ones, or walls
    missing = abs(missing)
    while missing > 0:
        seed, cell = _random_below(seed, size * size)
        row, column = cell // size + _1, cell % size
        if (board[row] >> column) & _1 == wanted:
            board[row] ^= _1 << column
            missing -= 1
    for place in range(_1, size + _1):
        board[place] ^= row_mask
    return seed


@compiled
def _free_cell(n, seed, board):
    """A random free cell: the new state, its row and its column."""
    size = np.uint64(n)
    while True:
        seed, cell = _random_below(seed, size * size)
        row, column = cell // size + _1, cell % size
        if (board[row] >> column) & _1:
            return seed, row, column


@compiled
def _begin(n, search, row, column, board):
    """Let search 0 or 1 begin at a cell."""
    group = np.uint64(n + 2)
    unseen, front, after = group * (_1 + search), group * (_3 + search), group * (_5 + search)
    for place in range(group):
        board[unseen + place] = board[place]
        board[front + place] = _0
        board[after + place] = _0
    board[front + row] = _1 << column
    board[unseen + row] ^= _1 << column


@compiled
def _advance(board, front, after, unseen, other, top, bottom):
    """Take one search a step further, where its next front lies in rows top..bottom; the arguments are where
    the groups of rows begin. Returns the bits of the next front and those that it shares with the other
    search's."""
    reached, shared = _0, _0
    for row in range(top, bottom + _1):
        here = board[front + row]
        near = (here << _1) | (here >> _1) | board[front + row - _1] | board[front + row + _1]
        near &= board[unseen + row]
        board[unseen + row] ^= near
        board[after + row] = near
        reached |= near
        shared |= near & board[other + row]
    return reached, shared


@compiled
def _path_length(n, start_row, start_column, goal_row, goal_column, board):
    """Cells of the shortest path between two cells, 0 if there is none.

    Two searches, from S and from G, take turns: their fronts first share a cell when their depths add up to
    the distance, and one that is shut in is soon at its end.
    """
    size, group = np.uint64(n), np.uint64(n + 2)
    _begin(n, _0, start_row, start_column, board)
    _begin(n, _1, goal_row, goal_column, board)
    front, after, other, other_after = _3 * group, _5 * group, _4 * group, _6 * group
    unseen, other_unseen = group, _2 * group
    top, bottom, other_top, other_bottom = start_row, start_row, goal_row, goal_row
    length = 1
    while True:
        length += 1
        top, bottom = max(_1, top - _1), min(size, bottom + _1)
        reached, shared = _advance(board, front, after, unseen, other, top, bottom)
        if shared:
            return length
        if not reached:
            return 0
        front, after, other, other_after = other, other_after, after, front
        unseen, other_unseen = other_unseen, unseen
        top, bottom, other_top, other_bottom = other_top, other_bottom, top, bottom


@compiled
def draw_all(n, fewest, most, seeds, tries, most_tries, budget, mazes):
    """Draw mazes until each of N has a shortest path of `fewest` to `most` cells, into mazes (N, n * n).

    seeds: (N,) random state of each maze.  tries: (N,) draws so far.  Both are updated, so that a call that
    ends for `budget`, the draws of one call, can be followed by another.  most_tries: gives up at a maze that
    takes more.  Returns the number of mazes that are ready, which are the first ones.
    """
    board = np.zeros(7 * (n + 2), np.uint64)
    lowest, highest = (3 * n * n + 9) // 10, n * n // 2  # 30 to 50 % of the cells
    for i in range(len(seeds)):
        seed = seeds[i]
        while True:
            if budget == 0 or tries[i] == most_tries:
                seeds[i] = seed
                return i
            budget -= 1
            tries[i] += 1
            seed, more = _random_below(seed, highest - lowest + 1)
            seed = _draw_walls(n, lowest + np.int64(more), seed, board)
            seed, row, column = _free_cell(n, seed, board)
            goal_row, goal_column = row, column
            while goal_row == row and goal_column == column:
                seed, goal_row, goal_column = _free_cell(n, seed, board)
            length = _path_length(n, row, column, goal_row, goal_column, board)
            if fewest <= length <= most:
                break
        seeds[i] = seed
        for y in range(n):
            for x in range(n):
                mazes[i, y * n + x] = FREE if (board[y + 1] >> np.uint64(x)) & _1 else WALL
        mazes[i, (np.int64(row) - 1) * n + np.int64(column)] = START
        mazes[i, (np.int64(goal_row) - 1) * n + np.int64(goal_column)] = GOAL
    return len(seeds)
