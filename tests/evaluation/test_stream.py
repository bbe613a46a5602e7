"""Puzzles of a large file are evaluated batch by batch: the same figures, in memory that does not grow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs import PuzzleBatch, distinct
from envs.folders import opening, rows
from envs.folders.writer import write_split
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.evaluation import scores
from hrm_rl.runs.pretrained import About
from tests.helpers.commands import evaluated, refusal
from tests.helpers.folders import TASK
from tests.helpers.searchers import HALF_TRAINED, half_trained
from tests.helpers.tiny import puzzles, write_csv


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that solves some puzzles."""
    folder = tmp_path_factory.mktemp("model")
    about = About(origin="a test", config=HALF_TRAINED.model_dump(mode="json"))
    half_trained().model.save_pretrained(folder, about.model_dump())
    return str(folder)


@pytest.fixture(scope="module")
def batch() -> PuzzleBatch:
    """Puzzles of three levels, some of them more than once."""
    parts = [puzzles(150, level, seed=1) for level in ("easy", "hard", "extreme")]
    return PuzzleBatch.concatenate([*parts, parts[1].take(slice(0, 40))])


def small_pieces(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Files of any size count as large, and are read `size` puzzles at a time."""
    for module in (opening, rows):
        monkeypatch.setattr(module, "CHUNK", size)
    monkeypatch.setattr(opening, "LARGE", 1)


MORE = [(), ("--max-segments", "4x"), ("--by", "guesses"), ("--halting", "agree")]


def leaves(found: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that a nested object holds, by its place."""
    if isinstance(found, dict | list):
        for key, value in found.items() if isinstance(found, dict) else enumerate(found):
            yield from leaves(value, f"{path}/{key}")
    else:
        yield path, found


@pytest.mark.parametrize("kind", ["csv", "folder"])
@pytest.mark.parametrize("more", MORE, ids=str)
def test_the_figures_are_those_of_all_puzzles_at_once(
    kind: str,
    more: tuple[str, ...],
    model: str,
    batch: PuzzleBatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "puzzles"
    if kind == "csv":
        write_csv(path, batch)
    else:
        write_split(path, TASK, [(batch, np.ones(len(batch), np.int64))])
    args = ("--checkpoint", model, "--data", str(path), *more)
    expected = evaluated(capsys, *args)
    evaluate_command.main(args)
    shown, said = capsys.readouterr()
    small_pieces(monkeypatch, 64)
    found = evaluated(capsys, *args)
    for values in (expected, found):
        assert values.pop("puzzles_per_s") > 0
    assert 0.05 < expected["all"]["solved"] < 0.95
    assert dict(leaves(found)) == pytest.approx(dict(leaves(expected)))
    evaluate_command.main(args)
    again, said_again = capsys.readouterr()
    assert again.splitlines()[:-1] == shown.splitlines()[:-1]  # the last line tells the time
    for line in (said, said_again):
        assert f"left out {len(batch) - len(distinct(batch))} of the {len(batch)} puzzles" in line


def test_a_bad_row_far_down_is_named_by_its_line(
    model: str, batch: PuzzleBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_csv(tmp_path / "p.csv", batch)
    lines = path.read_text().splitlines()
    lines[300] = "1" * 15 + "," + lines[300].split(",")[1]
    path.write_text("\n".join(lines) + "\n")
    small_pieces(monkeypatch, 64)
    line = refusal(evaluate_command.main, "--checkpoint", model, "--data", str(path))
    assert "line 301: the puzzle has 15 characters, not 16 (the model was trained on sudoku 4x4)" in line


@pytest.mark.parametrize("kind", ["csv", "folder"])
def test_memory_does_not_grow_with_the_file(
    kind: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_pieces(monkeypatch, 200)
    answered = []

    def answer(solver, batch, stopping, batch_size, depths):
        """All blank: it is the reading and the counting that are measured."""
        answered.append(len(batch))
        result = scores.Evaluation.empty(len(batch), 16, stopping.budget, 0, depths)
        result.segments[:] = 1
        result.judge(solver.task, batch)
        return result

    monkeypatch.setattr("hrm_rl.evaluation.stream.evaluate", answer)
    base = TASK.generate("extreme", 12_000, np.random.default_rng(0))

    def peak(count: int) -> int:
        some = base.take(slice(0, count))
        path = tmp_path / f"{kind}{count}"
        if kind == "csv":
            write_csv(path, some)
        else:
            write_split(path, TASK, [(some, np.ones(count, np.int64))])
        tracemalloc.start()
        evaluate_command.main(["--checkpoint", model, "--data", str(path), "--json"])
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(600)  # what is made once
    small, large = peak(1_200), peak(12_000)
    assert sum(answered) > 6_000
    # What does grow: fingerprints and row numbers, 8 bytes each, and their copies while they are merged.
    assert large - small < 10_800 * 48, (small, large)
    capsys.readouterr()
