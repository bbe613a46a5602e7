"""Nonograms as a task: fill a grid so that the runs of every line are as its clue says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError, UserError
from envs.nonogram.lines import OPEN, Clues, clues_of, fill, impossible, passes
from envs.nonogram.symmetries import NonogramSymmetries, canonical
from envs.puzzle import NO_LEVEL, PAD, PuzzleBatch, Tokens
from envs.task import PuzzleTask

UNKNOWN, EMPTY, FILLED, ZERO = 1, 2, 3, 4
"""Tokens; number k of a clue is ZERO + k."""
SMALLEST, LARGEST = 3, 8
EASY, MEDIUM = 2, 4
"""Passes of line logic that a puzzle of these levels takes at most."""
DENSITY = (0.4, 0.7)
"""Share of filled cells in generated grids, drawn evenly."""


class NonogramTask(PuzzleTask):
    """Fill a grid so that the lengths of the runs in every row and column are as its clue says.

    ## Description

    A grid of `size` x `size` cells with a margin of m = (size + 1) // 2 cells at the left and above. Numbers
    in the margin, next to the grid, are the lengths of the runs of filled cells in that row or column, in
    order; 0 stands for a line without any. The corner and unused cells of the margin are padding. Clues may
    allow several grids; the rule accepts each, and the solution is the one that a generated puzzle was made
    of.

    Measure of an answer: `lines` is the share of rows and columns that are as their clue says.

    ## Action Space

    (m + size)**2 tokens, row by row: 2 (`.`) leaves a cell of the grid empty, 3 (`#`) fills it. Clues have to
    be repeated.

    ## Observation Space

    (m + size)**2 tokens, row by row: 0 padding, 1 (`?`) a cell to find, 4 + k the number k.

    ## Rewards

    An answer is right if it keeps the clues, and every row and every column of its grid is as its clue says.

    ## Starting State

    A puzzle of a level. One pass of line logic looks at every row and then at every column by itself, and
    fills in what all ways to fill that line have in common.

    | level  | passes until all is known |
    |--------|---------------------------|
    | easy   | 1-2                       |
    | medium | 3-4                       |
    | hard   | more, or never            |

    ## Episode End

    That of `envs.ActEnv`: when the agent halts, or at the end of the budget.

    ## Arguments

    - `size` (`5`): rows and columns of the grid, 3 to 8.

    ## Version History

    - v0: initial version.
    """

    name = "nonogram"
    levels = ("easy", "medium", "hard")
    measures = ("lines",)
    rules = ("clue overwritten", "cell left open", "row unlike its clue", "column unlike its clue")
    traits = ("filled",)
    assumable = (EMPTY, FILLED)

    def __init__(self, size: int = 5) -> None:
        if not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
            raise UserError(f"nonogram size is {size!r}; it must be a whole number, {SMALLEST} to {LARGEST}")
        self.size, self.margin = size, (size + 1) // 2
        self.grid_shape = (size + self.margin, size + self.margin)
        self.characters = "_?.#012345678"[: ZERO + size + 1]
        grid = np.zeros(self.grid_shape, np.bool_)
        grid[self.margin :, self.margin :] = True
        self._in_grid = grid.ravel()
        """(L,)"""

    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.logical_not(self.broken(inputs, answer).any(axis=1))
        return found

    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        return inputs == UNKNOWN

    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        wanted, made = self.level_index(level), np.zeros((0, self.size, self.size), np.int8)
        while len(made) < count:
            shape = (2 * count + 16, self.size, self.size)
            grids = (rng.random(shape) < rng.uniform(*DENSITY, (shape[0], 1, 1))).astype(np.int8)
            made = np.concatenate([made, grids[self._levels(clues_of(grids)) == wanted]])[:count]
        inputs = self._boards(clues_of(made))
        solution = inputs.copy()
        solution[:, self._in_grid] = EMPTY + made.reshape(count, -1)
        return PuzzleBatch(inputs, solution, np.full(count, wanted), np.zeros(count, np.int64))

    def level_of(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) by passes of line logic; NO_LEVEL for what is no puzzle or has no grid."""
        return np.array([self._level(row) for row in inputs], np.int64)

    def measure(self, inputs: Tokens, answer: Tokens) -> NDArray[np.float64]:
        """(N, 1) the share of lines that are as their clue says."""
        return self._lines(inputs, answer).mean(axis=(1, 2))[:, None]

    def trait(self, name: str, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) `filled`: cells that the clues of the rows fill."""
        assert name == "filled"
        return np.maximum(self._clues(inputs)[:, 0], 0).sum(axis=(1, 2), dtype=np.int64)

    def broken(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        lines = self._lines(inputs, answer)
        return np.stack(
            [
                ((answer != inputs) & ~self._in_grid).any(axis=1),
                self._open(answer).any(axis=1),
                ~lines[:, 0].all(axis=1),
                ~lines[:, 1].all(axis=1),
            ],
            axis=1,
        )

    def violations(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, L) clues that are overwritten, cells left open, all cells of a line that is unlike its clue."""
        wrong = ~self._lines(inputs, answer)
        cells = np.zeros((len(inputs), *self.grid_shape), np.bool_)
        cells[:, self.margin :, self.margin :] = wrong[:, 0, :, None] | wrong[:, 1, None, :]
        changed = (answer != inputs) & ~self._in_grid
        return cells.reshape(len(inputs), -1) | changed | self._open(answer)

    def contradicts(self, boards: Tokens) -> NDArray[np.bool_]:
        """(N,) whether a line, by itself, cannot be filled any more."""
        grid = boards.reshape(-1, *self.grid_shape)[:, self.margin :, self.margin :]
        known = np.where(grid == UNKNOWN, OPEN, grid == FILLED).astype(np.int8)
        return impossible(self._clues(boards), known)

    def augment(self, batch: PuzzleBatch, rng: np.random.Generator) -> PuzzleBatch:
        form = self.symmetries(batch.inputs, rng)
        return PuzzleBatch(
            form.apply(batch.inputs), form.apply(batch.solution), batch.level, batch.identifier
        )

    def symmetries(self, inputs: Tokens, rng: np.random.Generator) -> NonogramSymmetries:
        """One of the eight rotations and reflections for each puzzle (N, L)."""
        return NonogramSymmetries(inputs, self.size, rng.integers(0, 8, len(inputs)))

    def canonical(self, inputs: Tokens) -> Tokens:
        return canonical(inputs, self.size)

    def check(self, tokens: Tokens) -> None:
        """Raises DataError unless the corner is padding, the margins hold a clue for every line, and all
        cells of the grid are to be found."""
        super().check(tokens)
        board, m = np.asarray(tokens).reshape(self.grid_shape), self.margin
        expected = [("padding", PAD, board[:m, :m], 0, 0), ("?", UNKNOWN, board[m:, m:], m, m)]
        for word, token, part, top, left in expected:
            for row, column in np.argwhere(part != token)[:1].tolist():
                raise self._fault(f"is not {word}", row + top, column + left)
        for line in range(self.size):
            for kind, clue, place in (("row", board[m + line, :m], (m + line, m - 1)),
                                      ("column", board[:m, m + line], (m - 1, m + line))):  # fmt: skip
                numbers = [int(token) - ZERO for token in clue if token != PAD]
                packed = (clue[m - len(numbers) :] != PAD).all() and (clue[: m - len(numbers)] == PAD).all()
                good = bool(numbers) and min(numbers) >= (len(numbers) > 1) and packed
                if not good or sum(numbers) + len(numbers) - 1 > self.size:
                    raise self._fault(f"is no clue of {kind} {line + 1}", *place)

    def encode(self, text: str) -> Tokens:
        """(L,) a puzzle row by row, margins and all. Raises DataError."""
        tokens = super().encode(text)
        self.check(tokens)
        return tokens

    def prove(self, inputs: Tokens) -> Tokens:
        """(L,) a right answer, found by line logic and trying. Raises DataError where there is none."""
        found = inputs.copy()
        found[self._in_grid] = EMPTY + fill(self._clues(inputs[None])).ravel()
        return found

    def faults(self, inputs: Tokens, solution: Tokens) -> dict[int, str]:
        reasons = super().faults(inputs, solution)
        for row, tokens in enumerate(inputs):
            try:
                self.check(tokens)
            except DataError as error:
                reasons[row] = str(error)
        return reasons

    def _fault(self, what: str, row: int, column: int) -> DataError:
        return DataError(f"row {row + 1}, column {column + 1} {what}", row * self.grid_shape[1] + column)

    def _level(self, tokens: Tokens) -> int:
        try:
            self.check(tokens)
            self.prove(tokens)
        except DataError:
            return NO_LEVEL
        return int(self._levels(self._clues(tokens[None]))[0])

    def _levels(self, clues: Clues) -> NDArray[np.int64]:
        needed = passes(clues, MEDIUM)
        return (needed > EASY).astype(np.int64) + (needed > MEDIUM)

    def _open(self, answer: Tokens) -> NDArray[np.bool_]:
        """(N, L) cells of the grid that are neither empty nor filled."""
        return self._in_grid & (answer != EMPTY) & (answer != FILLED)

    def _clues(self, boards: Tokens) -> Clues:
        """(N, 2, n, m) the clues in the margins, whatever stands there."""
        square, m = boards.reshape(-1, *self.grid_shape), self.margin
        both = np.stack([square[:, m:, :m], square[:, :m, m:].transpose(0, 2, 1)], axis=1)
        return np.where(both == PAD, -1, both.astype(np.int16) - ZERO).astype(np.int8)

    def _lines(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, 2, n) the rows and the columns of answers that are as their clue says; whatever is not filled
        counts as empty."""
        grid = answer.reshape(-1, *self.grid_shape)[:, self.margin :, self.margin :] == FILLED
        found: NDArray[np.bool_] = (clues_of(grid.astype(np.int8)) == self._clues(inputs)).all(axis=-1)
        return found

    def _boards(self, clues: Clues) -> Tokens:
        """(N, L) the puzzles with these clues (N, 2, n, m)."""
        m = self.margin
        boards = np.full((len(clues), *self.grid_shape), PAD, np.uint8)
        written = np.where(clues < 0, PAD, clues + ZERO).astype(np.uint8)
        boards[:, m:, :m], boards[:, :m, m:] = written[:, 0], written[:, 1].transpose(0, 2, 1)
        boards[:, m:, m:] = UNKNOWN
        return boards.reshape(len(clues), -1)
