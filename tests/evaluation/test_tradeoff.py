"""One long run against running every rule for itself."""

from __future__ import annotations

import numpy as np
import pytest

from envs import PAD
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.evaluate import evaluate
from hrm_rl.evaluation.tradeoff import Recording, curve, fixed_budgets, record
from hrm_rl.models import RecurrentModel
from tests.helpers.thinkers import BUDGET, RULES, TASK, many, network


@pytest.fixture(scope="module")
def model() -> RecurrentModel:
    return network()


@pytest.fixture(scope="module")
def noted(model: RecurrentModel) -> Recording:
    return record(model, TASK, many(30), BUDGET, batch_size=16)


def test_rules_applied_to_the_record_are_the_rules_run(model: RecurrentModel, noted: Recording) -> None:
    for name, rule in RULES.items():
        for budget in (1, 4, BUDGET):
            rule = Stopping(
                budget, rule.halting, rule.q_target, rule.threshold, rule.min_segments, rule.patience
            )
            run = evaluate(model, TASK, many(30), rule, batch_size=20)
            segments = noted.segments(rule)
            assert segments.tolist() == run.segments.tolist(), (name, budget)
            at = np.arange(30), segments - 1
            assert noted.exact[at].tolist() == run.exact.tolist()
            assert noted.solved[at].tolist() == run.solved.tolist()
            np.testing.assert_array_equal(noted.q[at], run.q)


def made_up() -> Recording:
    """Two puzzles and three segments: one is right from the second segment on, one never; q_halt - q_continue
    grows by one a segment, from -1 and from -2."""
    q = np.zeros((2, 3, 2), np.float32)
    q[:, :, 0] = [[-1, 0, 1], [-2, -1, 0]]
    exact = np.array([[False, True, True], [False, False, False]])
    return Recording(q, np.array([[1, 1, 2], [1, 1, 1]]), exact, exact)


def test_the_curve_of_two_puzzles_by_hand() -> None:
    points = curve(made_up(), Stopping(3), budgets=[2, 3], thresholds=[-1.5, 0.0])
    fixed, adaptive, agree = ([p for p in points if p.halting == h] for h in ("fixed", "adaptive", "agree"))
    assert [(p.budget, p.segments_mean, p.exact_accuracy) for p in fixed] == [
        (1, 1, 0),
        (2, 2, 0.5),
        (3, 3, 0.5),
    ]
    assert [(p.budget, p.threshold, p.segments_mean, p.exact_accuracy) for p in adaptive] == [
        (2, -1.5, 1.5, 0.0), (2, 0.0, 2.0, 0.5), (3, -1.5, 1.5, 0.0), (3, 0.0, 3.0, 0.5),
    ]  # fmt: skip
    assert [(p.budget, p.segments_mean) for p in agree] == [(2, 2.0), (3, 3.0)]
    at_cost = {p.segments_mean: p.fixed_exact_accuracy for p in adaptive}
    assert at_cost == {1.5: 0.25, 2.0: 0.5, 3.0: 0.5}, "half way between one and two segments"


def test_fixed_budgets_are_powers_of_two_and_those_wanted() -> None:
    assert fixed_budgets([12, 24]) == [1, 2, 4, 8, 12, 16, 24]
    assert fixed_budgets([1]) == [1]


def test_cells_without_a_label_are_nobodys_mistake(model: RecurrentModel) -> None:
    batch = many(4)
    batch.solution[:] = PAD
    assert record(model, TASK, batch, 2).exact.all()
