"""Two small tasks that are no boards: a grid of colours that the label decides, with identities, and a string
with a rule."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from envs import PAD, DataError, PuzzleBatch, PuzzleTask

END, ZERO = 1, 2


class TintTask(PuzzleTask):
    """Recolour a small grid: by one more or by one less, as the identity says; marks end rows and grid."""

    name = "tint"
    characters = "_|0123456789"
    levels = ("small",)
    label_decides = True
    identifiers = 3
    drawn_as = "colours"

    def __init__(self, size: int = 6) -> None:
        self.grid_shape = (size, size)

    def identities(self) -> Mapping[int, str]:
        return {1: "one more", 2: "one less"}

    def solved(self, inputs, answer):
        raise NotImplementedError("the label decides")

    def unknown(self, inputs):
        return np.ones(inputs.shape, np.bool_)

    def generate(self, level, count, rng, held_out=False):
        self.level_index(level)
        size = self.grid_shape[0]
        grids = np.full((count, size, size), PAD, np.uint8)
        for grid, rows, columns in zip(grids, *rng.integers(2, size, (2, count)), strict=True):
            grid[:rows, :columns] = ZERO + rng.integers(0, 10, (rows, columns))
            grid[:rows, columns] = END
            grid[rows, :columns] = END
        inputs, identifier = grids.reshape(count, -1), rng.integers(1, 3, count)
        return PuzzleBatch(inputs, self.recoloured(inputs, identifier), np.zeros(count, np.int64), identifier)

    def encode(self, text):
        """Rows of digits, with line ends or / between them, at the upper left."""
        rows, size = self._rows(text), self.grid_shape[0]
        if len({len(row) for row in rows}) != 1 or not "".join(rows).isdecimal():
            raise DataError("a grid has rows of digits, all of one length")
        if max(len(rows), len(rows[0])) > size:
            raise DataError(f"the grid has {len(rows)}x{len(rows[0])} cells; the largest has {size}x{size}")
        grid = np.full((size, size), PAD, np.uint8)
        grid[: len(rows) + 1, : len(rows[0])] = grid[: len(rows), : len(rows[0]) + 1] = END
        grid[: len(rows), : len(rows[0])] = [[ZERO + int(digit) for digit in row] for row in rows]
        return grid.ravel()

    def identify(self, text):
        names = {name: identifier for identifier, name in self.identities().items()}
        return names.get(text.strip().splitlines()[0], 0) if text.strip() else 0

    def _rows(self, text):
        lines = text.replace("/", "\n").split("\n")
        return [line.strip() for line in lines if line.strip() and line not in self.identities().values()]

    @staticmethod
    def recoloured(inputs, identifier):
        step = np.where(identifier == 1, 1, 9)[:, None]
        return np.where(inputs >= ZERO, ZERO + (inputs - ZERO + step) % 10, inputs).astype(np.uint8)


class FlipTask(PuzzleTask):
    """Answer each bit of a string of up to `size` bits with the other one; an x is copied."""

    name = "flip"
    characters = "_01x"
    levels = ("short", "long")
    drawn_as = "string"

    def __init__(self, size: int = 40) -> None:
        self.grid_shape = (1, size)

    def solved(self, inputs, answer):
        return (answer == self._flipped(inputs)).all(axis=1)

    def unknown(self, inputs):
        return (inputs == 1) | (inputs == 2)

    def generate(self, level, count, rng, held_out=False):
        inputs = rng.integers(1, 4, (count, self.length), dtype=np.uint8)
        if level == self.levels[self.level_index("short")]:
            inputs[:, self.length // 4 :] = PAD
        return PuzzleBatch(inputs, self._flipped(inputs), self.level_of(inputs), np.zeros(count, np.int64))

    def violations(self, inputs, answer):
        return answer != self._flipped(inputs)

    def prove(self, inputs):
        return self._flipped(inputs[None])[0]

    @staticmethod
    def _flipped(inputs):
        return np.array([0, 2, 1, 3], np.uint8)[inputs]
