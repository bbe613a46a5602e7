"""scripts/build_dataset.py as a user meets it: what it writes, that it repeats itself, what it refuses."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny import write_csv

from envs import PuzzleBatch, PuzzleTask, fingerprint, make_task
from envs.folder import PuzzleFolder, find_splits
from envs.folder_check import check_folder
from hrm_rl import dataset_command, datasets
from hrm_rl.errors import UserError
from hrm_rl.puzzle_file import PuzzleFile

ROOT = Path(__file__).parents[1]
SUDOKU6 = make_task("sudoku", size=6)
MAZE = make_task("maze", size=7)

CASES = [
    pytest.param(SUDOKU6, "--task sudoku --size 6", "easy", id="sudoku-6"),
    pytest.param(MAZE, "--task maze --size 7", "medium", id="maze-7"),
]


def quiet(what: str, done: int, total: int) -> None:
    pass


def run(flags: str, *more: object) -> None:
    assert dataset_command.main([*flags.split(), *map(str, more)]) == 0


def refused(flags: str, *more: object) -> str:
    with pytest.raises(UserError) as error:
        run(flags, *more)
    assert "\n" not in str(error.value)
    return str(error.value)


def opened(root: Path, task: PuzzleTask) -> tuple[PuzzleFolder, PuzzleFolder]:
    splits = find_splits(root)
    assert splits.test is not None
    return PuzzleFolder(splits.train, task), PuzzleFolder(splits.test, task)


def everything(folder: PuzzleFolder) -> PuzzleBatch:
    return folder.take(slice(None))


def forms(task: PuzzleTask, batch: PuzzleBatch) -> set[int]:
    """One number for all symmetric versions of a puzzle."""
    return set(fingerprint(task.canonical(batch.inputs)).tolist())


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def csv_of(path: Path, task: PuzzleTask, batch: PuzzleBatch, ratings: Sequence[object] | None = None) -> Path:
    """A file with the columns of sapientinc's data sets."""
    lines = ["source,question,answer,rating"]
    for i, (question, answer) in enumerate(zip(batch.inputs, batch.solution, strict=True)):
        rating = i if ratings is None else ratings[i]
        lines.append(f"test,{task.write_text(question)},{task.write_text(answer)},{rating}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def batches() -> dict[str, PuzzleBatch]:
    """60 puzzles of each task, no two of them symmetric versions of one another."""
    found = {}
    for task, level in ((SUDOKU6, "easy"), (MAZE, "medium")):
        found[task.name] = datasets.generate(task, {level: 1.0}, 60, 0, 7, quiet).train
    return found


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
    assert datasets.shares(weights, total) == expected


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
    assert "left out 20 training puzzles that are held out too" in capsys.readouterr().out

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
    assert "has 50 different training puzzles beside the 10 held out, not 51" in refused(
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
        ((batch, sizes),) = datasets.versions(MAZE, many, num_aug, rng)
        owner = np.repeat(np.arange(len(many)), sizes)
        assert np.array_equal(batch.inputs[np.cumsum(sizes) - sizes], many.inputs), "each puzzle comes first"
        images = PuzzleBatch.concatenate([MAZE.augment(many, rng) for _ in range(150)])
        for i in (0, 13, 299):
            possible = set(fingerprint(images.inputs[i :: len(many)]).tolist())
            assert set(fingerprint(batch.inputs[owner == i]).tolist()) == possible
        assert MAZE.faults(batch.inputs, batch.solution) == {}


def test_versions_do_not_depend_on_anything_but_the_seed_and_fill_whole_chunks() -> None:
    batch = SUDOKU6.generate("easy", 40, np.random.default_rng(0))
    chunks = list(datasets.versions(SUDOKU6, batch, 999, np.random.default_rng(1)))
    assert [len(part) for part, _ in chunks] == [16_000, 16_000, 8_000]
    assert all((sizes == 1000).all() for _, sizes in chunks)


def test_puzzles_that_only_differ_by_a_symmetry_are_the_last_resort(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A 4x4 board has a few hundred essentially different extreme puzzles at most."""
    task = make_task("sudoku", size=4)
    base = datasets.generate(task, {"extreme": 1.0}, 1500, 10, 0, quiet)
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
        "train on it: python scripts/train_ray.py --env.task sudoku --env.size 4 --env.options min_guesses 0 "
        "--data.path data/d --curriculum.stages all=1"
    )


# Nothing half-written


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        assert any(tmp_path.iterdir()), "the training split is under way"
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "_with_versions", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("--task sudoku --size 4 --level easy --puzzles 20 --num-aug 2 --out", tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets, "_with_versions", full)
    message = refused("--task sudoku --size 4 --level easy --puzzles 20 --out", tmp_path / "d")
    assert message == "cannot read or write: No space left on device"


# The check


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(
        "--task sudoku --size 6 --level easy --puzzles 20 --test-puzzles 5 --num-aug 1 --out",
        tmp_path / "good",
    )
    return tmp_path / "good"


@pytest.mark.parametrize("flags", ["", "--task sudoku", "--task sudoku --size 6", "--size 6"])
def test_the_check_of_a_root_shows_all_splits_and_needs_no_task(
    flags: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    run(f"{flags} --check", folder)
    words = capsys.readouterr().out.replace("│", " ").split("\n")
    assert "is sound: sudoku of 6 x 6 cells" in words[0]
    rows = [line.split() for line in words if line.split()[:1] in (["train"], ["test"])]
    assert rows == [["train", "40", "40", "20", "easy", "40"], ["test", "5", "5", "5", "easy", "5"]]


def test_the_check_finds_out_that_a_folder_holds_mazes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--task maze --size 7 --level medium --puzzles 10 --test-puzzles 2 --out", tmp_path / "d")
    run("--check", tmp_path / "d" / "train")
    assert "is sound: maze of 7 x 7 cells" in capsys.readouterr().out


def test_the_check_names_the_first_bad_example(folder: Path) -> None:
    file = folder / "test" / "all__labels.npy"
    labels = np.load(file)
    labels[3] = labels[3][::-1]
    np.save(file, labels)
    assert refused("--check", folder).startswith(f"{folder}/test/all__{{inputs,labels}}.npy: example 3: ")
    run("--check", folder / "train")


def test_the_check_warns_of_test_puzzles_that_are_trained_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folder / "test")
    shutil.copytree(folder / "train", folder / "test")
    run("--check", folder)
    assert "warning: 40 of the 40 test puzzles are trained on too" in capsys.readouterr().out


def test_a_folder_that_fits_no_known_task_asks_for_its_name(folder: Path) -> None:
    file = folder / "train" / "dataset.json"
    file.write_text(file.read_text().replace('"vocab_size": 8', '"vocab_size": 12'))
    message = refused("--check", folder)
    assert "seq_len 36 and vocab_size 12 fit no known task: name it with --task NAME --size N" in message
    assert "task 'sudoku' has 81 and 11: choose size 6 instead of 9, or the task" in refused(
        "--task sudoku --check", folder
    )


# Mistakes


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ("", "say which task: --task sudoku"),
        ("--task soduku --out x --level easy", "did you mean 'sudoku'?"),
        ("--task sudoku --size 5 --out x --level easy", "(--task, --size, --options)"),
        ("--task sudoku --level easy", "say where to write"),
        ("--task sudoku --out x", "one of --level LEVEL (generated), --csv FILE and --hub OWNER/NAME"),
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
    monkeypatch.setattr(datasets, "generate", None)
    message = refused("--task sudoku --level easy --out", tmp_path)
    assert message == f"{tmp_path}: exists already; name another folder or remove this one"


def test_too_few_different_puzzles_are_an_error_that_counts_them(tmp_path: Path) -> None:
    message = refused(
        "--task sudoku --size 4 --level extreme --puzzles 20 --test-puzzles 5000 --out", tmp_path / "d"
    )
    assert " of 5,000 different test puzzles of level 'extreme' could be made" in message


def test_the_script_ends_with_2_and_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/build_dataset.py", "--check", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}: holds neither dataset.json nor train/dataset.json")
    assert done.stderr.count("\n") == 1


# Rows of files


def test_bad_rows_are_named_by_their_line_in_the_file_not_in_the_excerpt(
    batches: dict[str, PuzzleBatch], tmp_path: Path
) -> None:
    path = csv_of(tmp_path / "p.csv", SUDOKU6, batches["sudoku"])
    lines = path.read_text().splitlines()
    lines[31] = lines[31].replace("test,", "test,x")
    lines.insert(20, "")
    path.write_text("\n".join(lines))
    file = PuzzleFile(SUDOKU6, path)
    assert file.rows.tolist() == list(range(60))
    (batch,) = file.read(np.array([2, 19, 29, 31, 59]))
    assert np.array_equal(batch.inputs, batches["sudoku"].inputs[[2, 19, 29, 31, 59]])
    with pytest.raises(
        ValueError, match=r"p\.csv: 1 bad row; line 33: the puzzle has 37 characters, not 36$"
    ):
        list(file.read(np.array([2, 30, 40])))


def test_rows_with_several_lines_are_kept_whole(batches: dict[str, PuzzleBatch], tmp_path: Path) -> None:
    batch = batches["maze"].take(slice(0, 5))
    texts = ["\n".join(t[i : i + 7] for i in range(0, 49, 7)) for t in map(MAZE.write_text, batch.inputs)]
    path = tmp_path / "m.csv"
    path.write_text("\ufeffquestion\n" + "".join(f'"{text}"\n' for text in texts), encoding="utf-8")
    file = PuzzleFile(MAZE, path)
    assert len(file.rows) == 5
    (found,) = file.read(np.array([1, 4]))
    assert np.array_equal(found.inputs, batch.inputs[[1, 4]])


def test_many_rows_come_in_chunks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hrm_rl import puzzle_file

    monkeypatch.setattr(puzzle_file, "CHUNK", 4)
    task = make_task("sudoku", size=4)
    batch = task.generate("easy", 10, np.random.default_rng(0))
    file = PuzzleFile(task, write_csv(tmp_path / "p.csv", batch))
    parts = list(file.read(file.rows))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert np.array_equal(PuzzleBatch.concatenate(parts).inputs, batch.inputs)
    assert list(file.read(np.zeros(0, np.int64))) == []


def test_a_file_without_a_header_is_read_whole(tmp_path: Path) -> None:
    task = make_task("sudoku", size=4)
    batch = task.generate("easy", 10, np.random.default_rng(0))
    path = tmp_path / "lines.txt"
    path.write_text("\n".join("".join(str(t - 1) for t in row) for row in batch.inputs.tolist()))
    file = PuzzleFile(task, path)
    (found,) = file.read(np.array([3, 4]))
    assert np.array_equal(found.inputs, batch.inputs[3:5])


@pytest.mark.parametrize(
    ("content", "min_rating", "part"),
    [
        (b"", None, "is empty"),
        (b"question,answer\n", None, "has a header but no rows"),
        (b"board,result\nx,y\n", None, "one of them must be question or puzzle"),
        (gzip.compress(b"question,answer\n" * 99, mtime=0)[:-9], None, "is a damaged gzip file"),
        (b"question,answer\n\xff\xfe,\n", None, "is no text file"),
        (
            b"question,answer\nx,y\n",
            3.0,
            "has no column rating, which --min-rating looks at (it has question, answer)",
        ),
        (b"question,rating\nx,y\n", 3.0, "row 1 after the header: the rating is 'y', not a number"),
        (b"question,rating\nx,2\n", 3.0, "has a header but no rows rated 3 or more"),
    ],
)
def test_a_bad_file_is_named_in_one_line(
    content: bytes, min_rating: float | None, part: str, tmp_path: Path
) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"p\.csv") as error:
        PuzzleFile(make_task("sudoku", size=4), path, min_rating)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_the_1000_mazes_of_maze_hard_become_a_sound_folder(tmp_path: Path) -> None:
    path = ROOT / ".." / "shared" / "data" / "maze_hard_train.csv.gz"
    if not path.exists():
        pytest.skip("development data file maze_hard_train.csv.gz is not there")
    run("--task maze --size 30 --test-puzzles 50 --csv", path, "--out", tmp_path / "d")
    task = make_task("maze", size=30)
    train, test = (check_folder(tmp_path / "d" / name, task, quiet) for name in ("train", "test"))
    assert (train.examples, test.examples) == (950, 50)
    assert train.levels == {"hard": 950}
