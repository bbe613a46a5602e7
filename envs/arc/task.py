"""ARC as a task: one puzzle is one grid whose counterpart is to be found, under a rule that its identity tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.arc.augmentation import Augmentation
from envs.arc.canvas import LARGEST, Grid, crop, paint
from envs.arc.identities import Identities
from envs.arc.puzzles import EVALUATION, TRAINING, ArcPair, ArcPuzzle, load
from envs.errors import UserError
from envs.puzzle import PuzzleBatch, Tokens
from envs.task import PuzzleTask

MINI = "mini"
MINI_SIZE = 10


class ArcTask(PuzzleTask):
    """Find the counterpart of a grid of colours."""

    name = "arc"
    characters = "_|0123456789"
    levels = ("small", "medium", "large")
    label_decides = True

    def __init__(
        self,
        dataset: str = MINI,
        size: int | None = None,
        augmentations: int | None = None,
        translate: bool = True,
        seed: int = 0,
    ) -> None:
        mini = dataset == MINI
        self.size = size or (MINI_SIZE if mini else LARGEST)
        self.grid_shape = (self.size, self.size)
        self.puzzles: tuple[ArcPuzzle, ...] = load("arc1") if mini else load(dataset)
        self.augmentations = augmentations if augmentations is not None else 0
        self._identities = Identities(self.puzzles, self.augmentations, seed)
        self.identifiers = len(self._identities)

    def identifier_of(self, puzzle: int, augmentation: int = 0) -> int:
        """The identifier of puzzle number `puzzle` in its form number `augmentation`; 0 is the puzzle as it is."""
        return self._identities.number(puzzle, augmentation)

    def puzzle_of(self, identifier: int) -> tuple[ArcPuzzle, Augmentation]:
        """The puzzle of an identifier and its form. Raises UserError for one that is no puzzle's, such as 0."""
        puzzle, form = self._identities.find(identifier)
        return self.puzzles[puzzle], form

    def augmentations_of(self, puzzle: int) -> tuple[Augmentation, ...]:
        """The forms of puzzle number `puzzle`, itself first: at most 1 + `augmentations`."""
        return self._identities.forms(puzzle)

    def name_of(self, identifier: int) -> str:
        """`<blank>`, the name of a puzzle, or that and its form."""
        return self._identities.name(identifier)

    def identifier_named(self, text: str) -> int:
        """The identifier of `NAME` or `NAME@AUGMENTATION`. Raises UserError with the nearest name."""
        return self._identities.named(text)

    def tests(self, subset: str = EVALUATION) -> PuzzleBatch:
        """All test grids of the puzzles of a subset that fit the canvas, as they are; PAD throughout for a
        solution that is not public."""
        batches = [
            self.forms(index, number, [0])
            for index, puzzle in enumerate(self.puzzles)
            if puzzle.subset == subset
            for number in range(len(puzzle.test))
            if self.fits(puzzle.test[number])
        ]
        if not batches:
            raise UserError(f"there are no test grids of subset '{subset}' in this dataset")
        return PuzzleBatch.concatenate(batches)

    def forms(self, puzzle: int, test: int, augmentations: Sequence[int]) -> PuzzleBatch:
        """One test grid of a puzzle in some of its forms, at the top left of the canvas."""
        pair = self.puzzles[puzzle].test[test]
        forms = self.augmentations_of(puzzle)
        pairs = [_in_form(pair, forms[number]) for number in augmentations]
        identifiers = [self.identifier_of(puzzle, number) for number in augmentations]
        return self._batch(pairs, identifiers)

    def fits(self, pair: ArcPair) -> bool:
        """Whether both grids fit the canvas."""
        shapes = pair.input.shape + (() if pair.output is None else pair.output.shape)
        return max(shapes) <= self.size

    def copy_input(self, puzzles: PuzzleBatch) -> Tokens:
        """(N, L) the answers of the simplest baseline: the inputs themselves."""
        return puzzles.inputs

    def grid(self, tokens: Tokens) -> Grid | None:
        """The grid on a canvas (L,), or None where there is none."""
        return crop(tokens, self.size)

    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """Never asked: the label decides."""
        raise NotImplementedError("a grid of ARC does not tell its rule")

    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        """(N, L) every cell: even the size of the answer has to be found."""
        return np.ones(inputs.shape, np.bool_)

    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        """Pairs of a level."""
        self.level_index(level)
        raise NotImplementedError

    def _batch(self, pairs: Sequence[ArcPair], identifiers: Sequence[int]) -> PuzzleBatch:
        inputs = np.stack([paint(pair.input, self.size) for pair in pairs])
        none = np.zeros(self.length, np.uint8)
        solution = np.stack([none if pair.output is None else paint(pair.output, self.size) for pair in pairs])
        return PuzzleBatch(inputs, solution, self.level_of(inputs), np.array(identifiers, np.int64))


def _in_form(pair: ArcPair, form: Augmentation) -> ArcPair:
    return ArcPair(form.apply(pair.input), None if pair.output is None else form.apply(pair.output))
