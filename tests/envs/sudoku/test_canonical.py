"""Two Sudokus have the same canonical form exactly if a symmetry turns one into the other.

What the form is compared with is found here by other means: classes by joining a puzzle with its images under
generators of the group, smallest boards by looking at every image, and numbers known from the literature.
"""

from __future__ import annotations

import gzip
from itertools import combinations, permutations, product
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import make_task
from envs.sudoku import count_solutions, solve
from envs.sudoku.board import BOX_SHAPES
from envs.sudoku.canonical import canonical, forms_by_solution, smallest_images
from envs.sudoku.levels import LEVELS, clue_counts
from envs.sudoku.symmetries import random_symmetries, symmetry_hash
from tests.helpers.sudoku import group_order

PROPERTY = settings(max_examples=10, deadline=None, derandomize=True)
every_size = pytest.mark.parametrize("size", BOX_SHAPES)

CYCLIC = "123456789456789123789123456231564897564897231897231564312645978645978312978312645"
"""The board with the most symmetries, 648, in its smallest form (known as the most canonical grid)."""


def tokens(*texts: str) -> np.ndarray:
    """(N, L) tokens of boards written as digits and dots."""
    return np.array([[1 if c == "." else int(c) + 1 for c in text] for text in texts], np.uint8)


def symmetric_puzzles(seed: int, count: int) -> np.ndarray:
    """(count, 81) puzzles with the cyclic board as their only solution: clues go while it
    stays so, together with the cells that a random symmetry of the board brings them to, so
    that many puzzles are symmetric too."""
    rng = np.random.default_rng(seed)
    board = tokens(CYCLIC)[0]
    moves = board_symmetries(board, board)[0]
    puzzles = np.repeat(board[None], count, axis=0)
    for puzzle in puzzles:
        move = moves[rng.integers(len(moves))]
        for start in rng.permutation(81):
            orbit = [start]
            while move[orbit[-1]] != start:
                orbit.append(move[orbit[-1]])
            fewer = puzzle.copy()
            fewer[orbit] = 1
            if count_solutions(fewer[None])[0] == 1:
                puzzle[:] = fewer
    return puzzles


