"""Folders of the projects that the pages name, as their own builders lay them out: checked, trained on and
evaluated on by path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from envs import TASKS, DataError, PuzzleBatch, make_task
from envs.folders.folder import PuzzleFolder, Splits, find_splits
from envs.folders.opening import open_puzzles
from envs.sudoku.board import BLANK
from hrm_rl.cli import dataset as dataset_command
from hrm_rl.data import builder
from hrm_rl.data.streams import build_data
from hrm_rl.utils.errors import UserError
from tests.helpers import nano_trm
from tests.helpers.folders import quiet, upstream
from tests.helpers.learners import run
from tests.helpers.tiny import tiny_config, tiny_learner

Splitted = dict[str, PuzzleBatch]
SUDOKU6, SUDOKU9, MAZE = make_task("sudoku", size=6), make_task("sudoku"), make_task("maze", size=7)
SHARES = {"train": slice(0, 24), "val": slice(24, 34), "test": slice(34, 42)}


def splitted(task: str, size: int, level: str) -> Splitted:
    base = builder.generate(make_task(task, size=size), {level: 1.0}, 42, 0, 0, quiet).train
    return {name: base.take(rows) for name, rows in SHARES.items()}


@pytest.fixture(scope="module")
def boards() -> dict[int, Splitted]:
    """42 puzzles of each size, no two of them symmetric versions of one another."""
    return {
        6: splitted("sudoku", 6, "easy"),
        7: splitted("maze", 7, "medium"),
        9: splitted("sudoku", 9, "hard"),
    }


def _sapientinc(root: Path, boards: dict[int, Splitted]) -> Path:
    for name in ("train", "test"):
        rows = boards[9][name].take(slice(0, 6))
        upstream(root / name, rows, seq_len=81, vocab_size=11, total_groups=2)
    (root / "identifiers.json").write_text('["<blank>"]')
    return root


def _samsung(root: Path, boards: dict[int, Splitted]) -> Path:
    for name in ("train", "test"):
        rows = boards[7][name].take(slice(0, 6))
        upstream(root / name, rows, seq_len=49, vocab_size=6, total_groups=2, total_puzzles=2)
    (root / "identifiers.json").write_text('["<blank>"]')
    return root


BUILDERS: dict[str, tuple[str, int, Callable[[Path, dict[int, Splitted]], Path]]] = {
    "sapientinc/HRM, Sudoku": ("sudoku", 9, _sapientinc),
    "TinyRecursiveModels, mazes": ("maze", 7, _samsung),
    "nano-trm, Sudoku extreme": ("sudoku", 9, lambda root, boards: nano_trm.extreme(root, boards[9])),
    "nano-trm, generated 6x6": ("sudoku", 6, lambda root, boards: nano_trm.generated(root, 6, 8, boards[6])),
    "nano-trm, 6x6 on 9x9": ("sudoku", 6, lambda root, boards: nano_trm.generated(root, 6, 9, boards[6])),
    "nano-trm, mazes": ("maze", 7, lambda root, boards: nano_trm.mazes(root, MAZE, boards[7], 2)),
}
every_builder = pytest.mark.parametrize("name", BUILDERS)


@pytest.fixture
def root(name: str, tmp_path: Path, boards: dict[int, Splitted]) -> Path:
    return BUILDERS[name][2](tmp_path / "data", boards)


@every_builder
def test_its_puzzles_and_labels_are_read_and_its_splits_known(
    name: str, root: Path, boards: dict[int, Splitted]
) -> None:
    kind, size, _ = BUILDERS[name]
    task = make_task(kind, size=size)
    splits = find_splits(root)
    found = [split for split in (splits.train, splits.val, splits.test) if split is not None]
    assert len(found) == (3 if name.startswith("nano") else 2)
    for split in found:
        folder = PuzzleFolder(split, task)
        expected = boards[size][split.name].take(slice(0, len(folder)))
        batch = folder.take(slice(None))
        assert np.array_equal(batch.inputs, expected.inputs)
        assert np.array_equal(batch.solution, expected.solution)
        assert np.array_equal(batch.level, expected.level)
    evaluated = open_puzzles(task, root)
    assert np.array_equal(evaluated.take(slice(None)).inputs, boards[size]["test"].inputs[: len(evaluated)])


@every_builder
def test_it_is_trained_on_by_path_and_holds_out_its_own_split(
    name: str, root: Path, boards: dict[int, Splitted]
) -> None:
    kind, size, _ = BUILDERS[name]
    config = tiny_config(
        env={"task": kind, "size": size},
        data={"path": str(root), "augment": False},
        curriculum={"stages": ("all=1",)},
    )
    data = build_data(config)
    trained = {row.tobytes() for row in data.source.draw(48).inputs}
    assert trained <= {row.tobytes() for row in boards[size]["train"].inputs}
    held_out = boards[size]["val" if name.startswith("nano") else "test"].inputs
    assert {row.tobytes() for row in data.held_out.inputs} <= {row.tobytes() for row in held_out}
    assert data.notes == ()
    learner = run(tiny_learner(config), 2)
    assert learner.updates == 2


@every_builder
def test_the_check_finds_its_task_without_being_told(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, size, _ = BUILDERS[name]
    assert dataset_command.main(["--check", str(root)]) == 0
    shown = capsys.readouterr().out
    assert f"is sound: {kind} of {size} x {size} cells" in shown
    assert ("val" in shown.split()) == name.startswith("nano")
    assert dataset_command.main(["--check", str(root / "train"), "--task", kind]) == 0


def test_examples_with_several_answers_are_said_and_trained_on(
    tmp_path: Path, boards: dict[int, Splitted], capsys: pytest.CaptureFixture[str]
) -> None:
    """nano-trm's generator removes cells without seeing to it that one answer is left."""
    train = boards[9]["train"]
    inputs = train.inputs.copy()
    inputs[:5, :60] = BLANK
    loose = PuzzleBatch(inputs, train.solution, train.level, train.identifier)
    root = nano_trm.generated(tmp_path / "data", 9, 11, {**boards[9], "train": loose})
    config = tiny_config(env={"size": 9}, data={"path": str(root)}, curriculum={"stages": ("all=1",)})
    (note,) = build_data(config).notes
    assert "5 of 24 examples looked at have several answers: any right one counts" in note
    dataset_command.main(["--check", str(root)])
    assert "train: 5 examples have several answers" in capsys.readouterr().out
    labels = np.load(root / "train" / "all__labels.npy")
    labels[2, :2] = labels[2, 1::-1]
    np.save(root / "train" / "all__labels.npy", labels)
    with pytest.raises(UserError, match=r"example 2: "):
        build_data(config)


