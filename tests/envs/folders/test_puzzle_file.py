"""Rows of a file of puzzles: read in chunks and by number, and every fault named by its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from envs import PuzzleBatch, make_task
from envs.folders.rows import PuzzleFile
from tests.helpers.dataset_files import MAZE, SUDOKU6, csv_of, different_puzzles
from tests.helpers.tiny import write_csv


@pytest.fixture(scope="module")
def batches() -> dict[str, PuzzleBatch]:
    return different_puzzles()


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
    from envs.folders import rows

    monkeypatch.setattr(rows, "CHUNK", 4)
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
