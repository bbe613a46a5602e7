"""Decision, exploration and Q-targets: the reinforcement-learning core."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrm_rl.agents.act.halting import Q_TARGETS, decide, explore
from hrm_rl.agents.act.losses import NO_TARGET
from hrm_rl.config import HaltingConfig

logit = st.floats(-20, 20, width=32)
BOOTSTRAP, DELAYED, HALT_ONLY, LAMBDA = Q_TARGETS.values()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exploring(probability: float, budget: int = 16, kind: str = "per_segment") -> HaltingConfig:
    return HaltingConfig(halt_max_steps=budget, halt_exploration_prob=probability, exploration=kind)


def lengths(config: HaltingConfig, episodes: int, q: tuple[float, float] = (1.0, 0.0)) -> Tensor:
    """Segments of independent episodes under constant Q-values, the budget enforced as
    the environment does."""
    random = generator(1)
    floor = torch.zeros(episodes, dtype=torch.int64)
    length = torch.zeros(episodes, dtype=torch.int64)
    for segment in range(1, config.halt_max_steps + 1):
        spent = torch.full((episodes,), segment)
        floor = explore(floor, spent, config, random)
        chosen = decide(torch.tensor([q]).expand(episodes, 2), spent, floor, BOOTSTRAP)
        halts = chosen | (spent == config.halt_max_steps)
        length = torch.where(halts & (length == 0), spent, length)
    return length


@given(logit, logit, st.integers(1, 16), st.integers(0, 16))
def test_halts_exactly_if_halt_is_worth_strictly_more_and_the_floor_is_reached(
    halt: float, go_on: float, segment: int, floor: int
) -> None:
    chosen = decide(torch.tensor([[halt, go_on]]), torch.tensor([segment]), torch.tensor([floor]), BOOTSTRAP)
    assert chosen.tolist() == [halt > go_on and segment >= floor]


def test_equal_values_think_on() -> None:
    q = torch.full((3, 2), -5.0)
    assert not decide(q, torch.arange(1, 4), torch.zeros(3, dtype=torch.int64), BOOTSTRAP).any()


def test_slots_decide_for_themselves() -> None:
    q = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    chosen = decide(q, torch.tensor([1, 1, 2, 3]), torch.tensor([0, 0, 3, 3]), BOOTSTRAP)
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
    without = decide(q, segment, torch.zeros(300, dtype=torch.int64), BOOTSTRAP)
    with_floor = decide(q, segment, torch.randint(0, 17, (300,)), BOOTSTRAP)
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
    target = BOOTSTRAP.targets(torch.tensor([[halt, go_on]]), torch.tensor([segment]), budget)
    value = halt if segment == budget else max(halt, go_on)
    assert float(target[0]) == pytest.approx(1 / (1 + math.exp(-value)), rel=1e-5)


def test_only_slots_at_the_budget_ignore_the_value_of_continuing() -> None:
    next_q = torch.tensor([[-1.0, 2.0], [-1.0, 2.0], [3.0, 2.0]])
    target = BOOTSTRAP.targets(next_q, torch.tensor([3, 4, 3]), budget=4)
    torch.testing.assert_close(target, torch.sigmoid(torch.tensor([2.0, -1.0, 3.0])))


# Targets that cost less than a forward pass, or look further.


@given(logit, logit)
def test_without_a_continue_value_a_slot_wants_to_halt_where_it_is_more_likely_right_than_wrong(
    halt: float, go_on: float
) -> None:
    q = torch.tensor([[halt, go_on]])
    assert HALT_ONLY.wants_to_halt(q).tolist() == [halt > 0]
    for q_target in (BOOTSTRAP, DELAYED, LAMBDA):
        assert q_target.wants_to_halt(q).tolist() == [halt > go_on]
    assert decide(q, torch.tensor([2]), torch.tensor([3]), HALT_ONLY).tolist() == [False]


def test_every_q_target_that_can_be_chosen_is_a_class_and_no_other() -> None:
    names = get_args(HaltingConfig.model_fields["q_target"].annotation)
    assert tuple(Q_TARGETS) == names
    assert all(target.name == name for name, target in Q_TARGETS.items())


def test_delayed_target_is_the_present_segments_value_and_there_is_none_in_a_first_segment() -> None:
    q = torch.tensor([[-1.0, 2.0], [-1.0, 2.0], [3.0, 2.0], [-1.0, 2.0]])
    target = DELAYED.targets(q, torch.tensor([1, 2, 3, 4]), budget=4)
    assert target[0] == NO_TARGET
    # The last segment of the budget has to halt: its continue value, which never gets a target, is not asked.
    torch.testing.assert_close(target[1:], torch.sigmoid(torch.tensor([2.0, 3.0, -1.0])))


def rollout(slots: int, segments: int, seed: int = 0) -> dict[str, Tensor]:
    """Arguments of `Lambda.returns` in which episodes end everywhere, with rewards as
    the environment gives them."""
    random = generator(seed)
    end = torch.randint(0, 5, (segments, slots), generator=random)
    terminated, truncated = end == 0, end == 1
    solved = torch.rand(segments, slots, generator=random) < 0.5
    return {
        "q": 3 * torch.randn(segments, slots, 2, generator=random),
        "last": torch.rand(slots, generator=random),
        "reward": torch.where(terminated | truncated, solved.float(), -0.05),
        "terminated": terminated,
        "truncated": truncated,
        "price": 0.05,
    }


def returns(trace: float = 0.5, discount: float = 1.0, segments: int = 4) -> HaltingConfig:
    return HaltingConfig(q_target="lambda", q_lambda=trace, discount=discount, rollout_segments=segments)


def test_returns_of_four_segments_by_hand() -> None:
    """Probabilities and returns worked out on paper: price 0.1, discount 0.9, lambda 0.5.

    Probabilities of the better choice after segments 2, 3, 4: v2 = 0.6, v3 = 0.8, v4 = 0.2.
    The forward pass behind segment 4 says 0.5.

    slot 0 goes on throughout:       G4 = -0.1 + 0.9*0.5                     = 0.35
                                     G3 = -0.1 + 0.9*(0.5*0.35 + 0.5*0.2)    = 0.1475
                                     G2 = -0.1 + 0.9*(0.5*0.1475 + 0.5*0.8)  = 0.326375
                                     G1 = -0.1 + 0.9*(0.5*0.326375 + 0.5*0.6) = 0.31686875
    slot 1 halts right after 2:      G4, G3 as above, G2 = 1 has no target,
                                     G1 = -0.1 + 0.9*(0.5*1 + 0.5*0.6)       = 0.62
    slot 2 is truncated wrong after 3: G4 as above, G3 = 0, G2 = -0.1 + 0.9*0.5*0.8 = 0.26,
                                     G1 = -0.1 + 0.9*(0.5*0.26 + 0.5*0.6)    = 0.287
    slot 3 halts right after 4:      its target looks ahead as slot 0's, but G4 = 1:
                                     G3 = -0.1 + 0.9*(0.5*1 + 0.5*0.2)       = 0.44
                                     G2 = -0.1 + 0.9*(0.5*0.44 + 0.5*0.8)    = 0.458
                                     G1 = -0.1 + 0.9*(0.5*0.458 + 0.5*0.6)   = 0.3761
    """
    best = torch.tensor([0.9, 0.6, 0.8, 0.2])
    worse = torch.tensor([0.3, 0.1, 0.7, 0.1])
    q = torch.stack((torch.logit(best), torch.logit(worse)), dim=-1)
    q[2] = q[2].flip(0)  # which of the two is better does not matter
    terminated, truncated = torch.zeros(2, 4, 4, dtype=torch.bool)
    reward = torch.full((4, 4), -0.1)
    terminated[1, 1], reward[1, 1] = True, 1.0
    truncated[2, 2], reward[2, 2] = True, 0.0
    terminated[3, 3], reward[3, 3] = True, 1.0
    found = LAMBDA.returns(
        q[:, None].expand(4, 4, 2),
        torch.full((4,), 0.5),
        reward,
        terminated,
        truncated,
        0.1,
        returns(0.5, 0.9),
    )
    expected = [
        [0.31686875, 0.62, 0.287, 0.3761],
        [0.326375, NO_TARGET, 0.26, 0.458],
        [0.1475, 0.1475, 0.0, 0.44],
        [0.35, 0.35, 0.35, 0.35],
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


@given(st.integers(0, 200), st.integers(1, 6), st.sampled_from([0.0, 0.4, 1.0]), st.sampled_from([1.0, 0.7]))
def test_returns_are_the_textbooks_sum_over_how_far_one_looks(
    seed: int, segments: int, trace: float, discount: float
) -> None:
    """The forward view: G_k is the mean of n-step returns with weights (1-lambda) lambda^(n-1), the rest on
    the longest; the recursion is its backward form."""
    values = rollout(6, segments, seed)
    found = LAMBDA.returns(**values, config=returns(trace, discount, segments))
    value = torch.sigmoid(values["q"].amax(-1))
    done = values["terminated"] | values["truncated"]
    for slot in range(6):
        for k in range(segments - 1):
            if values["terminated"][k, slot]:
                assert found[k, slot] == NO_TARGET
                continue
            total, weight, expected = 0.0, 1.0, 0.0
            for n in range(segments - k):
                at = k + n
                total += discount**n * float(values["reward"][at, slot])
                if done[at, slot]:
                    expected += weight * total
                    break
                if at == segments - 1:
                    expected += weight * (total + discount ** (n + 1) * float(values["last"][slot]))
                    break
                expected += weight * (1 - trace) * (total + discount ** (n + 1) * float(value[at + 1, slot]))
                weight *= trace
            assert float(found[k, slot]) == pytest.approx(min(max(expected, 0.0), 1.0), abs=1e-5)


@given(st.integers(0, 200), st.floats(0, 1), st.floats(0, 1))
def test_targets_are_probabilities_or_none_whatever_the_price(
    seed: int, trace: float, discount: float
) -> None:
    values = rollout(8, 5, seed)
    values |= {"price": 3.0, "reward": torch.where(values["reward"] < 0, -3.0, values["reward"])}
    found = LAMBDA.returns(**values, config=returns(trace, discount, 5))
    none = values["terminated"].clone()
    none[-1] = False
    assert (found[none] == NO_TARGET).all()
    assert ((found[~none] >= 0) & (found[~none] <= 1)).all()


def test_one_segment_without_discount_and_price_is_the_target_of_bootstrap_bit_for_bit() -> None:
    values = rollout(50, 1) | {"price": 0.0}
    assert torch.equal(LAMBDA.returns(**values, config=returns(0.0, 1.0, 1))[0], values["last"])


def test_a_slots_returns_stop_at_the_end_of_its_episode() -> None:
    values = rollout(40, 6)
    done = values["terminated"] | values["truncated"]
    found = LAMBDA.returns(**values, config=returns(0.9, 1.0, 6))
    values["q"] = values["q"].clone()
    values["q"][4:] += 5.0
    values["last"] = 1 - values["last"]
    changed = LAMBDA.returns(**values, config=returns(0.9, 1.0, 6))
    ended = done[:4].any(0)
    before_the_end = done[:4].int().cumsum(0) - done[:4].int() == 0
    for k in range(4):
        still = ended & before_the_end[k] & ~values["terminated"][k]
        assert torch.equal(found[k][still], changed[k][still])
    assert not torch.equal(found, changed)
