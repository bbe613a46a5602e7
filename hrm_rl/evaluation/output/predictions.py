"""A file with every answer of an evaluation."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch
from hrm_rl.evaluation.report import Report
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically


def write_predictions(path: Path, puzzles: PuzzleBatch, report: Report) -> None:
    """A row for each puzzle, as CSV or npz by the name's ending. Raises UserError."""
    result, task = report.result, report.task
    columns: dict[str, NDArray[Any]] = {
        "level": puzzles.level,
        "segments": result.segments,
        "exact": result.exact,
        "solved": result.solved,
        "q_halt": result.q[:, 0],
        "q_continue": result.q[:, 1],
    }
    if report.search is not None:
        columns |= {"handed_in": report.search.handed_in, "starts": report.search.starts}
    # "answer" is another name of the solution in files of puzzles (envs/csv_files.py)
    boards = {"question": puzzles.inputs, "solution": puzzles.solution, "prediction": result.answer}
    for name, found in report.extra.items():
        key = name.replace(" ", "_")
        boards[f"{key}_prediction"] = found.answer
        columns |= {f"{key}_solved": found.solved, f"{key}_segments": found.segments}
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **boards, **columns)
        content = buffer.getvalue()
    else:
        levels = np.array([*task.levels, ""])  # NO_LEVEL = -1 is the last
        columns["level"] = levels[puzzles.level]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*boards, *columns])
        values = [[_plain(value) for value in column] for column in columns.values()]
        written = [[task.write_text(board) for board in rows] for rows in boards.values()]
        writer.writerows(zip(*written, *values, strict=True))
        content = text.getvalue().encode()
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def _plain(value: Any) -> Any:
    """True as 1, a float with the digits that float32 has."""
    if isinstance(value, np.bool_):
        return int(value)
    return f"{value:.7g}" if isinstance(value, np.floating) else value
