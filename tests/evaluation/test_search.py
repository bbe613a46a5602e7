"""What is counted of search, against reading the moves one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs import PuzzleBatch
from envs.search import Choice
from hrm_rl.agents.search.branches import Branching
from hrm_rl.agents.search.search import Moves, Search, search
from hrm_rl.evaluation.search import Searched, evaluate_search
from tests.helpers.searchers import half_trained
from tests.helpers.tiny import puzzles

HOW = Search(budget=21, chains=2, branching=Branching(share=0.1, temperature=2.0))
MIXED = PuzzleBatch.concatenate([puzzles(20, "easy"), puzzles(20, "hard")])
MIXED.solution[::2] = np.where(MIXED.solution[::2] == 5, 2, MIXED.solution[::2] + 1)
"""Every other puzzle has a label that the rule knows nothing of."""


@pytest.fixture(scope="module")
def moves() -> Moves:
    return Moves.concatenate(list(search(half_trained(), [MIXED], HOW)))


@pytest.fixture(scope="module")
def found() -> Searched:
    told: list[int] = []
    result = evaluate_search(half_trained(), MIXED, HOW, batch_size=16, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(MIXED)
    return result


def test_the_counts_are_those_of_the_moves_one_by_one(moves: Moves, found: Searched) -> None:
    starts, contradictions, right, wrong, given_up = (np.zeros(40, int) for _ in range(5))
    for i, n in enumerate(moves.index):
        starts[n] += moves.age[i] == 1
        if moves.choice[i] != Choice.START_OVER:
            continue
        assumed = moves.board[i] != moves.inputs[i]
        if moves.contradicted[i]:
            contradictions[n] += 1
        elif not assumed.any():
            given_up[n] += 1
        elif (moves.board[i][assumed] == MIXED.solution[n][assumed]).all():
            wrong[n] += 1
        else:
            right[n] += 1
    for name, count in {
        "starts": starts, "contradictions": contradictions, "doubts_right": right, "doubts_wrong": wrong,
        "given_up": given_up,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(getattr(found, name), count, name)
        assert count.any(), name


def test_a_start_that_is_given_up_without_assumptions_is_no_doubt() -> None:
    how = replace(HOW, branching=Branching(every=0), doubt=None, patience=4)
    found = evaluate_search(half_trained(), MIXED, how)
    assert found.given_up.any()
    for count in (found.contradictions, found.doubts_right, found.doubts_wrong):
        assert not count.any()


def test_the_evaluation_is_that_of_what_was_handed_in(moves: Moves, found: Searched) -> None:
    ends = moves.take(moves.done)
    ends = ends.take(np.argsort(ends.index))
    handed_in = ends.choice == Choice.HAND_IN
    assert 0 < handed_in.sum() < 40
    result = found.result
    np.testing.assert_array_equal(found.handed_in, handed_in)
    np.testing.assert_array_equal(result.solved, handed_in)
    np.testing.assert_array_equal(result.exact, handed_in & (np.arange(40) % 2 == 1))
    np.testing.assert_array_equal(result.segments, ends.segment)
    np.testing.assert_array_equal(result.answer, ends.answer)
    np.testing.assert_array_equal(result.level, MIXED.level)
    assert (result.segments[~handed_in] == HOW.budget).all()
    after = np.arange(1, HOW.budget + 1) >= np.where(result.exact, ends.segment, 99)[:, None]
    np.testing.assert_array_equal(result.exact_after, after)


def test_the_anytime_curve_rises_from_the_first_segment_to_the_budget(found: Searched) -> None:
    rows = MIXED.level == MIXED.level[-1]
    points = found.within(rows)
    assert [point.segments for point in points] == [1, 2, 4, 8, 16, 21]
    for point in points:
        expected = (found.handed_in & (found.result.segments <= point.segments))[rows].mean()
        assert point.solved == expected
        low, high = point.interval
        assert low <= point.solved <= high
        assert 0 < high - low < 1
    assert points[-1].solved == found.result.solved[rows].mean()


def test_an_answer_that_the_rule_rejects_counts_as_wrong_if_it_was_handed_in(found: Searched) -> None:
    assert found.effort().wrong == 0
    n = int(np.flatnonzero(found.handed_in)[0])
    found.result.solved[n] = False
    assert found.effort().wrong == 1
    found.result.solved[n] = True