def orders(size: int, length: int) -> np.ndarray:
    """(M, n) every order of rows that keeps bands of `length` rows together, in no particular order."""
    found = [
        [
            row
            for block, within in zip(blocks, inner, strict=True)
            for row in np.array(within) + block * length
        ]
        for blocks in permutations(range(size // length))
        for inner in product(permutations(range(length)), repeat=size // length)
    ]
    return np.array(found)


def renamed(board: np.ndarray, top: int, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every order of columns, a full board (9, 9) with digits renamed so that row `top` reads `first`
    (9,): the names (1296, 11) and the boards (1296, 9, 9), rows in their old order."""
    columns = orders(9, 3)
    names = np.zeros((len(columns), 11), np.uint8)
    np.put_along_axis(names, board[top][columns].astype(np.int64), first[None], axis=1)
    moved = board[:, columns].transpose(1, 0, 2)  # (1296, 9, 9)
    return names, np.take_along_axis(names, moved.reshape(len(columns), 81).astype(np.int64), 1).reshape(
        -1, 9, 9
    )


def smallest_board(solution: np.ndarray) -> np.ndarray:
    """(81,) the smallest image of a full 9x9 board (81,), by looking at all 2 * 6^8
    ways to move its lines."""
    found = []
    for board in (solution.reshape(9, 9), solution.reshape(9, 9).T):
        for top in range(9):
            _, images = renamed(board, top, np.arange(2, 11, dtype=np.uint8))
            rows = orders(9, 3)
            rows = rows[rows[:, 0] == top]
            image, order = (x.ravel() for x in np.indices((len(images), len(rows))))
            smallest = []
            for row, column in np.ndindex(9, 9):
                token = images[image, rows[order, row], column]
                smallest.append(token.min())
                image, order = image[token == smallest[-1]], order[token == smallest[-1]]
            found.append(tuple(smallest))
    return np.array(min(found))


def board_symmetries(board: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All symmetries that turn one full 9x9 board (81,) into the other: (K, 81) the cell from which each cell
    takes its token and (K, 11) the new token of each token."""
    target = other.reshape(9, 9)
    columns = orders(9, 3)
    cells, names = [], []
    for transposed, top in product((False, True), range(9)):
        place = np.arange(81).reshape(9, 9).T if transposed else np.arange(81).reshape(9, 9)
        name, images = renamed(board[place], top, target[0])
        equal = (images[:, None] == target[:, None]).all(axis=3)  # (1296, row of target, row of board)
        for i in np.flatnonzero(equal.any(axis=2).all(axis=1)):
            rows = equal[i].argmax(axis=1)
            if all(len(set(rows[k : k + 3] // 3)) == 1 for k in (0, 3, 6)):
                cells.append(place[np.ix_(rows, columns[i])].ravel())
                names.append(name[i])
    blank = np.array(names)
    blank[:, 1] = 1
    return np.array(cells), blank


def generators(size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Symmetries that generate all: (cells (L,), tokens (n + 2,)) as above."""
    box_rows, box_columns = BOX_SHAPES[size]
    place = np.arange(size * size).reshape(size, size)
    lines = np.arange(size)

    def swapped(a: int, b: int, length: int) -> np.ndarray:
        order = lines.copy()
        order[a : a + length], order[b : b + length] = lines[b : b + length], lines[a : a + length]
        return order

    moves = [place.T] if box_rows == box_columns else []
    for length, axis in ((box_rows, 0), (box_columns, 1)):
        moves += [place.take(swapped(a, a + 1, 1), axis) for a in range(size - 1) if (a + 1) % length]
        moves += [place.take(swapped(a, a + length, length), axis) for a in range(0, size - length, length)]
    same = np.arange(size + 2)
    renames = [same.copy() for _ in range(size - 1)]
    for d, names in enumerate(renames):
        names[[d + 2, d + 3]] = names[[d + 3, d + 2]]
    return [(move.ravel(), same) for move in moves] + [(place.ravel(), names) for names in renames]


def classes(codes: np.ndarray, images: list[np.ndarray]) -> np.ndarray:
    """(N,) the number of the class of each item: items are joined with their images, given by code."""
    order = np.argsort(codes)
    steps = [order[np.searchsorted(codes, image, sorter=order)] for image in images]
    for image, step in zip(images, steps, strict=True):
        assert (codes[step] == image).all(), "the items are not closed under the symmetries"
    label = np.arange(len(codes))
    while True:
        lower = label
        for step in steps:  # a step taken often enough leads back, so the lowest label gets everywhere
            lower = np.minimum(lower, lower[step])
        if (lower == label).all():
            return label
        label = lower[lower]


def classes_of(puzzles: np.ndarray) -> np.ndarray:
    """(N,) the number of the class of each puzzle (N, L) under all symmetries."""
    size = round(puzzles.shape[1] ** 0.5)
    weights = (size + 1) ** np.arange(size * size, dtype=np.int64)

    def code(boards: np.ndarray) -> np.ndarray:
        return (boards.astype(np.int64) - 1) @ weights

    return classes(code(puzzles), [code(names[puzzles[:, cells]]) for cells, names in generators(size)])


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two numberings (N,) put the same items together."""
    pairs = len(np.unique(np.stack([a, b]), axis=1).T)
    return pairs == len(np.unique(a)) == len(np.unique(b))


def numbered(forms: np.ndarray) -> np.ndarray:
    """(N,) equal numbers for equal rows."""
    return np.unique(forms, axis=0, return_inverse=True)[1].ravel()


def small_boards() -> np.ndarray:
    """(288, 16) all full boards of 4x4."""
    lines = np.array(list(permutations(range(2, 6))), np.uint8)
    boards = lines[np.array(list(product(range(24), repeat=2)))].reshape(-1, 8)  # upper halves
    halves = boards[[all(len(set(b[[i, i + 1, i + 4, i + 5]])) == 4 for i in (0, 2)) for b in boards]]
    pairs = np.concatenate([np.repeat(halves, len(halves), 0), np.tile(halves, (len(halves), 1))], axis=1)
    columns = np.sort(pairs.reshape(-1, 4, 4), axis=1)
    return pairs[(columns == np.arange(2, 6)[:, None]).all(axis=(1, 2))]


def small_puzzles() -> dict[int, np.ndarray]:
    """By number of clues: all minimal puzzles (N, 16) of 4x4, those that lose uniqueness with any clue."""
    boards = small_boards()
    bits = 1 << np.arange(16)
    found: dict[int, list[np.ndarray]] = {4: [], 5: [], 6: []}
    for board in boards:
        differs = ((boards != board) @ bits).astype(np.uint16)
        differs = differs[differs > 0]
        unique = np.zeros(1 << 16, np.bool_)
        for clues in found:
            masks = np.array([sum(1 << c for c in cells) for cells in combinations(range(16), clues)])
            unique[masks] = ((masks[:, None] & differs) > 0).all(axis=1)
            given = (masks[:, None] & bits) > 0  # (masks, 16)
            fewer = np.where(given, masks[:, None] & ~bits, 0)
            minimal = unique[masks] & ~unique[fewer].any(axis=1)
            found[clues].append(np.where(given[minimal], board, 1).astype(np.uint8))
    return {clues: np.concatenate(parts) for clues, parts in found.items()}


@every_size
@pytest.mark.parametrize("level", LEVELS)
def test_all_symmetries_of_a_puzzle_have_its_canonical_form(size, level):
    task = make_task("sudoku", size=size)
    batch = task.generate(level, 300, np.random.default_rng(1))
    forms = task.canonical(batch.inputs)
    assert forms.dtype == np.uint8
    for seed in range(3):
        assert (task.canonical(task.augment(batch, np.random.default_rng(seed)).inputs) == forms).all()


@every_size
def test_the_canonical_form_is_a_puzzle_like_its_own_and_its_own_canonical_form(size):
    batch = make_task("sudoku", size=size).generate("hard", 300, np.random.default_rng(2))
    forms = canonical(batch.inputs)
    assert (clue_counts(forms) == clue_counts(batch.inputs)).all()
    assert (count_solutions(forms) == 1).all()
    assert (symmetry_hash(forms) == symmetry_hash(batch.inputs)).all()
    assert (canonical(forms) == forms).all()
    assert same_partition(numbered(forms), symmetry_hash(batch.inputs))


@PROPERTY
@given(seed=st.integers(0, 2**32))
def test_puzzles_of_the_most_symmetric_board_keep_their_form_under_symmetries(seed):
    puzzles = symmetric_puzzles(seed, 2)
    forms = canonical(puzzles)
    many = np.repeat(puzzles, 50, axis=0)
    images = random_symmetries(9, len(many), np.random.default_rng(seed)).apply(many)
    assert (canonical(images) == np.repeat(forms, 50, axis=0)).all()
    assert (canonical(forms) == forms).all()


def test_the_17_clue_puzzles_are_all_different_and_keep_their_form(data_file):
    with gzip.open(data_file("sudoku_17_clue_sample.txt.gz"), "rt") as file:
        puzzles = tokens(*file.read().replace("0", ".").split())
    forms = canonical(puzzles)
    assert len(np.unique(forms, axis=0)) == len(puzzles) == 2000
    images = random_symmetries(9, len(puzzles), np.random.default_rng(0)).apply(puzzles)
    assert (canonical(images) == forms).all()
    assert (canonical(forms) == forms).all()


def test_the_form_is_the_least_image_under_the_symmetries_that_make_the_solution_smallest():
    """The definition, worked out by brute force, for the solutions' smallest boards as for the puzzles."""
    batch = make_task("sudoku").generate("hard", 2, np.random.default_rng(3))
    puzzles = np.concatenate([batch.inputs, symmetric_puzzles(0, 2)])
    moved = random_symmetries(9, len(puzzles), np.random.default_rng(0)).apply(puzzles)
    solutions = solve(moved)[0]
    forms, boards = forms_by_solution(moved, solutions)
    assert (canonical(moved) == forms).all()
    for puzzle, solution, form, board in zip(moved, solutions, forms, boards, strict=True):
        assert (smallest_board(solution) == board).all()
        cells, names = board_symmetries(solution, board)
        images = np.take_along_axis(names, puzzle[cells].astype(np.int64), axis=1)
        assert min(map(tuple, images)) == tuple(form)


def test_both_ways_to_the_smallest_board_agree():
    solutions = make_task("sudoku").generate("very-easy", 300, np.random.default_rng(4)).solution
    assert (forms_by_solution(solutions, solutions)[0] == smallest_images(solutions)).all()


def test_the_most_symmetric_board_has_its_known_smallest_form():
    board = tokens(CYCLIC)
    assert len(board_symmetries(board[0], board[0])[0]) == 648
    moved = random_symmetries(9, 20, np.random.default_rng(0)).apply(np.repeat(board, 20, axis=0))
    assert (canonical(moved) == board).all()
    assert (smallest_images(moved[:2]) == board).all()


def test_puzzles_with_one_board_are_told_apart_as_its_symmetries_have_it():
    """The 3,240 puzzles that lack two cells of the most symmetric board, against the
    orbits of pairs of cells."""
    board = tokens(CYCLIC)[0]
    pairs = np.array(list(combinations(range(81), 2)))
    puzzles = np.repeat(board[None], len(pairs), axis=0)
    np.put_along_axis(puzzles, pairs, 1, axis=1)
    images = [np.sort(move[pairs], axis=1) @ [81, 1] for move in board_symmetries(board, board)[0]]
    orbits = classes(pairs @ [81, 1], images)
    assert same_partition(numbered(canonical(puzzles)), orbits)
    assert same_partition(numbered(smallest_images(puzzles)), orbits)


@pytest.mark.slow
def test_4x4_boards_and_minimal_puzzles_fall_into_their_known_classes():
    """288 boards in 2 classes, minimal puzzles in 36, of which 13 have four clues (Wikipedia, "Mathematics of
    Sudoku")."""
    assert len(np.unique(canonical(small_boards()), axis=0)) == 2
    puzzles = small_puzzles()
    assert [len(puzzles[clues]) for clues in (4, 5, 6)] == [25_728, 58_368, 1_536]
    for clues, different in ((4, 13), (5, 22), (6, 1)):
        numbers = numbered(canonical(puzzles[clues]))
        assert numbers.max() + 1 == different
        assert same_partition(numbers, classes_of(puzzles[clues]))


def test_4x4_puzzles_with_any_number_of_solutions_are_told_apart():
    """All 35,840 boards of 4x4 with three digits anywhere, clashing ones too."""
    cells = np.array(list(combinations(range(16), 3)))
    digits = np.array(list(product(range(2, 6), repeat=3)))
    puzzles = np.ones((len(cells), len(digits), 16), np.uint8)
    np.put_along_axis(puzzles, cells[:, None].repeat(len(digits), 1), digits[None].astype(np.uint8), axis=2)
    puzzles = puzzles.reshape(-1, 16)
    assert same_partition(numbered(canonical(puzzles)), classes_of(puzzles))


def test_6x6_boards_fall_into_their_known_49_classes():
    """The classes found, each as large as its symmetries say, make up all 28,200,960 boards:
    none is split, none stands for two."""
    solutions = make_task("sudoku", size=6).generate("very-easy", 30_000, np.random.default_rng(0)).solution
    forms = np.unique(canonical(solutions), axis=0)
    assert len(forms) == 49
    rows, columns = orders(6, 2), orders(6, 3)
    boards = 0
    for form in forms.reshape(-1, 6, 6):
        images = form[rows][:, :, columns].transpose(0, 2, 1, 3).reshape(-1, 36)  # (3456, 36)
        names = np.zeros((len(images), 8), np.uint8)
        np.put_along_axis(names, images[:, :6].astype(np.int64), form[:1], axis=1)
        fixed = (np.take_along_axis(names, images.astype(np.int64), axis=1) == form.ravel()).all(axis=1)
        boards += group_order(6) // np.count_nonzero(fixed)
    assert boards == 28_200_960


def test_9x9_boards_without_one_solution_keep_their_form():
    batch = make_task("sudoku").generate("extreme", 60, np.random.default_rng(5))
    several, none = batch.inputs[:30].copy(), batch.inputs[30:].copy()
    for puzzle in several:
        puzzle[np.flatnonzero(puzzle > 1)[:3]] = 1
    for puzzle in none:  # as most wrong clues make it
        clue, *_, other = np.flatnonzero(puzzle > 1)
        puzzle[other] = puzzle[clue] if puzzle[other] != puzzle[clue] else 2 + (puzzle[clue] - 1) % 9
    puzzles = np.concatenate([several, none])
    puzzles = puzzles[count_solutions(puzzles) != 1]
    assert set(count_solutions(puzzles)) == {0, 2}
    forms = canonical(puzzles)
    images = random_symmetries(9, len(puzzles), np.random.default_rng(0)).apply(puzzles)
    assert (canonical(images) == forms).all()
    assert (symmetry_hash(forms) == symmetry_hash(puzzles)).all()
    assert len(np.unique(forms, axis=0)) == len(puzzles)
    empty = np.ones((1, 81), np.uint8)
    assert (canonical(empty) == empty).all()


@every_size
def test_the_empty_batch_has_no_forms(size):
    assert canonical(np.ones((0, size * size), np.uint8)).shape == (0, size * size)


@every_size
@pytest.mark.parametrize("above", [False, True])
def test_tokens_that_are_no_digits_are_refused(size, above):
    puzzles = np.ones((2, size * size), np.uint8)
    puzzles[1, 3] = size + 2 if above else 0
    with pytest.raises(ValueError, match=f"outside 1 \\(blank\\) .. {size + 1} "):
        canonical(puzzles)


def test_the_generators_of_these_tests_make_groups_of_the_right_size():
    for size in (4, 6):
        box_rows, box_columns = BOX_SHAPES[size]
        moves = len(orders(size, box_rows)) * len(orders(size, box_columns)) * (2 if size == 4 else 1)
        assert group_order(size) == moves * factorial(size)
        reached = {tuple(range(size * size))}
        fresh = list(reached)
        while fresh:
            fresh = list({tuple(np.array(c)[g]) for c in fresh for g, _ in generators(size)} - reached)
            reached.update(fresh)
        assert len(reached) == moves
