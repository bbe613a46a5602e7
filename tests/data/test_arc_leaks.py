"""The leak guard of ARC: no way into a training stream for the solution of a held-out test grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs import PuzzleBatch, make_task
from envs.arc import ArcTask
from envs.arc.augmentation import Augmentation
from envs.arc.pairs import RuleDrawer
from envs.arc.text import write_grid
from envs.folders.folder import PuzzleFolder
from hrm_rl.cli import dataset as dataset_command
from hrm_rl.data.streams import build_data, training_puzzles
from hrm_rl.utils.errors import UserError
from tests.helpers.arc import write_small_arc
from tests.helpers.tiny import tiny_config

FORM = Augmentation(5, (0, 9, 8, 7, 6, 5, 4, 3, 2, 1))
EVERY_LEVEL = ("small=1", "medium=1")


@pytest.fixture
def small_arc(tmp_path: Path) -> Path:
    return write_small_arc(tmp_path / "arc")


@pytest.fixture
def task(small_arc: Path) -> ArcTask:
    return make_task("arc", dataset=str(small_arc), augmentations=6)


def grids_of(task: ArcTask) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs and outputs of the held-out test grids."""
    asked = [puzzle for puzzle in task.puzzles if puzzle.subset == "evaluation"]
    return [(pair.input, pair.output) for puzzle in asked for pair in puzzle.test]


def forms_of(question: np.ndarray, answer: np.ndarray) -> set[bytes]:
    """Every mirrored and turned form of a pair."""
    found = set()
    for side in (lambda grid: grid, np.transpose):
        for turns in range(4):
            found.add(shape_and_colours(*(np.rot90(side(grid), turns) for grid in (question, answer))))
    return found


def shape_and_colours(question: np.ndarray, answer: np.ndarray) -> bytes:
    """A pair, its colours but black numbered as they occur."""
    known = {0: 0}
    cells = [*question.reshape(-1).tolist(), *answer.reshape(-1).tolist()]
    return bytes([*question.shape, *answer.shape, *(known.setdefault(cell, len(known)) for cell in cells)])


def assert_no_secret(task: ArcTask, batch: PuzzleBatch) -> None:
    """By a definition of its own, apart from the code that guards."""
    assert len(batch)
    secrets = {form for pair in grids_of(task) for form in forms_of(*pair)}
    for question, answer in zip(batch.inputs, batch.solution, strict=True):
        assert shape_and_colours(task.grid(question), task.grid(answer)) not in secrets


def config_of(small_arc: Path, **more):
    options = {"dataset": str(small_arc), "augmentations": 6}
    sections = {"curriculum": {"stages": ("all=1",) if "path" in more else EVERY_LEVEL}}
    return tiny_config(env={"task": "arc", "size": 30, "options": options}, data=more, **sections)


def drawn(config) -> tuple[PuzzleBatch, tuple[str, ...]]:
    """Training puzzles of every stage, and what the run says."""
    data = build_data(config)
    data.source.set_level_weights(dict.fromkeys(data.source.children, 1.0))
    return data.source.draw(400), data.notes


def write_csv(file: Path, task: ArcTask, form: Augmentation | None, others: int) -> Path:
    """The held-out grids with their solutions, and some training pairs."""
    pairs = [(q, a) if form is None else (form.apply(q), form.apply(a)) for q, a in grids_of(task)]
    rows = [f"{write_grid(question)},{write_grid(answer)}" for question, answer in pairs]
    stock = task.stock("small").take(slice(0, others))
    rows += [
        f"{task.write_text(q)},{task.write_text(a)}"
        for q, a in zip(stock.inputs, stock.solution, strict=True)
    ]
    file.write_text("\n".join(["question,answer", *rows]))
    return file


def test_the_small_data_set_has_what_the_guard_must_find(task):
    """Else nothing here could fail."""
    secrets = {form for pair in grids_of(task) for form in forms_of(*pair)}
    pairs = [pair for p in task.puzzles for pair in p.train + (p.test if p.subset == "training" else ())]
    assert sum(shape_and_colours(pair.input, pair.output) in secrets for pair in pairs) == 8
    assert all(len(puzzle.train) for puzzle in task.puzzles)


