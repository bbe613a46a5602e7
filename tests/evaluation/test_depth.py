"""Solved at multiples of training's budget, from one run, against running each budget for itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.depth import by_depth, depths
from hrm_rl.evaluation.scores import evaluate
from tests.helpers.thinkers import TASK, many, network


def test_depths_are_powers_of_two_multiples_of_the_trained_budget_and_the_budget() -> None:
    assert depths(48, trained=3) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]
    assert depths(50, trained=3) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 50]
    assert depths(1024, trained=16) == [2**i for i in range(11)]
    assert depths(1, trained=16) == [1]


@pytest.mark.parametrize("rule", [Stopping(24), Stopping(24, "fixed"), Stopping(24, "agree")], ids=str)
def test_each_depth_is_what_a_run_with_that_budget_gives(rule: Stopping) -> None:
    solver, batch = network(), many(40)
    # A network without training solves nothing: let right be what has an even sum.
    solver = replace(solver, task=Lenient(4))
    result = evaluate(solver, batch, rule, depths=depths(24, trained=3))
    rows = by_depth(result, trained=3)
    assert [(row.budget, row.times) for row in rows if row.times] == [(3, 1), (6, 2), (12, 4), (24, 8)]
    for row in rows:
        alone = evaluate(solver, batch, replace(rule, budget=row.budget))
        assert row.segments_mean == alone.segments.mean()
        assert row.solved == alone.solved.mean()
        assert row.exact_accuracy == alone.exact.mean()
        assert row.handed_in == (~alone.forced).mean()
        low, high = row.solved_interval
        assert low <= row.solved <= high
        if alone.forced.any():
            assert row.solved_of_the_rest == pytest.approx(alone.solved[alone.forced].mean())
        else:
            assert row.solved_of_the_rest is None
    assert len({row.solved for row in rows}) > 2
    if rule.halting == "fixed":
        assert all(row.handed_in == 0 for row in rows)
    else:
        assert 0 < rows[2].handed_in < rows[-1].handed_in


class Lenient(type(TASK)):
    """4x4 Sudoku of which half of all answers are right."""

    def solved(self, inputs: np.ndarray, answer: np.ndarray) -> np.ndarray:
        return answer.sum(axis=-1) % 2 == 0
