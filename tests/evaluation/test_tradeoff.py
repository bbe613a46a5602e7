"""One long run against running every rule for itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs import PAD
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.recording import Recording, record
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.evaluation.tradeoff import curve, fixed_budgets
from tests.helpers.thinkers import BUDGET, RULES, many, network, q_target_of


@pytest.fixture(scope="module")
def solver() -> Solver:
    return network()


@pytest.fixture(scope="module")
def recording(solver: Solver) -> Recording:
    return record(solver, many(30), BUDGET, batch_size=16)


def test_rules_applied_to_the_recording_are_the_rules_run(solver: Solver, recording: Recording) -> None:
    for name, rule in RULES.items():
        taught = replace(solver, q_target=Q_TARGETS[q_target_of(name)])
        noted = replace(recording, solver=taught)
        for budget in (1, 4, BUDGET):
            rule = replace(rule, budget=budget)
            run = evaluate(taught, many(30), rule, batch_size=20)
            segments = noted.segments(rule)
            assert segments.tolist() == run.segments.tolist(), (name, budget)
            assert noted.at(noted.exact, segments).tolist() == run.exact.tolist()
            assert noted.at(noted.solved, segments).tolist() == run.solved.tolist()
            np.testing.assert_array_equal(noted.at(noted.q, segments), run.q)


def test_a_recording_says_where_the_model_would_have_halted(recording: Recording) -> None:
    assert recording.budget == BUDGET
    assert (recording.wants == (recording.q[..., 0] > recording.q[..., 1])).all()
    for budget in (3, BUDGET):
        for n, halted in enumerate(recording.segments(Stopping(budget))):
            wants = recording.wants[:budget, n]
            assert not wants[: halted - 1].any()
            assert wants[halted - 1] or halted == budget
    assert (recording.at(recording.q, np.full(30, 2)) == recording.q[1]).all()


def made_up(solver: Solver) -> Recording:
    """Two puzzles and three segments: one is right from the second segment on, one never; q_halt - q_continue
    grows by one a segment, from -1 and from -2; change and entropy fall below all thresholds at the end."""
    q = np.zeros((3, 2, 2), np.float32)
    q[:, :, 0] = [[-1, -2], [0, -1], [1, 0]]
    exact = np.array([[False, False], [True, False], [True, False]])
    agreed = np.array([[1, 1], [1, 1], [2, 1]])
    change = np.array([[1, 1], [0.15, 1], [0, 0]], np.float32)
    return Recording(solver, q, agreed, change, change / 10, exact, exact)


def test_the_curve_of_two_puzzles_by_hand(solver: Solver) -> None:
    points = curve(made_up(solver), Stopping(3), budgets=[2, 3], thresholds=[-1.5, 0.0])
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
    for halting, first, second in (("fixed_point", 0.2, 0.1), ("entropy", 0.03, 0.01)):
        found = {(p.budget, p.threshold): p.segments_mean for p in points if p.halting == halting}
        assert found[3, first] == 2.5, "the one after two segments, the other after three"
        assert found[3, second] == 3.0
        assert found[2, first] == 2.0
    at_cost = {p.segments_mean: p.fixed_exact_accuracy for p in adaptive}
    assert at_cost == {1.5: 0.25, 2.0: 0.5, 3.0: 0.5}, "half way between one and two segments"


def test_fixed_budgets_are_powers_of_two_and_those_wanted() -> None:
    assert fixed_budgets([12, 24]) == [1, 2, 4, 8, 12, 16, 24]
    assert fixed_budgets([1]) == [1]


def test_cells_without_a_label_are_nobodys_mistake(solver: Solver) -> None:
    batch = many(4)
    batch.solution[:] = PAD
    assert record(solver, batch, 2).exact.all()
