"""What a search agent is taught, and that its updates are the plain agent's where nothing is searched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from envs import UserError, make_task
from envs.search import Choice, SearchVectorEnv
from hrm_rl.agents.act.halting import Q_TARGETS, continue_value
from hrm_rl.agents.act.losses import IGNORE, NO_TARGET
from hrm_rl.agents.build import build_learner
from hrm_rl.agents.search.branches import Branching
from hrm_rl.agents.search.doubt import Doubt
from hrm_rl.agents.search.learner import SearchLearner
from hrm_rl.agents.search.returns import Rollout, returns
from hrm_rl.config import Config, HaltingConfig
from hrm_rl.data.streams import build_data
from tests.helpers.tiny import CPU, assert_same, learner_tensors, tiny_config, tiny_learner

SUDOKU = make_task("sudoku", size=4)
LAMBDA = dict(q_target="lambda", rollout_segments=2, q_lambda=0.9, discount=0.9, halt_max_steps=3)


def halting(**changes: Any) -> HaltingConfig:
    return HaltingConfig.model_validate({**LAMBDA, **changes})


def searching(share: float = 0.75, **search: Any) -> Config:
    return tiny_config(
        halting=LAMBDA,
        search={"share": share, "budget": 6, "assume_every": 1, "assume_share": 0.3, **search},
    )


def rollout(seed: int, segments: int, slots: int, searches: bool) -> Rollout:
    """Random numbers in which at most one thing happens to a slot in a segment."""
    generator = torch.Generator().manual_seed(seed)
    shape = (segments, slots)
    event = torch.randint(0, 8, shape, generator=generator)
    solved = torch.rand(shape, generator=generator) < 0.5
    terminated, truncated = (event == 0) & (solved | (not searches)), event == 1
    return Rollout(
        q=torch.randn((*shape, 2), generator=generator),
        solved=solved,
        root=torch.rand(shape, generator=generator) if searches else torch.zeros(shape),
        reward=torch.where(terminated | truncated, solved.float(), -0.05),
        terminated=terminated,
        truncated=truncated,
        doubted=(event == 2) & searches,
        contradicted=(event == 3) & searches,
        searches=torch.full((slots,), searches),
    )


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    segments=st.integers(1, 4),
    discount=st.sampled_from([1.0, 0.9]),
    q_lambda=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_slots_that_only_halt_have_the_returns_of_lambda(
    seed: int, segments: int, discount: float, q_lambda: float
) -> None:
    config = halting(rollout_segments=segments, q_lambda=q_lambda, discount=discount)
    r = rollout(seed, segments, 16, searches=False)
    last = torch.rand(16, generator=torch.Generator().manual_seed(seed + 1))
    expected = Q_TARGETS["lambda"].returns(r.q, last, r.reward, r.terminated, r.truncated, 0.05, config)
    torch.testing.assert_close(returns(r, last, 0.05, config), expected, rtol=0, atol=1e-6)


def test_one_segment_without_assumptions_is_the_rule_of_hrm() -> None:
    config = halting(rollout_segments=1, q_lambda=0.0, discount=1.0)
    r = rollout(3, 1, 64, searches=False)
    ahead = torch.randn(64, 2, generator=torch.Generator().manual_seed(4))
    last = continue_value(ahead, torch.ones(64), budget=3)
    assert torch.equal(returns(r, last, 0.0, config)[0], last)


def quiet(segments: int, **changes: Tensor) -> Rollout:
    """One slot that searches, in which nothing happens: all Q-values are those of probability one half."""
    no = torch.zeros(segments, 1, dtype=torch.bool)
    zeros = torch.zeros(segments, 1)
    plain = Rollout(
        torch.zeros(segments, 1, 2), no, zeros + 0.25, zeros, no, no, no, no, torch.tensor([True])
    )
    return replace(plain, **changes)


def at(segments: int, k: int) -> Tensor:
    return (torch.arange(segments) == k)[:, None]


@pytest.mark.parametrize("q_lambda", [0.0, 0.5, 1.0])
def test_a_board_that_contradicts_itself_is_worth_a_fresh_start(q_lambda: float) -> None:
    r = quiet(2, contradicted=at(2, 1))
    found = returns(r, torch.tensor([0.8]), 0.0, halting(q_lambda=q_lambda))
    fresh = 0.9 * 0.25
    assert found[1] == pytest.approx(fresh)
    # Before it, continuing is worth what came of it, and what the best choice seemed to be worth then.
    assert found[0] == pytest.approx(0.9 * (q_lambda * fresh + (1 - q_lambda) * 0.5))


def test_where_another_choice_was_made_continuing_has_no_target() -> None:
    doubted = returns(quiet(2, doubted=at(2, 0)), torch.tensor([0.8]), 0.0, halting())
    assert doubted[0] == NO_TARGET
    spent = returns(quiet(2, truncated=at(2, 0)), torch.tensor([0.8]), 0.0, halting())
    assert spent[0] == NO_TARGET


def test_an_answer_that_the_rule_accepts_is_worth_one_whatever_the_values_say() -> None:
    solved = quiet(2, solved=at(2, 1), terminated=at(2, 1), reward=at(2, 1).float())
    assert returns(solved, torch.tensor([0.1]), 0.0, halting())[0] == pytest.approx(0.9)


def test_starting_over_may_be_the_best_that_lies_ahead() -> None:
    low, root = torch.full((2, 1, 2), -9.0), torch.full((2, 1), 0.8)
    found = returns(quiet(2, q=low, root=root), torch.tensor([0.0]), 0.0, halting(q_lambda=0.0))
    assert found[0] == pytest.approx(0.9 * 0.9 * 0.8)


def test_doubt_compares_continuing_with_a_fresh_start_less_one_segment() -> None:
    root = np.array([0.0, 0.0, 0.0, np.nan], np.float32)  # one half
    q = np.array([-0.3, -0.1, -5.0, -5.0], np.float32)  # 0.43, 0.48, 0.007
    age = np.array([2, 2, 1, 2])
    assumed = np.array([True, True, True, False])
    first = np.zeros(4, np.int64)
    found = Doubt("returns", 0.9).starts_over(q, root, age, assumed, first)
    assert found.tolist() == [True, False, False, False]
    found = Doubt("supervised").starts_over(q, root, age, assumed, first)
    assert found.tolist() == [True, True, False, False]


def test_each_start_is_left_in_peace_for_one_segment_more_than_the_one_before() -> None:
    starts = np.arange(6)
    for age in range(1, 8):
        found = Doubt("returns", 0.9).starts_over(
            np.full(6, -9.0, np.float32), np.zeros(6, np.float32), np.full(6, age), starts > 9, starts
        )
        np.testing.assert_array_equal(found, age >= 2 + starts)


def boards(count: int = 64) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    board = SUDOKU.generate("hard", count, rng).inputs
    probabilities = rng.dirichlet(np.ones(SUDOKU.vocab_size), size=board.shape).astype(np.float32)
    return rng, board, probabilities, rng.random(board.shape)


@pytest.mark.parametrize("sampled", [False, True])
def test_assumptions_are_assumable_tokens_in_some_of_the_blanks(sampled: bool) -> None:
    _, board, probabilities, uniform = boards()
    found = Branching(share=0.2).assumptions(
        SUDOKU, board, probabilities, np.full(len(board), sampled), uniform
    )
    filled = found > 0
    likeliest = probabilities.argmax(-1)
    fit = SUDOKU.unknown(board) & np.isin(likeliest, SUDOKU.assumable)
    assert not filled[~fit].any()
    assert np.isin(found[filled], SUDOKU.assumable).all()
    assert (filled.sum(1) == np.ceil(0.2 * fit.sum(1))).all()
    # The surest cells: no cell that is left out is surer than one that is filled in.
    sureness = np.where(fit, probabilities.max(-1), np.nan)
    least = np.nanmin(np.where(filled, sureness, np.nan), axis=1)
    most = np.nanmax(np.where(filled, -1, sureness), axis=1)
    assert (least >= most).all()
    if not sampled:
        assert (found[filled] == likeliest[filled]).all()


def test_digits_are_drawn_in_proportion_to_their_sharpened_probabilities() -> None:
    rng = np.random.default_rng(1)
    board = np.ones((20_000, 16), np.uint8)
    probabilities = np.zeros((1, 16, 6), np.float32)
    probabilities[0, :, 2:] = [0.1, 0.2, 0.3, 0.4]
    found = Branching(share=1.0, temperature=0.5).assumptions(
        SUDOKU, board, np.broadcast_to(probabilities, (20_000, 16, 6)), np.ones(20_000, bool),
        rng.random(board.shape),
    )  # fmt: skip
    shares = np.bincount(found.ravel(), minlength=6)[2:] / found.size
    np.testing.assert_allclose(shares, np.array([1, 4, 9, 16]) / 30, atol=0.005)


def test_an_agent_none_of_whose_slots_search_learns_what_the_plain_one_does() -> None:
    plain = tiny_learner(tiny_config(halting=LAMBDA))
    none = tiny_learner(searching(share=0.01))
    assert isinstance(none, SearchLearner)
    assert not none.searches.any()
    for _ in range(8):
        plain.update()
        none.update()
    assert_same(learner_tensors(plain), learner_tensors(none))
    assert none.tally.sums["episodes"] == plain.tally.sums["episodes"] > 0


@pytest.mark.parametrize("doubt", ["returns", "supervised"])
def test_a_search_agent_resumes_from_its_rank_state_bit_for_bit(doubt: str) -> None:
    config = searching(doubt=doubt, teacher_updates=6)
    straight, first, second = (tiny_learner(config) for _ in range(3))
    for _ in range(6):
        straight.update()
        first.update()
    second.model.load_state_dict(first.model.state_dict())
    second.optimisation.optimizer.load_state_dict(first.optimisation.optimizer.state_dict())
    second.optimisation.averaged.average = first.optimisation.averaged.average  # type: ignore[union-attr]
    second.updates = first.updates
    second.load_rank_state(*first.rank_state())
    for _ in range(6):
        straight.update()
        second.update()
    assert_same(learner_tensors(straight), learner_tensors(second))
    assert straight.rank_state()[1] == second.rank_state()[1]


class Watched(SearchVectorEnv):
    """Keeps what the agent did."""

    seen: list[tuple[dict[str, Any], dict[str, Any]]]

    def step(self, actions: dict[str, Any]) -> Any:
        self.seen.append((self.current(), actions))  # type: ignore[arg-type]
        return super().step(actions)


def test_the_teacher_gives_right_digits_and_then_no_more() -> None:
    learner = tiny_learner(searching(teacher_updates=1, assume_every=99))
    learner.env.__class__, learner.env.seen = Watched, []  # type: ignore[attr-defined]
    for _ in range(12):
        learner.update()
    early, late = 0, 0
    for number, ((_, infos), actions) in enumerate(learner.env.seen):  # type: ignore[attr-defined]
        given = actions["assume"] > 0
        assert (actions["assume"][given] == infos["solution"][given]).all()
        early, late = early + given.sum() * (number < 2), late + given.sum() * (number >= 2)
    assert early > 0
    assert late == 0


def test_nothing_is_handed_in_by_a_search_but_what_the_rule_accepts() -> None:
    learner = tiny_learner(searching(share=1.0))
    learner.env.__class__, learner.env.seen = Watched, []  # type: ignore[attr-defined]
    for _ in range(40):
        learner.update()
    over = 0
    for (obs, _), actions in learner.env.seen:  # type: ignore[attr-defined]
        handed_in = actions["choice"] == Choice.HAND_IN
        assert SUDOKU.solved(obs["puzzle"], actions["answer"])[handed_in].all()
        over += (actions["choice"] == Choice.START_OVER).sum()
    assert learner.tally.sums["starts_over"] > 0
    assert learner.tally.sums["starts_over"] == over + learner.tally.sums["contradictions"]


def test_a_board_with_a_wrong_assumption_has_no_labels_but_its_values_are_taught() -> None:
    config = searching(share=1.0, assume_share=0.05)
    few_clues = config.curriculum.model_copy(update={"stages": ("extreme=1",)})
    learner = tiny_learner(config.model_copy(update={"curriculum": few_clues}))
    assert isinstance(learner, SearchLearner)
    for _ in range(60):
        learner.update()
        sound = learner._sound()
        if not sound.all():
            break
    else:
        pytest.fail("no board had a wrong assumption")
    labels = learner._labels(slice(0, 4))
    board, solution = learner.slots.puzzle, learner.slots.solution
    wrong = (board != learner.seen.question) & (board != solution)
    assert (wrong.any(1) == ~sound).all()
    assert ((labels == IGNORE).all(1) == ~sound).all()


def test_search_needs_returns() -> None:
    with pytest.raises(ValueError, match=r"search.share=0.5 trains an agent that searches on returns: set"):
        tiny_config(search={"share": 0.5})


def test_a_task_that_cannot_be_searched_is_refused() -> None:
    config = searching()
    data = build_data(config)
    data.task.assumable = ()
    with pytest.raises(UserError, match="cannot be searched"):
        build_learner(config, data, CPU, rank=0, world_size=1)
