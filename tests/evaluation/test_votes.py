"""Votes and retries, with networks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs import PuzzleBatch, make_task
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.scores import Evaluation, evaluate
from hrm_rl.evaluation.votes import Asker, majority, offered, retry, vote
from hrm_rl.utils.errors import UserError
from tests.helpers.thinkers import TASK, many, network

RULE = Stopping(3)


@pytest.fixture
def fickle(monkeypatch: pytest.MonkeyPatch) -> Solver:
    """A network that solves what it is asked exactly where the sum of the first row's tokens is even, which a
    symmetry may change, and counts the segments."""
    solver = network()
    real = solver.model.forward

    def forward(carry, tokens, identifier):
        carry, _, q = real(carry, tokens, identifier)
        boards = tokens.numpy().astype(np.uint8)
        solution = torch.from_numpy(solve(boards)).long()
        right = tokens[:, :4].sum(dim=1) % 2 == 0
        answer = torch.where(right[:, None], solution, (solution - 1) % 4 + 2)
        return carry, torch.nn.functional.one_hot(answer, 6).float(), q

    monkeypatch.setattr(solver.model, "forward", forward)
    return solver


def solve(boards: np.ndarray) -> np.ndarray:
    from envs.sudoku.solver import solve as solutions

    return np.maximum(solutions(boards)[0], 2)


def single_pass(solver: Solver, batch: PuzzleBatch) -> Evaluation:
    return evaluate(solver, batch, RULE, batch_size=16)


def test_the_majority_wins_ties_go_to_the_surer_and_then_to_the_first() -> None:
    a, b, c = ([k, k] for k in (1, 2, 3))
    given = np.array([[a, b, b], [a, b, c], [a, b, c], [c, c, c]], np.uint8)
    weight = np.array([[9, 0, 0], [0, 2, 1], [1, 1, 1], [0, 0, 0]], np.float32)
    assert majority(given, weight).tolist() == [b, b, a, c]
    pairs = np.array([[a, b, a, b, c]], np.uint8)
    assert majority(pairs, np.array([[1, 3, 1, -2, 9]], np.float32)).tolist() == [a]


def test_retries_solve_more_at_a_cost_and_touch_no_solved_puzzle(fickle: Solver) -> None:
    batch = many(40)
    single = single_pass(fickle, batch)
    assert 0.2 < single.solved.mean() < 0.8
    before = single.answer.copy()
    outcomes = retry(Asker(fickle, RULE, batch_size=16), batch, single, 4, seed=0)
    shares = [single.solved.mean(), *(o.solved.mean() for o in outcomes)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.85
    np.testing.assert_array_equal(single.answer, before, "the single pass stays what it was")
    for r, outcome in enumerate(outcomes, start=1):
        np.testing.assert_array_equal(outcome.answer[single.solved], single.answer[single.solved])
        np.testing.assert_array_equal(outcome.solved, TASK.solved(batch.inputs, outcome.answer))
        assert (outcome.passes[single.solved] == 1).all()
        assert (outcome.segments[single.solved] == single.segments[single.solved]).all()
        assert (outcome.passes[~outcome.solved] == r + 1).all()
        np.testing.assert_array_equal(outcome.answer[~outcome.solved], single.answer[~outcome.solved])
        assert (outcome.segments >= outcome.passes).all()


def test_retries_and_votes_are_the_same_again_and_with_any_number_of_slots(fickle: Solver) -> None:
    batch = many(30)
    single = single_pass(fickle, batch)
    for ask in (
        lambda a: retry(a, batch, single, 2, seed=1)[-1],
        lambda a: vote(a, batch, single, 3, seed=1)[3],
    ):
        one, other = (ask(Asker(fickle, RULE, batch_size=size)) for size in (16, 25))
        np.testing.assert_array_equal(one.answer, other.answer)
        np.testing.assert_array_equal(one.segments, other.segments)


def test_votes_cost_all_their_passes_and_the_first_is_the_single_one(fickle: Solver) -> None:
    batch = many(40)
    single = single_pass(fickle, batch)
    asked: list[int] = []
    asker = Asker(fickle, RULE, 16, progress=asked.append)
    found, of_four = (vote(asker, batch, single, 5, seed=0)[forms] for forms in (5, 4))
    assert (of_four.passes == 4).all()
    four = vote(asker, batch, single, 4, seed=0)
    assert list(four) == [4]
    np.testing.assert_array_equal(of_four.answer, four[4].answer, "on the way to five")
    np.testing.assert_array_equal(of_four.segments, four[4].segments)
    assert (found.passes == 5).all()
    assert (found.segments >= single.segments + 4).all()
    np.testing.assert_array_equal(found.solved, TASK.solved(batch.inputs, found.answer))
    assert found.solved.mean() > single.solved.mean(), "right answers agree, wrong ones need not"


def test_a_task_without_symmetries_says_so() -> None:
    from envs.task import PuzzleTask

    class Plain(type(TASK)):
        symmetries = PuzzleTask.symmetries

    with pytest.raises(UserError, match="sudoku offers no symmetries: leave out --vote and --retry"):
        offered(Plain(4), many(1).inputs, np.random.default_rng(0))


def test_a_maze_is_asked_in_another_form_and_its_answer_is_brought_back() -> None:
    """A network that marks shortest paths, of canvases with smaller mazes."""
    task = make_task("maze", size=6, levels="easy=5:3-")
    batch = task.generate("easy", 12, np.random.default_rng(0))

    class Oracle:
        def __call__(self, carry, tokens, identifier):
            from envs.maze.rule import label

            answer = torch.from_numpy(label(tokens.numpy().astype(np.uint8), (6, 6))[0]).long()
            return (
                carry,
                torch.nn.functional.one_hot(answer, task.vocab_size).float(),
                torch.ones(len(tokens), 2),
            )

        training = False

        def parameters(self):
            return iter([torch.zeros(1)])

        def initial_carry(self, slots):
            from hrm_rl.models import Carry

            return Carry(torch.zeros(slots, 1, 1), torch.zeros(slots, 1, 1))

        def eval(self): ...

        def train(self, mode): ...

    oracle = Solver(Oracle(), task, Q_TARGETS["bootstrap"], "all")
    asker = Asker(oracle, Stopping(1), batch_size=5)
    answer, segments, _ = asker.ask(batch, np.random.default_rng(1))
    assert task.solved(batch.inputs, answer).all()
    assert (segments == 1).all()
    assert next(think(oracle, [batch], Stopping(1))).done.all()
