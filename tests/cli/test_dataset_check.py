"""scripts/build_dataset.py --check: a folder of puzzles is sound, or its first fault is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from envs import TASKS
from tests.helpers.dataset_files import refused, run
from tests.helpers.paths import ROOT


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
    warned = capsys.readouterr().out
    assert "warning: 40 of the 40 test puzzles also occur in the training set, up to symmetry" in warned


def test_a_folder_that_fits_no_known_task_asks_for_its_name(folder: Path) -> None:
    file = folder / "train" / "dataset.json"
    file.write_text(file.read_text().replace('"vocab_size": 8', '"vocab_size": 12'))
    message = refused("--check", folder)
    assert f"seq_len 36 and vocab_size 12 fit none of the tasks {', '.join(TASKS)} in any size" in message
    assert "task 'sudoku' has 81 and 11: choose size 6 instead of 9, or another task" in refused(
        "--task sudoku --check", folder
    )


def test_the_script_ends_with_2_and_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/build_dataset.py", "--check", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}: holds neither dataset.json nor train/dataset.json")
    assert done.stderr.count("\n") == 1
