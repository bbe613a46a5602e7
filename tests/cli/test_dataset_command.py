"""scripts/build_dataset.py as a user meets it: what it writes, that it repeats itself, what it refuses."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from envs import PuzzleBatch, PuzzleTask, fingerprint, make_task
from envs.folders.check import check_folder
from envs.folders.folder import find_splits
from hrm_rl.data import builder
from hrm_rl.utils.console import typed_command
from tests.helpers.dataset_files import (
    MAZE,
    SUDOKU6,
    content,
    csv_of,
    different_puzzles,
    everything,
    forms,
    opened,
    quiet,
    refused,
    run,
)
from tests.helpers.paths import SHARED_DATA

CASES = [
    pytest.param(SUDOKU6, "--task sudoku --size 6", "easy", id="sudoku-6"),
    pytest.param(MAZE, "--task maze --size 7", "medium", id="maze-7"),
]


@pytest.fixture(scope="module")
def batches() -> dict[str, PuzzleBatch]:
    return different_puzzles()


# What is written


@pytest.mark.parametrize(("task", "flags", "level"), CASES)
def test_a_generated_folder_has_groups_of_symmetric_versions_and_no_test_puzzle_among_them(
    task: PuzzleTask, flags: str, level: str, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    run(f"{flags} --level {level} --puzzles 30 --test-puzzles 12 --num-aug 3 --seed 4 --out", out)
    train, test = opened(out, task)
    assert (len(train), len(test)) == (120, 12)
    assert train.groups.tolist() == np.repeat(np.arange(30), 4).tolist()
    assert test.groups.tolist() == list(range(12))
    puzzles = everything(train)
    keys, canonical = fingerprint(puzzles.inputs), fingerprint(task.canonical(puzzles.inputs))
    for group in range(30):
        assert len(set(keys[train.groups == group])) == 4
        assert len(set(canonical[train.groups == group])) == 1
    assert len(set(canonical)) == 30
    assert not forms(task, puzzles) & forms(task, everything(test))
    assert set(everything(test).level) == {task.levels.index(level)}
    for split in (train, test):
        check_folder(split.path, task, quiet)


@pytest.mark.parametrize(("task", "flags", "level"), CASES)
def test_the_same_arguments_give_the_same_folder_bit_for_bit_and_another_seed_another(
    task: PuzzleTask, flags: str, level: str, batches: dict[str, PuzzleBatch], tmp_path: Path
) -> None:
    path = csv_of(tmp_path / "p.csv", task, batches[task.name])
    for origin in (f"--level {level} --puzzles 20 --test-puzzles 5", f"--csv {path} --subsample 20"):
        found = []
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            run(f"{flags} {origin} --num-aug 2 --seed {seed} --out", tmp_path / name)
            found.append(content(tmp_path / name))
            shutil.rmtree(tmp_path / name)
        assert found[0] == found[1]
        assert found[0]["train/all__inputs.npy"] != found[2]["train/all__inputs.npy"]


def test_levels_come_in_the_proportions_asked_for(tmp_path: Path) -> None:
    run("--task sudoku --size 6 --level easy=0.7,hard=0.3 --puzzles 40 --out", tmp_path / "d")
    train, test = opened(tmp_path / "d", SUDOKU6)
    names = [SUDOKU6.levels[i] for i in everything(train).level]
    assert (names.count("easy"), names.count("hard")) == (28, 12)
    assert len(set(names[:10])) == 2, "levels are mixed"
    assert len(test) == 4


@pytest.mark.parametrize(
    ("weights", "total", "expected"),
    [
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 10, {"a": 4, "b": 3, "c": 3}),
        ({"a": 0.7, "b": 0.3}, 1, {"a": 1, "b": 0}),
        ({"a": 5.0}, 7, {"a": 7}),
        ({"a": 1.0, "b": 9.0}, 0, {"a": 0, "b": 0}),
    ],
)
def test_shares_add_up(weights: dict[str, float], total: int, expected: dict[str, int]) -> None:
    assert builder.shares(weights, total) == expected


def test_a_file_becomes_a_folder_with_every_puzzle_once(
    batches: dict[str, PuzzleBatch], tmp_path: Path
) -> None:
    batch = batches["maze"]
    twice = PuzzleBatch.concatenate([batch, batch.take(slice(0, 10))])
    path = csv_of(tmp_path / "mazes.csv", MAZE, twice)
    packed = path.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    run("--task maze --size 7 --csv", packed, "--test-puzzles", 9, "--out", tmp_path / "d")
    train, test = opened(tmp_path / "d", MAZE)
    assert (len(train), len(test)) == (51, 9)
    both = PuzzleBatch.concatenate([everything(train), everything(test)])
    answers = {
        inputs.tobytes(): solution.tobytes()
        for inputs, solution in zip(batch.inputs, batch.solution, strict=True)
    }
    assert {
        inputs.tobytes(): solution.tobytes()
        for inputs, solution in zip(both.inputs, both.solution, strict=True)
    } == answers


def test_a_tenth_of_a_file_is_held_out_unless_something_else_is_said(
    batches: dict[str, PuzzleBatch], tmp_path: Path
) -> None:
    path = csv_of(tmp_path / "p.csv", SUDOKU6, batches["sudoku"])
    run("--task sudoku --size 6 --csv", path, "--out", tmp_path / "d")
    assert [len(split) for split in opened(tmp_path / "d", SUDOKU6)] == [54, 6]
    run("--task sudoku --size 6 --test-puzzles 0 --csv", path, "--out", tmp_path / "e")
    assert find_splits(tmp_path / "e").test is None


@pytest.mark.parametrize(("task", "flags", "level"), CASES)
def test_training_puzzles_that_are_versions_of_test_puzzles_are_left_out(
    task: PuzzleTask, flags: str, level: str, batches: dict[str, PuzzleBatch], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    batch = batches[task.name]
    turned = task.augment(batch.take(slice(0, 7)), np.random.default_rng(0))
    train_csv = csv_of(
        tmp_path / "train.csv", task, PuzzleBatch.concatenate([batch.take(slice(7, 40)), turned])
    )
    test_csv = csv_of(tmp_path / "test.csv", task, batch.take(slice(0, 20)))
    run(f"{flags} --csv", train_csv, "--test-csv", test_csv, "--out", tmp_path / "d")
    train, test = opened(tmp_path / "d", task)
    assert (len(train), len(test)) == (20, 20)
    assert not forms(task, everything(train)) & forms(task, everything(test))
    assert "left out 20 training puzzles that match a held-out one" in capsys.readouterr().out

    # Held out of one file, too: twins of held-out puzzles go.
    both = csv_of(tmp_path / "both.csv", task, PuzzleBatch.concatenate([batch.take(slice(0, 7)), turned]))
    run(f"{flags} --test-puzzles 3 --csv", both, "--out", tmp_path / "e")
    train, test = opened(tmp_path / "e", task)
    assert not forms(task, everything(train)) & forms(task, everything(test))
    assert len(test) == 3


def test_a_subsample_has_that_many_puzzles_even_where_some_cannot_be_used(
    batches: dict[str, PuzzleBatch], tmp_path: Path
) -> None:
    """Half of the file's rows are copies, and some are held out."""
    batch = batches["sudoku"]
    path = csv_of(tmp_path / "p.csv", SUDOKU6, PuzzleBatch.concatenate([batch, batch]))
    flags = "--task sudoku --size 6 --test-puzzles 10 --num-aug 2 --csv"
    run(flags, path, "--subsample", 50, "--out", tmp_path / "d")
    train, test = opened(tmp_path / "d", SUDOKU6)
    assert (len(train), len(test)) == (150, 10)
    assert len(forms(SUDOKU6, everything(train))) == 50
    assert "has 50 different training puzzles besides the 10 held out, not 51" in refused(
        flags, path, "--subsample", 51, "--out", tmp_path / "e"
    )
    assert not (tmp_path / "e").exists()


