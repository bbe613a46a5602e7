"""The search loop, with a network that knows 4x4 Sudoku by half and doubts at random."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from envs import PuzzleBatch
from envs.errors import UserError
from envs.search import Choice
from envs.sudoku.board import BLANK
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping, Thoughts
from hrm_rl.agents.search.branches import Branching
from hrm_rl.agents.search.doubt import Doubt, probability
from hrm_rl.agents.search.search import Moves, Search, search
from hrm_rl.config import SearchConfig
from hrm_rl.models import Carry
from tests.helpers.searchers import half_trained
from tests.helpers.thinkers import TASK, many
from tests.helpers.tiny import TINY, tiny_config

BOLD = Branching(share=0.3, temperature=4.0)
"""Many assumptions, hardly better than dice: enough of them are wrong."""
HOW = Search(budget=30, branching=BOLD)
SIDE_BY_SIDE = Search(budget=29, chains=3, branching=BOLD)
WAYS = pytest.mark.parametrize("how", [HOW, SIDE_BY_SIDE], ids=["one chain", "three chains"])


@pytest.fixture(scope="module")
def solver() -> Solver:
    return half_trained()


def searched(solver: Solver, puzzles: list[PuzzleBatch] | PuzzleBatch, how: Search, slots: int = 24) -> Moves:
    queue = [puzzles] if isinstance(puzzles, PuzzleBatch) else puzzles
    return Moves.concatenate(list(search(solver, queue, how, slots)))


def of(moves: Moves, puzzle: int, chain: int | None = None) -> Moves:
    """What became of one puzzle, or of one of its chains."""
    rows = moves.index == puzzle
    return moves.take(rows if chain is None else rows & (moves.chain == chain))


def assert_equal(found: Moves, expected: Moves) -> None:
    for part in fields(Moves):
        np.testing.assert_array_equal(getattr(found, part.name), getattr(expected, part.name), part.name)


@WAYS
def test_a_puzzle_fares_in_company_as_it_does_alone_to_the_last_bit(solver: Solver, how: Search) -> None:
    """Its place in the queue is what its stream depends on, so it is the first one."""
    company = searched(solver, many(40), how, slots=18)
    assert 0 < (company.take(company.done).choice == Choice.HAND_IN).mean() < 1
    for slots in (3, 60):
        for n in (0, 1, 5):
            # Whoever is before it keeps its place; the others are gone.
            alone = searched(solver, many(40).take(slice(n + 1)), how, slots)
            assert_equal(of(alone, n), of(company, n))


def test_the_queue_may_come_in_pieces(solver: Solver) -> None:
    batch = many(20)
    pieces = [batch.take(slice(0, 0)), batch.take(slice(0, 1)), batch.take(slice(1, 20))]
    assert_equal(searched(solver, pieces, HOW), searched(solver, batch, HOW))
    assert list(search(solver, [], HOW)) == []


@WAYS
def test_the_seed_decides(solver: Solver, how: Search) -> None:
    one, again = searched(solver, many(20), how), searched(solver, many(20), how)
    assert_equal(again, one)
    other = searched(solver, many(20), replace(how, seed=1))
    assert len(other.index) != len(one.index) or (other.assumed != one.assumed).any()


@WAYS
def test_only_what_the_rule_accepts_is_handed_in(solver: Solver, how: Search) -> None:
    batch = many(60)
    moves = searched(solver, batch, how)
    in_hand = moves.take(moves.choice == Choice.HAND_IN)
    assert len(in_hand.index) > 5
    assert TASK.solved(batch.inputs[in_hand.index], in_hand.answer).all()
    np.testing.assert_array_equal(moves.solved, TASK.solved(moves.inputs, moves.answer))
    np.testing.assert_array_equal(moves.choice == Choice.HAND_IN, moves.solved)
    ends = moves.take(moves.done)
    assert np.sort(ends.index).tolist() == list(range(60)), "each puzzle ends once"
    abstained = ends.choice != Choice.HAND_IN
    assert abstained.any()
    assert (ends.segment[abstained] == how.budget).all()


@pytest.mark.parametrize("budget", [1, 2, 7, 30])
@pytest.mark.parametrize("chains", [1, 3])
def test_all_chains_together_keep_to_the_budget(solver: Solver, budget: int, chains: int) -> None:
    moves = searched(solver, many(20), Search(budget, chains, BOLD))
    for n in range(20):
        found = of(moves, n)
        end = found.take(found.done)
        assert len(found.index) == end.segment[0] == found.segment.max() <= budget
        if end.choice[0] != Choice.HAND_IN:
            assert len(found.index) == budget
        spent = [len(of(moves, n, chain).index) for chain in range(chains)]
        assert max(spent) - min(spent) <= 1, "dealt out evenly"
        assert spent == sorted(spent, reverse=True), "the first chains first"


def test_no_slot_thinks_about_a_puzzle_that_is_done(solver: Solver) -> None:
    rows: list[int] = []
    hook = solver.model.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[1])))
    steps = list(search(solver, [many(60)], HOW, batch_size=24))
    hook.remove()
    used = [len(moves.index) for moves in steps]
    last = max(i for i, count in enumerate(used) if count == 24)
    assert rows[: last + 1] == used[: last + 1] == [24] * (last + 1)
    assert rows[last + 1 :] == used[last + 1 :]


def test_without_assumptions_it_is_thinking_for_a_fixed_budget(solver: Solver) -> None:
    how = Search(9, branching=Branching(every=0), doubt=None)
    moves = searched(solver, many(12), how)
    thoughts = Thoughts.concatenate(list(think(solver, [many(12)], Stopping(9, "fixed"))))
    for n in range(12):
        found, plain = of(moves, n), thoughts.take(thoughts.index == n)
        count = len(found.index)
        for name in ("answer", "q", "segment", "inputs"):
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name)[:count], name)
        assert count == 9 or found.solved[-1]
        np.testing.assert_array_equal(found.board, found.inputs)
        assert (found.choice[:-1] == Choice.CONTINUE).all()


def test_each_board_is_the_one_before_with_what_was_assumed_or_the_puzzle_again(solver: Solver) -> None:
    moves = searched(solver, many(20), SIDE_BY_SIDE)
    over = moves.choice == Choice.START_OVER
    assert (over & moves.contradicted).any()
    assert (over & ~moves.contradicted).any()
    for n in range(20):
        for chain in range(3):
            found = of(moves, n, chain)
            np.testing.assert_array_equal(found.board[0], found.inputs[0])
            for k in range(len(found.index) - 1):
                written = np.where(found.assumed[k] > 0, found.assumed[k], found.board[k])
                fresh = found.choice[k] == Choice.START_OVER
                np.testing.assert_array_equal(found.board[k + 1], found.inputs[k] if fresh else written)
                assert found.age[k + 1] == (1 if fresh else found.age[k] + 1)
                assert found.start[k + 1] == found.start[k] + fresh
                assert TASK.contradicts(written[None])[0] == (found.contradicted[k] if fresh else False)
                assert (found.board[k][found.assumed[k] > 0] == BLANK).all(), "only blanks are written into"


def test_a_fresh_start_thinks_about_another_form_of_the_puzzle_with_the_initial_carry(
    solver: Solver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told of it is in the form in which the puzzle was given."""
    met: list[tuple[np.ndarray, np.ndarray]] = []
    initial = solver.model.initial_carry(1)

    def note(module: object, inputs: tuple[Carry, torch.Tensor, torch.Tensor]) -> None:
        carry, tokens, _ = inputs
        fresh = (carry.z_h == initial.z_h).flatten(1).all(1) & (carry.z_l == initial.z_l).flatten(1).all(1)
        met.append((tokens.numpy().astype(np.uint8), fresh.numpy()))

    # With a rule that nothing pleases all slots stay in use.
    monkeypatch.setattr(solver.task, "solved", lambda inputs, answer: np.zeros(len(inputs), np.bool_))
    hook = solver.model.register_forward_pre_hook(note)
    steps = list(search(solver, [many(16)], HOW))
    hook.remove()
    forms = 0
    for moves, (tokens, fresh) in zip(steps, met, strict=True):
        np.testing.assert_array_equal(fresh, moves.age == 1)
        same = (tokens == moves.board).all(axis=1)
        assert same[moves.start == 0].all(), "the first start takes the puzzle as it is"
        forms += int((~same).sum())
        np.testing.assert_array_equal((tokens == BLANK).sum(axis=1), (moves.board == BLANK).sum(axis=1))
    assert forms > 50