@pytest.mark.parametrize("level", ["small", "medium"])
def test_not_by_generating_nor_by_the_stock(task, level):
    assert_no_secret(task, task.generate(level, 300, np.random.default_rng(0)))
    assert_no_secret(task, task.stock(level))
    assert_no_secret(task, task.augment(task.stock(level), np.random.default_rng(1)))


@pytest.mark.parametrize("more", [{}, {"exclude_twins": False}, {"eval_levels": ("small",)}])
def test_not_by_a_run_on_the_data_set(small_arc, task, more):
    config = config_of(small_arc, eval_puzzles=4, **more)
    batch, notes = drawn(config)
    assert_no_secret(task, batch)
    assert_no_secret(task, training_puzzles(task, config))
    assert notes[0].startswith("the demonstrations of the 6 evaluation puzzles are trained on")
    assert "nor are 8 pairs that equal one in some form" in notes[0]
    named = {task.puzzle_of(identifier)[0].subset for identifier in batch.identifier.tolist()}
    assert named == {"training", "evaluation"}  # demonstrations are


def test_not_by_a_folder_that_the_command_writes(small_arc, task, tmp_path):
    out = tmp_path / "out"
    options = ["--options", "dataset", str(small_arc), "augmentations", "6"]
    dataset_command.main(["--task", "arc", *options, "--whole", "--out", str(out)])
    assert_no_secret(task, PuzzleFolder(out / "train", task).take(slice(None)))
    assert_no_secret(task, drawn(config_of(small_arc, path=str(out)))[0])
    with pytest.raises(UserError, match=r"test holds nothing but held-out puzzles with their solutions"):
        build_data(config_of(small_arc, path=str(out / "test")))
    made = ["--level", "small", "--puzzles", "20", "--test-puzzles", "2", "--out", str(tmp_path / "made")]
    dataset_command.main(["--task", "arc", *options, *made])
    assert_no_secret(task, PuzzleFolder(tmp_path / "made" / "train", task).take(slice(None)))


@pytest.mark.parametrize("form", [None, FORM])
def test_not_by_a_file_with_the_solutions_in_this_or_another_form(small_arc, task, tmp_path, form, capsys):
    file = write_csv(tmp_path / "solutions.csv", task, form, others=12)
    batch, notes = drawn(config_of(small_arc, path=str(file), eval_puzzles=2))
    assert_no_secret(task, batch)
    asked = len(grids_of(task))
    assert any(f"left out {asked} of the {asked + 12} puzzles" in note for note in notes)
    alone = write_csv(tmp_path / "alone.csv", task, form, others=0)
    with pytest.raises(UserError, match="holds nothing but held-out puzzles with their solutions"):
        build_data(config_of(small_arc, path=str(alone)))
    options = ["--options", "dataset", str(small_arc), "--test-puzzles", "0"]
    dataset_command.main(["--task", "arc", *options, "--csv", str(file), "--out", str(tmp_path / "out")])
    assert_no_secret(task, PuzzleFolder(tmp_path / "out" / "train", task).take(slice(None)))


def test_not_by_the_json_of_an_evaluation_puzzle(small_arc, task):
    file = small_arc / "evaluation" / "070dd51e.json"
    with pytest.raises(UserError, match="holds nothing but held-out puzzles"):
        build_data(config_of(small_arc, path=str(file)))


def test_not_by_chance_from_the_generators_of_mini(monkeypatch):
    task = make_task("arc", translate=False)
    honest, calls = RuleDrawer.draw, iter(range(10**6))

    def draws_a_test_grid(self, level, rng):
        number = 0 if level == 0 else 5
        return (number, task.puzzles[number].test[0]) if next(calls) % 2 == 0 else honest(self, level, rng)

    monkeypatch.setattr(RuleDrawer, "draw", draws_a_test_grid)
    assert_no_secret(task, task.generate("small", 40, np.random.default_rng(0)))
    assert next(calls) > 60
