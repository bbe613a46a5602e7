"""Decision, exploration and Q-targets: the reinforcement-learning core."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrm_rl.config import HaltingConfig
from hrm_rl.halting import decide, explore, q_targets

logit = st.floats(-20, 20, width=32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exploring(probability: float, budget: int = 16, kind: str = "per_segment") -> HaltingConfig:
    return HaltingConfig(halt_max_steps=budget, halt_exploration_prob=probability, exploration=kind)


def lengths(config: HaltingConfig, episodes: int, q: tuple[float, float] = (1.0, 0.0)) -> Tensor:
    """Segments of independent episodes under constant Q-values, the budget enforced as the environment does."""
    random = generator(1)
    floor = torch.zeros(episodes, dtype=torch.int64)
    length = torch.zeros(episodes, dtype=torch.int64)
    for segment in range(1, config.halt_max_steps + 1):
        spent = torch.full((episodes,), segment)
        floor = explore(floor, spent, config, random)
        halts = decide(torch.tensor([q]).expand(episodes, 2), spent, floor) | (spent == config.halt_max_steps)
        length = torch.where(halts & (length == 0), spent, length)
    return length


@given(logit, logit, st.integers(1, 16), st.integers(0, 16))
def test_halts_exactly_if_halt_is_worth_strictly_more_and_the_floor_is_reached(
    halt: float, go_on: float, segment: int, floor: int
) -> None:
    chosen = decide(torch.tensor([[halt, go_on]]), torch.tensor([segment]), torch.tensor([floor]))
    assert chosen.tolist() == [halt > go_on and segment >= floor]


def test_equal_values_think_on() -> None:
    q = torch.full((3, 2), -5.0)
    assert not decide(q, torch.arange(1, 4), torch.zeros(3, dtype=torch.int64)).any()


def test_slots_decide_for_themselves() -> None:
    q = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    chosen = decide(q, torch.tensor([1, 1, 2, 3]), torch.tensor([0, 0, 3, 3]))
    assert chosen.tolist() == [True, False, False, True]


@pytest.mark.parametrize("budget", [2, 3, 16])
def test_floors_are_zero_or_uniform_over_two_to_the_budget(budget: int) -> None:
    slots = 60_000
    config = exploring(0.3, budget)
    floor = explore(torch.zeros(slots, dtype=torch.int64), torch.ones(slots), config, generator())
    share = torch.bincount(floor, minlength=budget + 1) / slots
    assert share[1] == 0
    expected = torch.tensor([0.7, 0.0] + [0.3 / (budget - 1)] * (budget - 1))
    error = torch.sqrt(expected * (1 - expected) / slots)
    assert ((share - expected).abs() <= 4.5 * error).all()
    assert len(share) == budget + 1


def test_probability_zero_never_explores_and_one_always_does() -> None:
    none, old = torch.zeros(500, dtype=torch.int64), torch.ones(500)
    assert (explore(none, old, exploring(0.0), generator()) == 0).all()
    assert (explore(none, old, exploring(1.0), generator()) >= 2).all()


@pytest.mark.parametrize("kind", ["per_segment", "per_episode"])
def test_budget_of_one_segment_never_explores(kind: str) -> None:
    floor = explore(
        torch.zeros(100, dtype=torch.int64), torch.ones(100), exploring(1.0, 1, kind), generator()
    )
    assert floor.tolist() == [0] * 100
    assert lengths(exploring(1.0, 1, kind), 10).tolist() == [1] * 10


def test_per_segment_draws_anew_at_every_segment_whatever_was_drawn_before() -> None:
    config, segment = exploring(0.5), torch.arange(1, 201) % 16 + 1
    fresh = explore(torch.zeros(200, dtype=torch.int64), segment, config, generator(3))
    again = explore(torch.full((200,), 9), segment, config, generator(3))
    assert torch.equal(fresh, again)
    assert not torch.equal(fresh, explore(fresh, segment, config, generator(4)))


def test_per_episode_draws_in_the_first_segment_and_keeps_its_floor_afterwards() -> None:
    config, before = exploring(1.0, kind="per_episode"), torch.full((200,), 99)
    segment = torch.arange(200) % 4 + 1
    floor = explore(before, segment, config, generator())
    assert (floor[segment > 1] == 99).all()
    assert ((floor[segment == 1] >= 2) & (floor[segment == 1] <= 16)).all()


def test_same_generator_state_gives_same_floors() -> None:
    none, segment = torch.zeros(100, dtype=torch.int64), torch.ones(100)
    one, other = (explore(none, segment, exploring(0.5), generator(7)) for _ in range(2))
    assert torch.equal(one, other)


def test_exploration_only_ever_lengthens_thinking() -> None:
    q = torch.randn(300, 2)
    segment = torch.randint(1, 17, (300,))
    without = decide(q, segment, torch.zeros(300, dtype=torch.int64))
    with_floor = decide(q, segment, torch.randint(0, 17, (300,)))
    assert (with_floor <= without).all()
    assert with_floor.any()
    assert (with_floor < without).any()


def mean_length_per_segment(p: float, budget: int) -> float:
    """Of a policy that always wants to halt: segment k goes on with probability p * P(floor > k)."""
    mean, reached = 0.0, 1.0
    for k in range(1, budget + 1):
        mean += reached
        reached *= p * (budget - max(k, 1)) / (budget - 1)
    return mean


def test_an_always_halting_policy_thinks_one_eleven_segments_if_floors_are_drawn_per_segment() -> None:
    assert mean_length_per_segment(0.1, 16) == pytest.approx(1.11, abs=0.005)
    length = lengths(exploring(0.1), 40_000).float()
    error = float(length.std()) / math.sqrt(len(length))
    assert float(length.mean()) == pytest.approx(mean_length_per_segment(0.1, 16), abs=4 * error)


def test_an_always_halting_policy_thinks_one_eighty_segments_if_the_floor_is_drawn_per_episode() -> None:
    length = lengths(exploring(0.1, kind="per_episode"), 40_000).float()
    error = float(length.std()) / math.sqrt(len(length))
    mean_floor = (2 + 16) / 2
    assert float(length.mean()) == pytest.approx(0.9 * 1 + 0.1 * mean_floor, abs=4 * error)


@pytest.mark.parametrize("kind", ["per_segment", "per_episode"])
def test_a_policy_that_never_halts_runs_to_the_budget(kind: str) -> None:
    assert (lengths(exploring(0.1, kind=kind), 100, q=(-5.0, -5.0)) == 16).all()


@given(logit, logit, st.integers(1, 8))
def test_target_is_the_sigmoid_of_the_best_next_value_and_of_halting_at_the_budget(
    halt: float, go_on: float, segment: int
) -> None:
    budget = 8
    target = q_targets(torch.tensor([[halt, go_on]]), torch.tensor([segment]), budget)
    value = halt if segment == budget else max(halt, go_on)
    assert float(target[0]) == pytest.approx(1 / (1 + math.exp(-value)), rel=1e-5)


def test_only_slots_at_the_budget_ignore_the_value_of_continuing() -> None:
    next_q = torch.tensor([[-1.0, 2.0], [-1.0, 2.0], [3.0, 2.0]])
    target = q_targets(next_q, torch.tensor([3, 4, 3]), budget=4)
    torch.testing.assert_close(target, torch.sigmoid(torch.tensor([2.0, -1.0, 3.0])))