def test_doubt_compares_continuing_with_the_fresh_start(solver: Solver) -> None:
    moves = searched(solver, many(30), replace(HOW, doubt=Doubt("returns", 0.9)))
    root = {
        (n, start): q
        for n, start, age, (_, q) in zip(moves.index, moves.start, moves.age, moves.q, strict=True)
        if age == 1
    }
    fresh = np.array([root[key] for key in zip(moves.index, moves.start, strict=True)])
    less = probability(moves.q[:, 1]) < 0.9 * probability(fresh)
    going_on = ~moves.solved & (moves.segment < HOW.budget)
    may = going_on & (moves.age >= 2 + moves.start)
    doubted = (moves.choice == Choice.START_OVER) & ~moves.contradicted
    np.testing.assert_array_equal(doubted, less & may)
    assert doubted.any()
    assert (may & ~less).any()
    assert not moves.assumed[doubted].any()


def test_doubt_that_was_supervised_asks_for_the_sign(solver: Solver) -> None:
    moves = searched(solver, many(30), replace(HOW, doubt=Doubt("supervised")))
    doubted = (moves.choice == Choice.START_OVER) & ~moves.contradicted
    assert doubted.any()
    assert (moves.q[doubted, 1] < 0).all()


def test_without_doubt_only_contradictions_start_over(solver: Solver) -> None:
    moves = searched(solver, many(30), replace(HOW, doubt=None))
    over = moves.choice == Choice.START_OVER
    assert over.any()
    assert moves.contradicted[over].all()


