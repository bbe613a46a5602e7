"""Submissions in the format of ARC Prize: for each task and each of its test inputs, two attempts.

{"00576224": [{"attempt_1": [[0, 0], [0, 0]], "attempt_2": [[0, 0], [0, 0]]}], ...}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from envs import DataError
from envs.arc.canvas import Grid
from envs.arc.puzzles import ArcPuzzle, to_grid
from hrm_rl.evaluation.arc.asking import ATTEMPTS, ArcVotes
from hrm_rl.utils.files import write_atomically

KEYS = tuple(f"attempt_{number + 1}" for number in range(ATTEMPTS))
NOTHING = np.zeros((1, 1), np.uint8)
"""Handed in where there is no answer: the format has no empty grid."""

Submission = dict[str, list[tuple[Grid, ...]]]
"""By the name of a task, the attempts at each of its test inputs, in order."""


def submission_of(puzzles: Sequence[ArcPuzzle], votes: Sequence[ArcVotes]) -> Submission:
    """The attempts at each task that was asked about: at the test inputs that it is published with, in order,
    or, where none of those was asked, at what was. Where only one answer was given, it is both attempts;
    where none was, NOTHING is."""
    given: dict[int, list[ArcVotes]] = {}
    for one in votes:
        given.setdefault(one.question.puzzle, []).append(one)
    found: Submission = {}
    for place, asked in given.items():
        inputs = [one.question.input for one in asked]
        published = [pair.input for pair in puzzles[place].test]
        if any(np.array_equal(a, b) for a in inputs for b in published):
            inputs = published
        found[puzzles[place].name] = [_attempts_at(grid, asked) for grid in inputs]
    return found


def _attempts_at(question: Grid, asked: Sequence[ArcVotes]) -> tuple[Grid, ...]:
    for one in asked:
        if np.array_equal(one.question.input, question) and one.attempts:
            grids = [candidate.grid for candidate in one.attempts]
            return tuple((grids * ATTEMPTS)[:ATTEMPTS])
    return (NOTHING,) * ATTEMPTS


def write_submission(path: Path, submission: Submission) -> None:
    """As JSON. Raises OSError."""
    values = {
        name: [dict(zip(KEYS, (grid.tolist() for grid in tries), strict=True)) for tries in tests]
        for name, tests in submission.items()
    }
    write_atomically(path, json.dumps(values))


def read_submission(path: Path, tests: Mapping[str, int]) -> Submission:
    """A file, checked: it has these tasks, each with so many test inputs, and every attempt is a grid. Raises
    DataError, in one line."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: is no submission; it must hold attempts by the names of tasks")
    for name in sorted(tests.keys() ^ values.keys()):
        raise DataError(f"{path}: {'lacks the' if name in tests else 'has the unknown'} task {name!r}")
    found: Submission = {}
    for name, attempts in values.items():
        if not isinstance(attempts, list) or len(attempts) != tests[name]:
            raise DataError(
                f"{path}: task {name!r} must have a list of attempts at {tests[name]} test inputs"
            )
        found[name] = [_tries(f"{path}: task {name!r}, test {n}", one) for n, one in enumerate(attempts, 1)]
    return found


def _tries(where: str, values: object) -> tuple[Grid, ...]:
    if not isinstance(values, dict) or set(values) != set(KEYS):
        raise DataError(f"{where}: must hold {' and '.join(KEYS)}, and nothing else")
    return tuple(to_grid(f"{where}: {key}", values[key]) for key in KEYS)
