"""Which row of the puzzle-embedding table stands for which form of which puzzle.

Row 0 is blank. Then come, puzzle by puzzle, the puzzle as it is and its augmentations.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from envs.arc.augmentation import IDENTITY, SEPARATOR, TRANSFORMS, Augmentation
from envs.arc.canvas import COLOURS
from envs.arc.puzzles import ArcPuzzle
from envs.errors import DataError, UserError, nearest

BLANK = "<blank>"
TRIES = 5
"""Forms drawn for each that is wanted, until there are enough different ones."""


class Identities:
    """The numbers and names of the forms of some puzzles."""

    def __init__(self, puzzles: Sequence[ArcPuzzle], augmentations: int, seed: int) -> None:
        """augmentations: forms of each puzzle beside the puzzle itself."""
        self._puzzles = puzzles
        self._stride = 1 + augmentations
        self._seed = seed
        self._drawn: dict[int, tuple[Augmentation, ...]] = {}
        self._index = {puzzle.name: index for index, puzzle in enumerate(puzzles)}

    def __len__(self) -> int:
        """Rows of the table."""
        return 1 + len(self._puzzles) * self._stride

    def forms(self, puzzle: int) -> tuple[Augmentation, ...]:
        """The forms of a puzzle, itself first. No two make the same colours of it in the same place; where
        fewer such exist than are asked for, they are all there are."""
        if puzzle not in self._drawn:
            self._drawn[puzzle] = _draw(self._puzzles[puzzle], self._stride, self._seed)
        return self._drawn[puzzle]

    def number(self, puzzle: int, form: int) -> int:
        """The row of form number `form` of a puzzle."""
        return 1 + puzzle * self._stride + form

    def find(self, identifier: int) -> tuple[int, Augmentation]:
        """The puzzle that a row stands for, by number, and its form. Raises UserError."""
        puzzle, form = divmod(identifier - 1, self._stride)
        if not 0 < identifier < len(self) or form >= len(self.forms(puzzle)):
            raise UserError(f"identifier {identifier} is no puzzle's; they are 1 to {len(self) - 1}")
        return puzzle, self.forms(puzzle)[form]

    def name(self, identifier: int) -> str:
        """As TinyRecursiveModels' identifiers.json has it: BLANK, `NAME` or `NAME|||t3|||0912345678`."""
        if identifier == 0:
            return BLANK
        puzzle, form = divmod(identifier - 1, self._stride)
        name, forms = self._puzzles[puzzle].name, self.forms(puzzle)
        if form >= len(forms):
            return BLANK
        return name if form == 0 else f"{name}{SEPARATOR}{forms[form].name}"

    def named(self, text: str) -> int:
        """The row of `NAME`, of `NAME@FORM` with the form's number (0 is the puzzle as it is), or of what
        `name` gives. Raises UserError with the nearest name."""
        if text == BLANK:
            return 0
        name, _, form = text.partition("@")
        written = None
        if SEPARATOR in name:
            name, _, written = name.partition(SEPARATOR)
        if name not in self._index:
            raise UserError(
                f"unknown puzzle '{name}'{nearest(name, self._index)} (there are {len(self._index):,}, such "
                f"as {self._puzzles[0].name})"
            )
        puzzle = self._index[name]
        forms = self.forms(puzzle)
        if written is not None:
            wanted = Augmentation.parse(written)
            if wanted not in forms:
                raise DataError(f"puzzle {name} has no form {written} among its {len(forms)}")
            return self.number(puzzle, forms.index(wanted))
        number = int(form or 0) if (form or "0").isdecimal() else -1
        if not 0 <= number < len(forms):
            raise UserError(f"'{text}' has form {form!r}; {name} has the forms 0 to {len(forms) - 1}")
        return self.number(puzzle, number)


def _draw(puzzle: ArcPuzzle, count: int, seed: int) -> tuple[Augmentation, ...]:
    grids = [
        grid for pair in puzzle.train + puzzle.test for grid in (pair.input, pair.output) if grid is not None
    ]
    used = np.array(sorted({colour for grid in grids for colour in np.unique(grid).tolist()} | {0}))
    rng = np.random.default_rng([seed, zlib.crc32(puzzle.name.encode())])
    tries = TRIES * (count - 1)
    transforms = rng.integers(len(TRANSFORMS), size=tries)
    colours = rng.permuted(np.tile(np.arange(1, COLOURS), (tries, 1)), axis=1)
    found = {(0, tuple(used.tolist())): IDENTITY}
    for transform, permutation in zip(transforms.tolist(), colours.tolist(), strict=True):
        if len(found) == count:
            break
        table = (0, *permutation)
        found.setdefault((transform, tuple(table[c] for c in used)), Augmentation(transform, table))
    return tuple(found.values())
