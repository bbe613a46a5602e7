"""Votes of a network whose answers are known, over the forms of test grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from envs import PuzzleBatch
from envs.arc.augmentation import IDENTITY, Augmentation
from envs.arc.canvas import Grid, paint
from envs.arc.task import ArcTask
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.arc import asking
from hrm_rl.evaluation.arc.asking import ArcVotes, ask
from hrm_rl.evaluation.arc.passes import passes_of
from hrm_rl.evaluation.arc.questions import NOBODY, ArcQuestion, questions_of
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.evaluation.arc.roster import Roster
from hrm_rl.evaluation.arc.scores import PASS_AT
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.evaluation.votes import Asker
from tests.helpers.scripted_arc import Say, scripted

TASK = ArcTask("mini", size=10, augmentations=11)
TESTS = TASK.tests()
ROSTER = Roster(TASK)
QUESTIONS = questions_of(ROSTER, TESTS)[0]
ANSWERS = {one.input.tobytes(): one.output for one in QUESTIONS}
RULE = Stopping(1)


def votes(
    say: Say,
    sizes: Sequence[int] = (1, 4, 8),
    questions: Sequence[ArcQuestion] = QUESTIONS,
    batch_size: int = 32,
    blank: bool = False,
) -> list[ArcVotes]:
    return list(ask(Asker(scripted(TASK, say), RULE, batch_size), ROSTER, questions, sizes, blank))


def right(grid: Grid, name: str, form: Augmentation) -> tuple[Grid | None, float]:
    return ANSWERS[grid.tobytes()], 1.0


def dizzy(grid: Grid, name: str, form: Augmentation) -> tuple[Grid | None, float]:
    """Right in the forms whose colours sum up so in a place or two, else one of a few wrong answers."""
    code = form.transform + form.colours[1] + len(name)
    if code % 3 == 0:
        return ANSWERS[grid.tobytes()], 0.5
    return np.full((1, 1 + code % 5), code % 10, np.uint8), float(code % 7) / 7


def nothing(grid: Grid, name: str, form: Augmentation) -> tuple[Grid | None, float]:
    return None, 1.0


def test_undoing_every_form_gives_the_plain_answer() -> None:
    for one in votes(right):
        assert one.ranks == (0, 0, 0)
        assert one.asked == (1, 4, 8)
        assert one.segments == (1, 4, 8)
        (only,) = one.attempts
        assert (only.votes, only.q) == (8, pytest.approx(0.7311, abs=1e-4))
        np.testing.assert_array_equal(only.grid, one.question.output)
        assert all(np.array_equal(grid, one.question.output) for grid in one.best)


def test_more_attempts_never_solve_less_and_attempts_differ() -> None:
    found = votes(dizzy, (1, 4, 12))
    solved = [[one.solved(k, at) for k in PASS_AT for one in found] for at in range(3)]
    for row in solved:
        table = np.array(row).reshape(len(PASS_AT), -1).sum(axis=1)
        assert (np.diff(table) >= 0).all()
    last = np.array(solved[-1]).reshape(len(PASS_AT), -1).sum(axis=1)
    assert 0 < last[0] < last[-1], "some are first, some come later"
    for one in found:
        assert len({(a.grid.shape, a.grid.tobytes()) for a in one.attempts}) == len(one.attempts) == 2


def test_fewer_forms_are_the_first_of_more_whatever_the_batch() -> None:
    def seen(found: list[ArcVotes]) -> list[tuple[object, ...]]:
        return [
            (v.ranks, v.asked, v.segments, [g if g is None else g.tolist() for g in v.best]) for v in found
        ]

    all_of_them = seen(votes(dizzy, (1, 4, 8)))
    for size in (5, 500):
        assert seen(votes(dizzy, (1, 4, 8), batch_size=size)) == all_of_them
    few = seen(votes(dizzy, (1, 4)))
    assert [tuple(part[:2] for part in row) for row in all_of_them] == [tuple(row) for row in few]


def test_a_puzzle_with_fewer_forms_than_asked_ends_with_those_it_has() -> None:
    found = votes(right, (1, 8, 1000))
    assert {one.asked for one in found} == {(1, 8, 12)}


def test_an_answer_that_is_no_grid_has_no_vote() -> None:
    for one in votes(nothing):
        assert one.attempts == ()
        assert one.ranks == one.best == (None, None, None)
        assert one.asked == (1, 4, 8)
    half = votes(lambda *asked: right(*asked) if asked[2] == IDENTITY else nothing(*asked))
    assert {one.attempts[0].votes for one in half} == {1}


def test_without_identifiers_the_network_is_not_told_the_task() -> None:
    def told(grid: Grid, name: str, form: Augmentation) -> tuple[Grid | None, float]:
        return (ANSWERS[grid.tobytes()] if name else grid), 0.0

    assert all(one.solved(1) for one in votes(told))
    plain = votes(told, (1,), blank=True)
    assert not any(one.solved(2) for one in plain), "these rules all change something"
    np.testing.assert_array_equal(plain[0].attempts[0].grid, QUESTIONS[0].input)


def test_a_grid_is_asked_about_once_whichever_forms_it_comes_in() -> None:
    forms = TASK.forms(3, 0, [0, 5, 7])
    strangers = replace(forms.take(slice(1)), identifier=np.zeros(1, np.int64))
    batch = PuzzleBatch.concatenate([forms, TASK.forms(4, 0, [2]), strangers])
    questions, numbers = questions_of(ROSTER, batch)
    assert numbers.tolist() == [0, 0, 0, 1, NOBODY]
    for one, place in zip(questions, (3, 4), strict=True):
        pair = TASK.puzzles[place].test[0]
        assert one.puzzle == place
        np.testing.assert_array_equal(one.input, pair.input)
        np.testing.assert_array_equal(one.output, pair.output)


def test_the_voted_answer_is_one_to_each_puzzle_in_its_form_and_place() -> None:
    forms = TASK.forms(0, 0, [0, 3, 6])
    pair, form = TASK.puzzles[0].test[0], TASK.augmentations_of(0)[4]
    size = max(*pair.input.shape, *pair.output.shape)
    below = TASK.size - size
    moved = [paint(form.apply(grid), TASK.size, below, below) for grid in (pair.input, pair.output)]
    other = PuzzleBatch(
        moved[0][None], moved[1][None], np.zeros(1, np.int64), np.array([TASK.identifier_of(0, 4)])
    )
    batch = PuzzleBatch.concatenate([forms, other])
    questions, _ = questions_of(ROSTER, batch)
    assert len(questions) == 1
    solver = scripted(TASK, lambda *asked: right(*asked) if asked[2] != IDENTITY else (asked[0], 9.0))
    single = evaluate(solver, batch, RULE)
    found = list(ask(Asker(solver, RULE), ROSTER, questions, (1, 4)))
    report = ArcReport.of(ROSTER, found, [], (1, 4), [], 0)
    passes = passes_of(report, batch, single)
    assert list(passes) == ["vote of 4"]
    assert passes["vote of 4"].solved.all()
    assert (passes["vote of 4"].passes == 4).all()
    assert not single.solved[0]


def test_votes_are_forgotten_as_soon_as_a_question_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are asked, few are open."""
    open_, most = 0, 0

    class Counted(asking._Poll):
        def __init__(self, *args: object) -> None:
            nonlocal open_, most
            super().__init__(*args)  # type: ignore[arg-type]
            open_ += 1
            most = max(most, open_)

    monkeypatch.setattr(asking, "_Poll", Counted)
    asker = Asker(scripted(TASK, right), RULE, 24)
    done = 0
    for _ in ask(asker, ROSTER, QUESTIONS * 5, (12,)):
        done += 1
        open_ -= 1
    assert done == 5 * len(QUESTIONS)
    assert most <= 4, "two fill the slots, one waits for them, one is being taken"
