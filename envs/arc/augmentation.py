"""Symmetric forms of an ARC puzzle: one of the eight symmetries of the square and a permutation of colours.

Black (0) keeps its colour, as in the field's data sets. The numbers of the symmetries, and how a form is
written in identifiers.json, are those of sapientinc/HRM and TinyRecursiveModels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from envs.arc.canvas import COLOURS, Grid
from envs.errors import DataError

TRANSFORMS: tuple[Callable[[Grid], Grid], ...] = (
    lambda grid: grid,
    lambda grid: np.rot90(grid),
    lambda grid: np.rot90(grid, 2),
    lambda grid: np.rot90(grid, 3),
    np.fliplr,
    np.flipud,
    np.transpose,
    lambda grid: np.fliplr(np.rot90(grid)),
)
"""As it is; turned by 90, 180, 270 degrees to the left; mirrored left to right, top to bottom; rows and
columns exchanged; mirrored along the other diagonal."""
INVERSE = (0, 3, 2, 1, 4, 5, 6, 7)
"""The number of the transform that undoes each."""

SEPARATOR = "|||"
"""Between the parts of a form's name in TinyRecursiveModels' identifiers.json."""
_WRITTEN = re.compile(r"t([0-7])" + re.escape(SEPARATOR) + r"(\d{10})")


@dataclass(frozen=True)
class Augmentation:
    """One symmetric form, for every grid of a puzzle alike."""

    transform: int
    """Which of TRANSFORMS."""
    colours: tuple[int, ...]
    """Colour c becomes colours[c]; colours[0] is 0."""

    def apply(self, grid: Grid) -> Grid:
        """The grid in this form."""
        return np.ascontiguousarray(TRANSFORMS[self.transform](self._table[grid]))

    def undo(self, grid: Grid) -> Grid:
        """The grid that `apply` makes this one of."""
        back = np.argsort(self._table).astype(np.uint8)
        return np.ascontiguousarray(TRANSFORMS[INVERSE[self.transform]](back[grid]))

    @property
    def name(self) -> str:
        """As TinyRecursiveModels writes it: `t3|||0912345678`."""
        return f"t{self.transform}{SEPARATOR}{''.join(map(str, self.colours))}"

    @staticmethod
    def parse(name: str) -> Augmentation:
        """The form of that name. Raises DataError."""
        found = _WRITTEN.fullmatch(name)
        colours = () if found is None else tuple(map(int, found[2]))
        if found is None or sorted(colours) != list(range(COLOURS)) or colours[0] != 0:
            raise DataError(
                f"{name!r} is no symmetric form; write t0 to t7, {SEPARATOR} and the ten colours in their "
                f"new order, 0 first, as in {IDENTITY.name}"
            )
        return Augmentation(int(found[1]), colours)

    @cached_property
    def _table(self) -> Grid:
        return np.array(self.colours, np.uint8)


IDENTITY = Augmentation(0, tuple(range(COLOURS)))
"""The puzzle as it is."""
