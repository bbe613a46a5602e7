"""Symmetric forms: the field's eight transforms by their numbers, their inverses, their names; identities."""

from __future__ import annotations

import numpy as np
import pytest

from envs import DataError, UserError, make_task
from envs.arc.augmentation import IDENTITY, Augmentation

GRID = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
FIELD = (  # sapientinc/HRM, dataset/common.py: dihedral_transform
    GRID, np.rot90(GRID, 1), np.rot90(GRID, 2), np.rot90(GRID, 3), GRID[:, ::-1], GRID[::-1], GRID.T,
    np.rot90(GRID, 1)[:, ::-1],
)  # fmt: skip


@pytest.mark.parametrize("transform", range(8))
def test_transforms_have_the_field_s_numbers_and_are_undone(transform):
    plain = Augmentation(transform, IDENTITY.colours)
    np.testing.assert_array_equal(plain.apply(GRID), FIELD[transform])
    rng = np.random.default_rng(transform)
    form = Augmentation(transform, (0, *(1 + rng.permutation(9)).tolist()))
    grid = rng.integers(10, size=(4, 7), dtype=np.uint8)
    np.testing.assert_array_equal(form.undo(form.apply(grid)), grid)
    assert (form.apply(grid) == 0).sum() == (grid == 0).sum()
    assert form.apply(grid).dtype == np.uint8
    assert Augmentation.parse(form.name) == form


@pytest.mark.parametrize("name", ["t8|||0123456789", "t1|||1023456789", "t1|||0123456788", "t1", "67a3c6ac"])
def test_what_is_no_form_is_refused(name):
    with pytest.raises(DataError, match=r"is no symmetric form; write t0 to t7"):
        Augmentation.parse(name)


def test_every_form_of_every_puzzle_has_an_identifier_and_a_name_of_its_own():
    task = make_task("arc", augmentations=5)
    assert task.identifiers == 1 + 12 * 6 == len(task.identity_names())
    names = task.identity_names()
    assert names[:2] == ["<blank>", "67a3c6ac"]
    assert len(set(names)) == len(names)
    for puzzle in range(12):
        for form in range(6):
            identifier = task.identifier_of(puzzle, form)
            assert task.puzzle_of(identifier) == (task.puzzles[puzzle], task.augmentations_of(puzzle)[form])
            assert task.identifier_named(names[identifier]) == identifier
            assert task.identifier_named(f"{task.puzzles[puzzle].name}@{form}") == identifier
    assert task.identifier_named("<blank>") == 0


def test_forms_depend_on_the_seed_alone_and_none_comes_twice_for_the_colours_that_a_puzzle_has():
    one, same, other = (make_task("arc", augmentations=40, seed=seed) for seed in (1, 1, 2))
    assert one.augmentations_of(3) == same.augmentations_of(3) != other.augmentations_of(3)
    few = next(number for number, puzzle in enumerate(one.puzzles) if puzzle.name == "25ff71a9")
    used = sorted({colour for pair in one.puzzles[few].train for colour in pair.input.ravel().tolist()})
    forms = one.augmentations_of(few)
    made = {(form.transform, *(form.colours[colour] for colour in used)) for form in forms}
    assert len(made) == len(forms) == 41
    most = make_task("arc", augmentations=10_000).augmentations_of(few)
    assert len(used) == 3
    assert len(most) <= 8 * 9 * 8


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("67a3c6ad", r"unknown puzzle '67a3c6ad'; did you mean '67a3c6ac'\?"),
        ("67a3c6ac@3", r"has form '3'; 67a3c6ac has the forms 0 to 2"),
        ("67a3c6ac|||t0|||0987654321", r"has no form t0\|\|\|0987654321 among its 3"),
    ],
)
def test_names_that_are_none_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        make_task("arc", augmentations=2).identifier_named(name)