def test_a_least_rating_leaves_the_easier_rows_out(batches: dict[str, PuzzleBatch], tmp_path: Path) -> None:
    batch = batches["sudoku"]
    path = csv_of(tmp_path / "p.csv", SUDOKU6, batch)
    run("--task sudoku --size 6 --min-rating 40 --test-puzzles 5 --csv", path, "--out", tmp_path / "d")
    train, test = opened(tmp_path / "d", SUDOKU6)
    both = PuzzleBatch.concatenate([everything(train), everything(test)])
    assert set(fingerprint(both.inputs)) == set(fingerprint(batch.inputs[40:]))


def test_a_maze_has_all_its_eight_versions_with_the_labels_that_the_rule_gives(
    batches: dict[str, PuzzleBatch], tmp_path: Path
) -> None:
    """Where a maze is its own mirror image, there are fewer; drawing asks for more than there are."""
    rng = np.random.default_rng(0)
    many = PuzzleBatch.concatenate([batches["maze"]] * 5).take(slice(0, 300))
    for num_aug in (7, 50):
        ((batch, sizes),) = builder.versions(MAZE, many, num_aug, rng)
        owner = np.repeat(np.arange(len(many)), sizes)
        assert np.array_equal(batch.inputs[np.cumsum(sizes) - sizes], many.inputs), "each puzzle comes first"
        images = PuzzleBatch.concatenate([MAZE.augment(many, rng) for _ in range(150)])
        for i in (0, 13, 299):
            possible = set(fingerprint(images.inputs[i :: len(many)]).tolist())
            assert set(fingerprint(batch.inputs[owner == i]).tolist()) == possible
        assert MAZE.faults(batch.inputs, batch.solution) == {}


