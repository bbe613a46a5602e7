"""ARC as a task: one puzzle is one grid whose counterpart is to be found, under a rule that its identity tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from envs.arc.augmentation import Augmentation
from envs.arc.canvas import LARGEST, Grid, crop, paint
from envs.arc.identities import Identities
from envs.arc.pairs import Drawer, RuleDrawer, boxes, fits, moved, sides
from envs.arc.puzzles import EVALUATION, ArcPair, ArcPuzzle, load
from envs.arc.rules import RULES
from envs.errors import UserError
from envs.puzzle import NO_LEVEL, PuzzleBatch, Tokens
from envs.task import PuzzleTask

MINI = "mini"
MINI_SIZE = 10
SMALLEST = 3
MOST_FORMS = 10_000

TRANSLATED = 0.75
"""Share of the training pairs that are moved over the canvas. The field leaves one pair of a puzzle in place."""
TRIES = 100
"""Rounds of drawing until no pair shows the input of a held-out test grid."""


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
        augmentations: int = 0,
        translate: bool = True,
        seed: int = 0,
    ) -> None:
        self._mini = dataset == MINI
        size = size if size is not None else MINI_SIZE if self._mini else LARGEST
        if type(size) is not int or not SMALLEST <= size <= LARGEST:
            raise UserError(f"arc size is {size!r}; it must be a whole number, {SMALLEST} to {LARGEST}")
        for option, value, most in (("augmentations", augmentations, MOST_FORMS), ("seed", seed, None)):
            if type(value) is not int or value < 0 or (most is not None and value > most):
                raise UserError(f"{option} is {value!r}; it must be a whole number, 0 or more")
        if type(translate) is not bool:
            raise UserError(f"translate is {translate!r}; it must be true or false")
        self.dataset, self.size, self.augmentations, self.translate = dataset, size, augmentations, translate
        self.grid_shape = (size, size)
        self._bounds = tuple((size * n // 3 + 1, size * (n + 1) // 3) for n in range(3))
        self.puzzles: tuple[ArcPuzzle, ...] = _mini_puzzles() if self._mini else load(dataset)
        self._train, self._held_out = sides(self.puzzles, size)
        self._identities = Identities(self.puzzles, augmentations, seed)
        self.identifiers = len(self._identities)
        levels = np.array([self._level_of(example.pair) for example in self._train], np.int64)
        self._drawer = RuleDrawer(self._bounds) if self._mini else Drawer(self._train, levels)
        guarded = [paint(e.pair.input, size) for e in self._held_out]
        self._guarded = self.invariant(np.reshape(guarded, (-1, self.length)).astype(np.uint8))

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
            if fits(puzzle.test[number], self.size)
        ]
        if not batches:
            raise UserError(f"there are no test grids of subset '{subset}' in this dataset")
        return PuzzleBatch.concatenate(batches)

    def forms(self, puzzle: int, test: int, augmentations: Sequence[int]) -> PuzzleBatch:
        """One test grid of a puzzle in some of its forms, at the top left of the canvas."""
        pair = self.puzzles[puzzle].test[test]
        forms = self.augmentations_of(puzzle)
        pairs = [in_form(pair, forms[number]) for number in augmentations]
        identifiers = [self.identifier_of(puzzle, number) for number in augmentations]
        return self._batch(pairs, identifiers)

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
        """`count` pairs of `level`: a pure function of its arguments.

        held_out: test grids of evaluation puzzles, each once before any comes again; of `mini`, new grids as
        they are. Otherwise pairs to train on, in a random form and place, none with the input of such a test
        grid as it stands. Raises UserError for a level without pairs.
        """
        number = self.level_index(level)
        if not held_out:
            return self._training(number, count, rng)
        if self._mini:
            return self._drawn(number, count, rng, plain=True)
        chosen = [example for example in self._held_out if self._level_of(example.pair) == number]
        if not chosen:
            raise self._nothing(number, "held-out test grids")
        order = np.concatenate([rng.permutation(len(chosen)) for _ in range(-(-count // len(chosen)))])[
            :count
        ]
        pairs = [chosen[n] for n in order.tolist()]
        return self._batch([e.pair for e in pairs], [self.identifier_of(e.puzzle) for e in pairs])

    def stock(self, level: str) -> PuzzleBatch | None:
        """The pairs of a level that are trained on, as they are; None for `mini`, whose pairs are new."""
        number = self.level_index(level)
        if self._mini:
            return None
        chosen = [example for example in self._train if self._level_of(example.pair) == number]
        if not chosen:
            raise self._nothing(number, "training pairs")
        return self._batch([e.pair for e in chosen], [self.identifier_of(e.puzzle) for e in chosen])

    def level_of(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) the level that the longer side of each grid is of, NO_LEVEL without a grid."""
        side = boxes(inputs, self.size)[:, 2:].max(axis=1, initial=0)
        most = [most for _, most in self._bounds]
        return np.where(side == 0, NO_LEVEL, np.searchsorted(most, side))

    def canonical(self, inputs: Tokens) -> Tokens:
        """(N, L) each grid at the top left, without end marks: where it lies makes no other puzzle of it. Other
        forms are other puzzles, since each has an identity of its own."""
        return moved(inputs, self.size)

    def _training(self, level: int, count: int, rng: np.random.Generator) -> PuzzleBatch:
        batch = self._drawn(level, count, rng, plain=False)
        for _ in range(TRIES):
            shown = np.flatnonzero(np.isin(self.invariant(batch.inputs), self._guarded))
            if not len(shown):
                return batch
            others = self._drawn(level, len(shown), rng, plain=False)
            place = np.arange(count)
            place[shown] = count + np.arange(len(shown))
            batch = PuzzleBatch.concatenate([batch, others]).take(place)
        raise self._nothing(level, "training pairs but those that are held out")

    def _drawn(self, level: int, count: int, rng: np.random.Generator, plain: bool) -> PuzzleBatch:
        """Pairs of a level. plain: as they are and at the top left, else in a random form and place."""
        inputs = np.zeros((count, self.length), np.uint8)
        solution = np.zeros_like(inputs)
        identifier = np.zeros(count, np.int64)
        for n in range(count):
            found = self._drawer.draw(level, rng)
            if found is None:
                raise self._nothing(level, "training pairs")
            puzzle, pair = found
            assert pair.output is not None
            form, top, left = 0, 0, 0
            if not plain:
                forms = self.augmentations_of(puzzle)
                form = int(rng.integers(len(forms)))
                pair = in_form(pair, forms[form])
                assert pair.output is not None
                if self.translate and rng.random() < TRANSLATED:
                    spare = self.size - np.maximum(pair.input.shape, pair.output.shape)
                    top, left = rng.integers(spare + 1).tolist()
            inputs[n] = paint(pair.input, self.size, top, left)
            solution[n] = paint(pair.output, self.size, top, left)
            identifier[n] = self.identifier_of(puzzle, form)
        return PuzzleBatch(inputs, solution, np.full(count, level), identifier)

    def _level_of(self, pair: ArcPair) -> int:
        return int(np.searchsorted([most for _, most in self._bounds], max(pair.input.shape)))

    def _nothing(self, level: int, what: str) -> UserError:
        least, most = self._bounds[level]
        return UserError(
            f"dataset {self.dataset} has no {what} of level '{self.levels[level]}' (grids of {least} to {most} "
            "rows or columns): choose another level"
        )

    def _batch(self, pairs: Sequence[ArcPair], identifiers: Sequence[int]) -> PuzzleBatch:
        inputs = np.stack([paint(pair.input, self.size) for pair in pairs])
        none = np.zeros(self.length, np.uint8)
        solution = np.stack(
            [none if pair.output is None else paint(pair.output, self.size) for pair in pairs]
        )
        return PuzzleBatch(inputs, solution, self.level_of(inputs), np.array(identifiers, np.int64))


def in_form(pair: ArcPair, form: Augmentation) -> ArcPair:
    return ArcPair(form.apply(pair.input), None if pair.output is None else form.apply(pair.output))


def _mini_puzzles() -> tuple[ArcPuzzle, ...]:
    """The tasks of ARC-AGI-1 that RULES belong to, their test grids held out."""
    by_name = {puzzle.name: puzzle for puzzle in load("arc1")}
    return tuple(replace(by_name[rule.name], subset=EVALUATION) for rule in RULES)
