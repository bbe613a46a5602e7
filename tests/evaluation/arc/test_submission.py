"""Submissions, pages and pictures, of votes that are given."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envs import DataError
from envs.arc.canvas import Grid
from envs.arc.task import ArcTask
from envs.drawing.colours import COLOURS
from hrm_rl.evaluation.arc.asking import ArcVotes
from hrm_rl.evaluation.arc.ballot import Candidate
from hrm_rl.evaluation.arc.page import pixel_per_cell, write_up
from hrm_rl.evaluation.arc.picture import write_pictures
from hrm_rl.evaluation.arc.questions import ArcQuestion
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.evaluation.arc.roster import Roster
from hrm_rl.evaluation.arc.submission import NOTHING, read_submission, submission_of, write_submission

TASK = ArcTask("mini")


def asked(place: int, *answers: Grid, test: int = 0) -> ArcVotes:
    pair = TASK.puzzles[place].test[test]
    ranks = [n for n, answer in enumerate(answers) if np.array_equal(answer, pair.output)]
    attempts = tuple(Candidate(answer, 5 - n, 0.5) for n, answer in enumerate(answers[:2]))
    return ArcVotes(
        ArcQuestion(place, pair.input, pair.output),
        (ranks[0] if ranks else None,),
        (answers[0] if answers else None,),
        (8,),
        (8,),
        attempts,
    )


WRONG, OTHER = np.array([[1, 2, 3]], np.uint8), np.array([[4], [5]], np.uint8)
RIGHT = TASK.puzzles[0].test[0].output
assert RIGHT is not None
VOTES = [asked(0, WRONG, RIGHT, OTHER), asked(1, OTHER), asked(2)]
COUNTS = {TASK.puzzles[place].name: len(TASK.puzzles[place].test) for place in range(3)}


def report(votes: list[ArcVotes] = VOTES) -> ArcReport:
    return ArcReport.of(Roster(TASK), votes, [], (8,), ["a note < this"], 0)


def test_a_submission_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    submission = submission_of(TASK.puzzles, VOTES)
    write_submission(path, submission)
    found = read_submission(path, COUNTS)
    names = [TASK.puzzles[place].name for place in range(3)]
    assert list(found) == names
    for name in names:
        for tries, others in zip(found[name], submission[name], strict=True):
            assert [a.tolist() for a in tries] == [b.tolist() for b in others]
    assert [grid.tolist() for grid in found[names[0]][0]] == [WRONG.tolist(), RIGHT.tolist()]
    assert [grid.tolist() for grid in found[names[1]][0]] == [OTHER.tolist()] * 2, "all forms agreed"
    assert [grid.tolist() for grid in found[names[2]][0]] == [NOTHING.tolist()] * 2, "no answer was a grid"
    assert set(json.loads(path.read_text())[names[0]][0]) == {"attempt_1", "attempt_2"}


def test_test_inputs_stand_in_the_published_order_with_those_that_were_not_asked() -> None:
    puzzle = TASK.puzzles[0]
    twice = replace(puzzle, test=(TASK.puzzles[1].test[0], puzzle.test[0]))
    (tests,) = submission_of([twice], VOTES[:1]).values()
    assert [grid.tolist() for grid in tests[0]] == [NOTHING.tolist()] * 2
    assert tests[1][1].tolist() == RIGHT.tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.pop(min(v)), "lacks the task"),
        (lambda v: v.update(x=[]), "has the unknown task 'x'"),
        (lambda v: v[min(v)].append({}), "must have a list of attempts at 1 test inputs"),
        (lambda v: v[min(v)][0].pop("attempt_2"), "test 1: must hold attempt_1 and attempt_2"),
        (lambda v: v[min(v)][0].update(attempt_1=[[1], [1, 2]]), "attempt_1 is no grid"),
        (lambda v: v[min(v)][0].update(attempt_1=[[10]]), "attempt_1 holds 10; colours are"),
        (lambda v: v[min(v)][0].update(attempt_1=[[True]]), "attempt_1 holds True; colours are"),
        (lambda v: v[min(v)][0].update(attempt_1=[[1] * 31]), "30 x 30 are the most"),
    ],
)
def test_a_submission_that_no_judge_would_take_is_told_in_one_line(change, said: str, tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    write_submission(path, submission_of(TASK.puzzles, VOTES))
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match=re.escape(said)) as error:
        read_submission(path, COUNTS)
    assert "\n" not in str(error.value)


def test_the_page_has_every_task_every_grid_and_both_attempts() -> None:
    page = write_up(report(), "a <model>", ["a fact & more"])
    for puzzle in TASK.puzzles[:3]:
        assert f'<section id="{puzzle.name}">' in page
    assert "a &lt;model&gt;" in page
    assert "a fact &amp; more" in page
    assert "a note &lt; this" in page
    pictures = [base64.b64decode(data) for data in re.findall(r"base64,([^\"]+)", page)]
    demonstrations = sum(len(TASK.puzzles[place].train) for place in range(3))
    assert len(pictures) == 2 * demonstrations + 3 * 2 + 3
    assert "attempt 1 ✗ wrong\n5 votes of 8, q 0.50" in page
    assert "attempt 2 ✓ right\n4 votes of 8, q 0.50" in page
    assert "attempt 2: no other answer" in page
    assert "attempt 1: no answer" in page
    assert "http" not in page, "it needs no network"


def test_a_grid_is_a_picture_of_its_public_colours() -> None:
    grid = np.arange(10, dtype=np.uint8).reshape(2, 5)
    image = np.asarray(Image.open(io.BytesIO(pixel_per_cell(grid))).convert("RGB"))
    np.testing.assert_array_equal(image, np.array(COLOURS, np.uint8)[grid])


def test_each_task_is_a_picture_in_a_folder(tmp_path: Path) -> None:
    told: list[int] = []
    write_pictures(tmp_path / "new", report(VOTES[:1]), told.append)
    (picture,) = (tmp_path / "new").iterdir()
    assert picture.name == f"{TASK.puzzles[0].name}.png"
    image = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    for colour in np.unique([*RIGHT.flat, *WRONG.flat, *TASK.puzzles[0].test[0].input.flat]):
        assert (image == COLOURS[colour]).all(axis=1).sum() > 50
    assert told == [1]


def test_what_is_not_known_is_not_scored(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    secret = replace(VOTES[1], question=replace(VOTES[1].question, output=None))
    some = report([VOTES[0], secret])
    assert some.rows[-1].pass_at[2].grids == 1.0
    some.print(Console(width=100))
    shown = capsys.readouterr().out
    assert "1 of the test grids have no known answer" in shown
    none = report([secret])
    assert none.rows[-1].pass_at == {}
    none.print(Console(width=100))
    assert "pass@" not in capsys.readouterr().out
    assert "answer not known" in write_up(none, "m", [])