def test_versions_do_not_depend_on_anything_but_the_seed_and_fill_whole_chunks() -> None:
    batch = SUDOKU6.generate("easy", 40, np.random.default_rng(0))
    chunks = list(builder.versions(SUDOKU6, batch, 999, np.random.default_rng(1)))
    assert [len(part) for part, _ in chunks] == [16_000, 16_000, 8_000]
    assert all((sizes == 1000).all() for _, sizes in chunks)


def test_puzzles_that_only_differ_by_a_symmetry_are_the_last_resort(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A 4x4 board has a few hundred essentially different extreme puzzles at most."""
    task = make_task("sudoku", size=4)
    base = builder.generate(task, {"extreme": 1.0}, 1500, 10, 0, quiet)
    assert len(base.train) == 1500
    assert len(set(fingerprint(base.train.inputs))) == 1500
    assert len(forms(task, base.train)) < 1500
    assert not forms(task, base.train) & forms(task, base.test)
    assert base.notes[0].endswith(
        "of the training puzzles are symmetric versions of others: there are no more"
    )


def test_the_end_says_what_was_written_and_how_to_train_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run("--task sudoku --size 4 --options min_guesses 0 --level easy --puzzles 20 --num-aug 2 --out data/d")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wrote data/d: train 60 examples of 20 puzzles, test 2 puzzles"
    assert lines[1] == (
        f"train on it: {typed_command('train')} --env.task sudoku --env.size 4 --env.options min_guesses 0 "
        "--data.path data/d --curriculum.stages all=1"
    )


# Nothing half-written


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        assert any(tmp_path.iterdir()), "the training split is under way"
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "_with_versions", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("--task sudoku --size 4 --level easy --puzzles 20 --num-aug 2 --out", tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(builder, "_with_versions", full)
    message = refused("--task sudoku --size 4 --level easy --puzzles 20 --out", tmp_path / "d")
    assert message == "cannot read or write: No space left on device"


# Mistakes


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ("", "say which task: --task sudoku"),
        ("--task soduku --out x --level easy", "did you mean 'sudoku'?"),
        ("--task sudoku --size 5 --out x --level easy", "(--task, --size, --options)"),
        ("--task sudoku --level easy", "say where to write"),
        (
            "--task sudoku --out x",
            "one of --level LEVEL (generated), --whole (all that the task has), --csv FILE and --hub OWNER/N",
        ),
        ("--task sudoku --out x --level easy --csv y", "not with --level and --csv"),
        ("--task sudoku --out x --level eassy", "unknown level 'eassy'; did you mean 'easy'?"),
        ("--task sudoku --out x --level easy=0.5,hrad=1", "unknown level 'hrad'; did you mean 'hard'?"),
        (
            "--task sudoku --out x --level easy=a",
            "--level: level 'easy=a' is not of the form easy=0.7,medium=0.3",
        ),
        (
            "--task sudoku --out x --level easy --subsample 5",
            "--subsample does not go with --level: use --puzzles",
        ),
        ("--task sudoku --out x --level easy --min-rating 5", "--min-rating does not go with --level"),
        ("--task sudoku --out x --csv y --puzzles 5", "--puzzles does not go with --csv: use --subsample"),
        ("--task sudoku --out x --hub a/b --test-csv y", "--test-csv does not go with --hub"),
        ("--task sudoku --out x --csv y --test-csv z --test-puzzles 0", "leave one out"),
        ("--task sudoku --out x --csv gone.csv", "gone.csv: no such file"),
        ("--task sudoku --out x --level easy --num-aug -1", "--num-aug"),
        ("--task sudoku --out x --level easy --num-agu 1", "did you mean '--num-aug'?"),
        ("--check gone", "gone: no such folder"),
        ("--check gone --task sudoku --size 9", "gone: no such folder"),
    ],
)
def test_mistakes_are_one_line(
    flags: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert part in refused(flags)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten_and_is_noticed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_text("x")
    monkeypatch.setattr(builder, "generate", None)
    message = refused("--task sudoku --level easy --out", tmp_path)
    assert message == f"{tmp_path}: exists already; name another folder or remove this one"


def test_too_few_different_puzzles_are_an_error_that_counts_them(tmp_path: Path) -> None:
    message = refused(
        "--task sudoku --size 4 --level extreme --puzzles 20 --test-puzzles 5000 --out", tmp_path / "d"
    )
    assert " of 5,000 different test puzzles of level 'extreme' could be made" in message


def test_the_1000_mazes_of_maze_hard_become_a_sound_folder(tmp_path: Path) -> None:
    path = SHARED_DATA / "maze_hard_train.csv.gz"
    if not path.exists():
        pytest.skip("development data file maze_hard_train.csv.gz is not there")
    run("--task maze --size 30 --test-puzzles 50 --csv", path, "--out", tmp_path / "d")
    task = make_task("maze", size=30)
    train, test = (check_folder(tmp_path / "d" / name, task, quiet) for name in ("train", "test"))
    assert (train.examples, test.examples) == (950, 50)
    assert train.levels == {"hard": 950}
