"""Which of several rollouts' answers is taken, with a task for which many answers are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hrm_rl.agents.act.engine import answers
from hrm_rl.agents.act.noise import RolloutNoise
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping, Thoughts
from hrm_rl.evaluation.rollouts import ChosenBy, Rollouts, roll_out
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.evaluation.votes import Asker
from tests.evaluation.test_depth import Lenient
from tests.helpers.thinkers import many, network

RULE, PUZZLES = Stopping(4), 40


@pytest.fixture(scope="module")
def solver() -> Solver:
    return replace(network(), task=Lenient(4))


def how(choose: ChosenBy, count: int = 5, state_std: float = 0.3, seed: int = 0) -> Rollouts:
    return Rollouts(count, choose, init_std=0.5, state_std=state_std, seed=seed)


@pytest.fixture(scope="module")
def given(solver: Solver) -> list[Thoughts]:
    """What each of five rollouts hands in, asked one after the other; the first has no noise."""
    noises = [None, *(RolloutNoise(0.5, 0.3, (0, k), np.arange(PUZZLES)) for k in range(2, 6))]
    return [Thoughts.concatenate(list(answers(solver, [many(PUZZLES)], RULE, 16, noise))) for noise in noises]


@pytest.mark.parametrize("choose", ["q_halt", "change"])
def test_the_answer_taken_is_that_of_the_surest_or_most_settled_rollout(
    choose: ChosenBy, solver: Solver, given: list[Thoughts]
) -> None:
    batch = many(PUZZLES)
    single = evaluate(solver, batch, RULE)
    found = roll_out(Asker(solver, RULE, 20), batch, single, how(choose))
    assert list(found) == [4, 5]
    for count, passes in found.items():
        merit = np.stack([t.q[:, 0] if choose == "q_halt" else -t.change for t in given[:count]])
        best = merit.argmax(axis=0)
        assert len(set(best)) == count, "every rollout is taken for some puzzle"
        expected = np.stack([t.answer for t in given[:count]])[best, np.arange(PUZZLES)]
        np.testing.assert_array_equal(passes.answer, expected)
        np.testing.assert_array_equal(passes.solved, solver.task.solved(batch.inputs, expected))
        assert (passes.passes == count).all()
        assert (passes.segments == sum(t.segment for t in given[:count])).all()


def test_by_the_rule_the_first_right_answer_is_taken_and_ends_the_puzzle(
    solver: Solver, given: list[Thoughts]
) -> None:
    batch = many(PUZZLES)
    single = evaluate(solver, batch, RULE)
    before = single.answer.copy()
    found = roll_out(Asker(solver, RULE, 20), batch, single, how("rule"))
    right = np.stack([solver.task.solved(batch.inputs, t.answer) for t in given])
    for count, passes in found.items():
        for n in range(PUZZLES):
            ok = np.flatnonzero(right[:count, n])
            taken, tried = (ok[0], ok[0] + 1) if len(ok) else (0, count)
            np.testing.assert_array_equal(passes.answer[n], given[taken].answer[n])
            assert passes.passes[n] == tried
            assert passes.segments[n] == sum(t.segment[n] for t in given[:tried])
            assert passes.solved[n] == bool(len(ok))
    assert found[5].solved.mean() > single.solved.mean()
    np.testing.assert_array_equal(single.answer, before, "the single pass stays what it was")


def test_rollouts_are_the_same_again_with_any_number_of_slots_and_others_with_another_seed(
    solver: Solver,
) -> None:
    batch = many(PUZZLES)
    single = evaluate(solver, batch, RULE)

    def found(batch_size: int, seed: int) -> np.ndarray:
        asker = Asker(solver, RULE, batch_size)
        return roll_out(asker, batch, single, how("change", count=3, seed=seed))[3].answer

    np.testing.assert_array_equal(found(16, 0), found(33, 0))
    assert (found(16, 0) != found(16, 1)).any()