def test_a_start_is_given_up_when_patience_is_at_an_end(solver: Solver) -> None:
    moves = searched(solver, many(30), replace(HOW, branching=Branching(every=0), doubt=None, patience=4))
    over = moves.choice == Choice.START_OVER
    assert over.any()
    assert (moves.age <= 4).all()
    np.testing.assert_array_equal(over, (moves.age == 4) & ~moves.solved & (moves.segment < HOW.budget))


def test_chances_are_taken_by_later_starts_and_other_chains_only(solver: Solver) -> None:
    """With another seed the first start of the first chain is the same, and the others are not."""
    one, other = (searched(solver, many(20), replace(SIDE_BY_SIDE, seed=seed)) for seed in (0, 1))
    first, same = (m.take((m.chain == 0) & (m.start == 0) & (m.segment < 10)) for m in (one, other))
    for n in range(20):
        a, b = of(first, n), of(same, n)
        count = min(len(a.index), len(b.index)) - 1  # without the last: another chain may have ended it
        np.testing.assert_array_equal(a.assumed[:count], b.assumed[:count])
    second, different = (m.take((m.chain == 1) & (m.segment < 10)) for m in (one, other))
    assert len(second.index) != len(different.index) or (second.assumed != different.assumed).any()


def test_a_task_without_assumable_tokens_is_refused(solver: Solver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver.task, "assumable", ())
    with pytest.raises(UserError, match="cannot be searched"):
        next(search(solver, [many(3)], HOW))


def test_search_is_as_the_run_was_trained() -> None:
    trained_for = TINY.halting.halt_max_steps
    plain = Search(16 * trained_for, branching=Branching(every=0), doubt=None, patience=2 * trained_for)
    assert Search.of(TINY) == plain
    settings = {"share": 0.5, "budget": 40, "assume_every": 3, "assume_share": 0.2, "doubt": "supervised"}
    config = tiny_config(
        halting={"q_target": "lambda"}, search=SearchConfig.model_validate(settings).model_dump()
    )
    expected = Search(40, branching=Branching(0.2, 3, 0.7), doubt=Doubt("supervised", 1.0, after=3))
    assert Search.of(config) == expected
    assert Search.of(config, budget=7, chains=2, seed=3) == replace(expected, budget=7, chains=2, seed=3)


def test_the_model_is_handed_back_in_the_mode_it_came_in(solver: Solver) -> None:
    solver.model.train()
    steps = search(solver, [many(3)], HOW)
    next(steps)
    assert not solver.model.training
    steps.close()
    assert solver.model.training