def test_a_wrong_token_of_a_canvas_is_named_where_it_stands(
    tmp_path: Path, boards: dict[int, Splitted]
) -> None:
    root = nano_trm.generated(tmp_path / "data", 6, 9, boards[6])
    file = root / "train" / "all__inputs.npy"
    inputs = np.load(file)
    inputs[3, 10] = 1
    np.save(file, inputs)
    with pytest.raises(
        DataError, match=r"inputs\.npy: example 3: token 1 at position 10; tokens are 0 and 2 to 8"
    ):
        PuzzleFolder(root / "train", SUDOKU6).take(slice(None))


def test_boards_of_two_sizes_in_one_folder_are_told_apart(
    tmp_path: Path, boards: dict[int, Splitted]
) -> None:
    """nano-trm's --cross-size: trained on 6x6, tested on 9x9."""
    root = nano_trm.generated(tmp_path / "data", 6, 10, {"train": boards[6]["train"]}, vocab_size=12)
    nano_trm.generated(root / "more", 9, 10, {"val": boards[9]["val"]})
    (root / "more" / "val").rename(root / "val")
    assert find_splits(root) == Splits(root / "train", None, root / "val")
    config = tiny_config(env={"size": 6}, data={"path": str(root)}, curriculum={"stages": ("all=1",)})
    with pytest.raises(UserError, match=r"boards of 9x9.*; or give \S+/train alone, which holds out some"):
        build_data(config)
    alone = tiny_config(
        env={"size": 6}, data={"path": str(root / "train")}, curriculum={"stages": ("all=1",)}
    )
    assert len(build_data(alone).held_out)
    assert len(open_puzzles(SUDOKU9, root / "val")) == 10


def test_the_advice_does_not_go_in_a_circle(tmp_path: Path, boards: dict[int, Splitted]) -> None:
    root = nano_trm.extreme(tmp_path / "data", boards[9])
    with pytest.raises(DataError, match=r"choose size 9 instead of 6, or another task"):
        PuzzleFolder(root / "train", SUDOKU6)
    file = root / "train" / "dataset.json"
    about = json.loads(file.read_text())
    del about["grid_size"], about["max_grid_size"]
    file.write_text(json.dumps(about))
    with pytest.raises(DataError, match=r"the command dataset --check names what fits"):
        PuzzleFolder(root / "train", SUDOKU9)
    names = ", ".join(TASKS)
    reason = rf"fit none of the tasks {names} in any size: for puzzles of another"
    with pytest.raises(UserError, match=reason):
        dataset_command.main(["--check", str(root / "train")])
