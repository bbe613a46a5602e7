"""The compiled code of Sudoku's search, rule and generator.

It stands in one file because Numba's cache notices a change in the file of a function, not in those it calls.
A digit d is the bit `1 << (d - 1)`; a cell holds one bit, or 0 when empty; a set of digits is a mask. The
search keeps an explicit stack, because self-recursive functions loaded from Numba's cache crash, and takes
assignments back along a trail instead of copying boards. `nogil` lets a background thread make puzzles.

Legend: N puzzles, n digits, L = n*n cells; `board` is a Board, `work` a Workspace, `state` a (1,) uint64
random state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiling import compiled

SOLVED = -1
CONTRADICTION = -2
GAVE_UP = -1
"""In place of a number of solutions: the search took more guesses than it may."""

# np.int64, because Numba recompiles a function for every Python integer that it is called with.
_ZERO, _ONE, _NO_CELL, _NO_BOUND = np.int64(0), np.int64(1), np.int64(-1), np.int64(1 << 62)

_POPCOUNT = np.array([bin(mask).count("1") for mask in range(1 << 9)], np.int32)


class Workspace(NamedTuple):
    """The memory of one search, allocated once per kernel call."""

    cells: NDArray[np.int32]  # (L,) digit bit or 0
    used: NDArray[np.int32]  # (3n,) digits placed in each unit
    once: NDArray[np.int32]  # (3n,) scratch of `_propagate`
    twice: NDArray[np.int32]  # (3n,) scratch of `_propagate`
    trail: NDArray[np.int64]  # (L,) cells in the order they were assigned
    branch_cell: NDArray[np.int64]  # (L,) stack: the cell guessed at ...
    branch_left: NDArray[np.int64]  # (L,) ... the digits not tried there yet ...
    branch_mark: NDArray[np.int64]  # (L,) ... and the length of the trail before the guess
    found: NDArray[np.int32]  # (L,) the first solution, as digit bits ...
    other: NDArray[np.int32]  # (L,) ... and the second


@compiled
def _new_workspace(board):
    n, units = board.size * board.size, 3 * board.size
    return Workspace(
        np.zeros(n, np.int32),
        np.zeros(units, np.int32),
        np.zeros(units, np.int32),
        np.zeros(units, np.int32),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
    )


@compiled
def _toggle(board, work, cell, bit):
    """Mark `bit` as used in the three units of `cell`, or as free again."""
    work.used[board.units_of[cell, 0]] ^= bit
    work.used[board.units_of[cell, 1]] ^= bit
    work.used[board.units_of[cell, 2]] ^= bit


@compiled
def _candidates_of(board, work, cell):
    """Mask of the digits that no unit of `cell` holds yet."""
    used = (
        work.used[board.units_of[cell, 0]]
        | work.used[board.units_of[cell, 1]]
        | work.used[board.units_of[cell, 2]]
    )
    return ((1 << board.size) - 1) & ~used


@compiled
def _next_random(state):
    """One step of splitmix64; `state` is a (1,) uint64 array. The kernels carry their own generator so that
    a puzzle depends on its seed alone, never on which thread made it."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def _random_below(state, bound):
    """Integer in 0..bound-1 (bias below 2^-25 for the bounds used here)."""
    return np.int64(((_next_random(state) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@compiled
def _place(board, work, length, cell, bit):
    """Assign `bit` to the empty `cell` and note it on the trail; returns the trail's new length."""
    work.cells[cell] = bit
    _toggle(board, work, cell, bit)
    work.trail[length] = cell
    return length + 1


@compiled
def _undo(board, work, length, mark):
    """Take assignments back until the trail has `mark` cells."""
    while length > mark:
        length -= 1
        cell = work.trail[length]
        _toggle(board, work, cell, work.cells[cell])
        work.cells[cell] = 0


@compiled
def _propagate(board, work, length):
    """Place naked and hidden singles until there are none.

    length: cells on the trail. Returns (length, cell, candidates): the cell with the fewest candidates, to
    branch on, or SOLVED or CONTRADICTION in place of the cell.
    """
    n = board.size
    full = (1 << n) - 1
    once, twice = work.once, work.twice  # (3n,) digits with at least one, at least two places in a unit
    while True:
        once[:] = 0
        twice[:] = 0
        placed = False
        branch, branch_candidates, fewest = SOLVED, 0, n + 1
        for cell in range(n * n):
            if work.cells[cell] != 0:
                continue
            a, b, c = board.units_of[cell, 0], board.units_of[cell, 1], board.units_of[cell, 2]
            mask = full & ~(work.used[a] | work.used[b] | work.used[c])
            if mask & (mask - 1) == 0:
                if mask == 0:
                    return length, CONTRADICTION, 0
                length = _place(board, work, length, cell, mask)
                placed = True
                continue
            if placed:
                continue  # only naked singles count until the next sweep: the rest would be out of date
            twice[a] |= once[a] & mask
            twice[b] |= once[b] & mask
            twice[c] |= once[c] & mask
            once[a] |= mask
            once[b] |= mask
            once[c] |= mask
            if fewest > 2:
                choices = _POPCOUNT[mask]
                if choices < fewest:
                    branch, branch_candidates, fewest = cell, mask, choices
        if placed:
            continue
        if branch == SOLVED:
            return length, SOLVED, 0

        for unit in range(3 * n):
            if once[unit] | work.used[unit] != full:
                return length, CONTRADICTION, 0
        for unit in range(3 * n):
            singles = once[unit] & ~twice[unit] & ~work.used[unit]
            if singles == 0:
                continue
            for i in range(n):
                cell = board.cells_of[unit, i]
                if work.cells[cell] != 0:
                    continue
                mask = _candidates_of(board, work, cell) & singles
                if mask != 0:
                    if mask & (mask - 1) != 0:  # two digits have their only place here
                        return length, CONTRADICTION, 0
                    length = _place(board, work, length, cell, mask)
                    placed = True
        if not placed:
            return length, branch, branch_candidates


@compiled
def _search(board, work, limit, most_guesses, root_cell, root_candidates, state):
    """Depth-first search for solutions of the board in `work`, which is left as it was found.

    root_cell, root_candidates: a cell to branch on first and the digits to try there, or _NO_CELL, _ZERO.
    Digits are tried in an order drawn from `state`. Returns (solutions found, at most `limit`, or GAVE_UP;
    cells guessed at). The first solution is in `work.found`, the second in `work.other`.
    """
    count, guesses, depth, length = 0, 0, 0, _ZERO
    branch, left = root_cell, root_candidates
    if root_cell < 0:
        length, branch, left = _propagate(board, work, length)
    while True:
        if branch >= 0:
            work.branch_cell[depth] = branch
            work.branch_left[depth] = left
            work.branch_mark[depth] = length
            depth += 1
            guesses += 1
            if guesses > most_guesses:
                count = GAVE_UP
                break
        elif branch == SOLVED:
            if count == 0:
                work.found[:] = work.cells
            elif count == 1:
                work.other[:] = work.cells
            count += 1
            if count == limit:
                break

        while depth > 0 and work.branch_left[depth - 1] == 0:
            depth -= 1
        if depth == 0:
            break
        _undo(board, work, length, work.branch_mark[depth - 1])
        length = work.branch_mark[depth - 1]

        left = work.branch_left[depth - 1]
        for _ in range(_random_below(state, _POPCOUNT[left])):
            left &= left - 1
        bit = left & -left
        work.branch_left[depth - 1] &= ~bit
        length = _place(board, work, length, work.branch_cell[depth - 1], bit)
        length, branch, left = _propagate(board, work, length)

    _undo(board, work, length, _ZERO)
    return count, guesses


@compiled
def _place_clues(board, work, puzzle):
    """Put the clues of a puzzle (L,) on the board; False if two of them clash."""
    work.cells[:] = 0
    work.used[:] = 0
    for cell in range(len(puzzle)):
        if puzzle[cell] > 1:
            bit = np.int32(1 << (puzzle[cell] - 2))
            if _candidates_of(board, work, cell) & bit == 0:
                return False
            work.cells[cell] = bit
            _toggle(board, work, cell, bit)
    return True


@compiled
def search_all(board, puzzles, limit, most_guesses, solutions, others, counts, guesses):
    work = _new_workspace(board)
    state = np.zeros(1, np.uint64)
    for i in range(len(puzzles)):
        if not _place_clues(board, work, puzzles[i]):
            continue
        state[0] = 0  # the solution found must not depend on the puzzles before
        counts[i], guesses[i] = _search(board, work, limit, most_guesses, _NO_CELL, _ZERO, state)
        for cell in range(len(work.found)):
            if counts[i] > 0:
                solutions[i, cell] = _POPCOUNT[work.found[cell] - 1] + 2
            if counts[i] > 1:
                others[i, cell] = _POPCOUNT[work.other[cell] - 1] + 2


@compiled
def solved_all(board, inputs, answer, result):
    n = board.size
    used = np.zeros(3 * n, np.int32)
    for i in range(len(answer)):
        used[:] = 0
        right = True
        for cell in range(n * n):
            token = answer[i, cell]
            if token < 2 or token > n + 1 or (inputs[i, cell] > 1 and inputs[i, cell] != token):
                right = False
                break
            for k in range(3):
                used[board.units_of[cell, k]] |= 1 << (token - 2)
        if right:
            for unit in range(3 * n):
                if used[unit] != (1 << n) - 1:
                    right = False
                    break
        result[i] = right


@compiled
def contradicts_all(board, boards, result):
    work = _new_workspace(board)
    for i in range(len(boards)):
        result[i] = not _place_clues(board, work, boards[i])
        for cell in range(len(work.cells)):
            if result[i]:
                break
            result[i] = work.cells[cell] == 0 and _candidates_of(board, work, cell) == 0


@compiled
def _shuffled(state, order):
    for i in range(len(order)):
        order[i] = i
    for i in range(len(order) - 1, 0, -1):
        j = _random_below(state, i + 1)
        order[i], order[j] = order[j], order[i]


@compiled
def _fill(board, work, state, digits):
    """Put a random full board into `work`: the boxes on the diagonal do not see each other and are shuffled
    freely, the rest is searched with digits in random order."""
    while True:
        work.cells[:] = 0
        work.used[:] = 0
        for i in range(min(board.box_rows, board.box_columns)):
            _shuffled(state, digits)
            box = 2 * board.size + i * (board.size // board.box_columns) + i
            for j in range(board.size):
                cell = board.cells_of[box, j]
                work.cells[cell] = np.int32(1 << digits[j])
                _toggle(board, work, cell, work.cells[cell])
        count, _ = _search(board, work, _ONE, _NO_BOUND, _NO_CELL, _ZERO, state)
        if count > 0:
            work.cells[:] = work.found
            work.used[:] = (1 << board.size) - 1
            return


@compiled
def _forced(board, work, cell, bit):
    """Whether some unit of the empty `cell` has no other place for `bit` (a hidden single)."""
    for k in range(3):
        unit = board.units_of[cell, k]
        elsewhere = False
        for i in range(board.size):
            other = board.cells_of[unit, i]
            if other != cell and work.cells[other] == 0 and _candidates_of(board, work, other) & bit != 0:
                elsewhere = True
                break
        if not elsewhere:
            return True
    return False


@compiled
def _remove(board, work, state, order, target):
    """Take clues away until `target` are left or none can go; returns how many are left."""
    _shuffled(state, order)
    clues = len(order)
    for i in range(len(order)):
        if clues == target:
            break
        cell = order[i]
        bit = work.cells[cell]
        work.cells[cell] = 0
        _toggle(board, work, cell, bit)
        others = _candidates_of(board, work, cell) & ~bit
        if others != 0 and not _forced(board, work, cell, bit):
            # The puzzle was unique with this clue, so a second solution must differ here.
            count, _ = _search(board, work, _ONE, _NO_BOUND, cell, others, state)
            if count > 0:
                work.cells[cell] = bit
                _toggle(board, work, cell, bit)
                continue
        clues -= 1
    return clues


@compiled
def generate_all(board, seeds, targets, most_clues, max_boards, puzzles, solutions):
    """Fill puzzles and solutions (N, L); returns the number made, which is N unless `max_boards` in a row
    kept more than `most_clues`."""
    work = _new_workspace(board)
    state = np.zeros(1, np.uint64)
    order = np.zeros(board.size * board.size, np.int64)
    digits = np.zeros(board.size, np.int64)
    full = np.zeros(board.size * board.size, np.int32)
    for i in range(len(seeds)):
        state[0] = seeds[i]
        boards = 0
        clues = len(full)
        while clues > most_clues:
            if boards == max_boards:
                return i
            boards += 1
            _fill(board, work, state, digits)
            full[:] = work.cells
            clues = _remove(board, work, state, order, targets[i])
        for cell in range(len(full)):
            solutions[i, cell] = _POPCOUNT[full[cell] - 1] + 2
            puzzles[i, cell] = solutions[i, cell] if work.cells[cell] != 0 else 1
    return len(seeds)
