"""A whole data set as the folders of sapientinc/HRM and TinyRecursiveModels have it, with identities.

A puzzle with its forms is a group, a form is a puzzle of the folder with an identifier of its own, a pair is
an example. In the train split one pair of each form stays at the top left and the others are moved; the test
split, the test grids of evaluation puzzles in all forms, is not moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.arc.identities import Identities
from envs.arc.pairs import Example, in_form, painted
from envs.arc.puzzles import EVALUATION, ArcPuzzle
from envs.puzzle import NO_LEVEL, PuzzleBatch

CHUNK = 8192
"""Examples in memory at a time."""

Chunk = tuple[PuzzleBatch, NDArray[np.int64]]


def chunks(
    examples: Sequence[Example], identities: Identities, size: int, rng: np.random.Generator | None
) -> Iterator[Chunk]:
    """Examples puzzle by puzzle in all forms, and how many each group has. rng: moves them; None leaves them
    at the top left."""
    by_puzzle: dict[int, list[Example]] = {}
    for example in examples:
        by_puzzle.setdefault(example.puzzle, []).append(example)
    batches: list[PuzzleBatch] = []
    sizes: list[int] = []
    for puzzle, own in by_puzzle.items():
        batches.append(_group(puzzle, own, identities, size, rng))
        sizes.append(len(batches[-1]))
        if sum(sizes) >= CHUNK:
            yield PuzzleBatch.concatenate(batches), np.array(sizes)
            batches, sizes = [], []
    if batches:
        yield PuzzleBatch.concatenate(batches), np.array(sizes)


def _group(
    puzzle: int, own: Sequence[Example], identities: Identities, size: int, rng: np.random.Generator | None
) -> PuzzleBatch:
    forms = identities.forms(puzzle)
    count = len(own) * len(forms)
    inputs = np.zeros((count, size * size), np.uint8)
    solution = np.zeros_like(inputs)
    row = 0
    for form in forms:
        still = 0 if rng is None else int(rng.integers(len(own)))
        for number, example in enumerate(own):
            pair = in_form(example.pair, form)
            places = None if number == still else rng
            inputs[row], solution[row] = painted(pair, size, places)
            row += 1
    numbers = np.array([identities.number(puzzle, form) for form in range(len(forms))], np.int64)
    return PuzzleBatch(inputs, solution, np.full(count, NO_LEVEL), np.repeat(numbers, len(own)))


def test_puzzles(puzzles: Sequence[ArcPuzzle]) -> Mapping[str, Any]:
    """test_puzzles.json: the evaluation puzzles as the public files have them, for the field's evaluators."""
    return {puzzle.name: to_json(puzzle) for puzzle in puzzles if puzzle.subset == EVALUATION}


def to_json(puzzle: ArcPuzzle) -> dict[str, list[dict[str, list[list[int]]]]]:
    """A puzzle as the public JSON files have it."""
    return {
        part: [
            {"input": pair.input.tolist()} | ({} if pair.output is None else {"output": pair.output.tolist()})
            for pair in pairs
        ]
        for part, pairs in (("train", puzzle.train), ("test", puzzle.test))
    }
