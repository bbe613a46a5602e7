"""When to stop thinking: the reinforcement-learning core.

An episode's state is the model's carry, its actions are halt and continue, its reward is 1 for halting on a
right answer. Q-learning without replay or target network, over parallel slots (PQN, arXiv 2407.04811), is
what HRM's ACT loss amounts to. A Q-target is one class and one line of `Q_TARGETS`; docs/halting.md says what
each costs and changes.
Legend: B slots, K segments of a rollout; q (B, 2) holds the logits of halt (index 0) and continue (index 1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from hrm_rl.agents.act.losses import NO_TARGET
from hrm_rl.config import HaltingConfig


def decide(q: Tensor, segment: Tensor, min_segments: Tensor, q_target: QTarget) -> Tensor:
    """Whether each slot chooses to halt after this segment.

    segment: (B,) segments spent so far, this one included.
    min_segments: (B,) exploration's floor, 0 where the slot does not explore.
    Returns (B,) bool. The budget is the environment's to enforce: it truncates whatever is chosen here.
    """
    return q_target.wants_to_halt(q) & (segment >= min_segments)


def explore(
    min_segments: Tensor, segment: Tensor, config: HaltingConfig, generator: torch.Generator
) -> Tensor:
    """The exploration floor of each slot for this segment: (B,), 0 for none.

    With probability `halt_exploration_prob` a floor is drawn from {2..halt_max_steps}, so exploration only
    ever lengthens thinking. `per_segment` draws at every segment (sapientinc/HRM); `per_episode` draws where
    an episode has just begun (segment 1) and otherwise keeps `min_segments` (the paper, section "ACT").
    """
    if config.halt_max_steps < 2:
        return torch.zeros_like(min_segments)
    slots = len(min_segments)
    explores = torch.rand(slots, generator=generator) < config.halt_exploration_prob
    floor = torch.randint(2, config.halt_max_steps + 1, (slots,), generator=generator)
    drawn = torch.where(explores, floor, 0)
    return drawn if config.exploration == "per_segment" else torch.where(segment == 1, drawn, min_segments)


def continue_value(next_q: Tensor, segment: Tensor, budget: int) -> Tensor:
    """(B,) probabilities: what continuing is worth if `next_q` (B, 2) are the Q-values of the next segment.

    sigmoid(q_halt') where the budget ends here, else sigmoid(max(q_halt', q_continue')) (HRM, eq. for
    G_continue).
    """
    halt, go_on = next_q[..., 0], next_q[..., 1]
    return torch.sigmoid(torch.where(segment >= budget, halt, torch.maximum(halt, go_on)))


class QTarget(ABC):
    """What the value of continuing is taught, and when the Q-values say halt. It has no state."""

    name: ClassVar[str]
    """Its name in `halting.q_target`."""
    learns_continue: ClassVar[bool] = True
    """Whether the value of continuing is trained and looked at."""
    looks_ahead: ClassVar[bool] = False
    """Whether targets need one more forward pass, with the Q-values of the segment after this one."""
    teaches_previous: ClassVar[bool] = False
    """Whether targets are for the continue values of the segment before this one."""
    plays_rollouts: ClassVar[bool] = False
    """Whether an update is a rollout of `rollout_segments` segments, taught by `returns`."""
    thresholds: ClassVar[tuple[float, ...]] = (-4.0, -2.0, -1.0, -0.5, -0.25, 0.0, 0.25)
    """Those that a sweep of stopping rules tries: here differences of two values that end near each other."""

    def wants_to_halt(self, q: Tensor, threshold: float = 0.0) -> Tensor:
        """(B,) bool: halting is worth more than continuing. threshold: how much more, in logits; training
        knows no other than 0."""
        return q[..., 0] > q[..., 1] + threshold

    @abstractmethod
    def targets(self, q: Tensor, segment: Tensor, budget: int) -> Tensor | None:
        """The targets of the continue values: (B,) probabilities, NO_TARGET where a slot has none, or None if
        nobody has.

        q: (B, 2), without gradient: of the segment after this one if the target looks ahead, else of this
        one.  segment: (B,) as in `decide`.
        """

    def returns(
        self,
        q: Tensor,
        last: Tensor,
        reward: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        price: float,
        config: HaltingConfig,
    ) -> Tensor:
        """The same for the K segments of a rollout, (K, B), if the target plays rollouts.

        q: (K, B, 2), without gradient.  last: (B,) `targets` of the rollout's last segment.  reward,
        terminated, truncated: (K, B) what the environment said.  price: its `segment_cost`.
        """
        raise NotImplementedError(f"{self.name} plays no rollouts")


class Bootstrap(QTarget):
    """The Q-values of one more segment of the same puzzle, thought for that alone (HRM)."""

    name = "bootstrap"
    looks_ahead = True

    def targets(self, q: Tensor, segment: Tensor, budget: int) -> Tensor:
        return continue_value(q, segment, budget)


class Delayed(QTarget):
    """The Q-values of the next real segment, for the continue value of the segment *before* this one.

    sigmoid(max(q_halt, q_continue)) of this segment, and sigmoid(q_halt) if it is the last of the budget:
    halting is forced there, and its own continue value never gets a target, since no segment follows.
    (`bootstrap` looks one segment past the budget instead and takes the maximum here.) NO_TARGET in an
    episode's first segment: the slot's previous episode has halted or was cut off, so its last continue value
    had no next segment.

    The graph of the segment before is gone and the weights have changed since, so the learner applies
    the q-head, as it is now, to the detached state that segment left behind, the carry this one
    started from. The loss of the continue value therefore reaches the q-head alone; the network below
    is shaped by the answer and the halt value.
    """

    name = "delayed"
    teaches_previous = True

    def targets(self, q: Tensor, segment: Tensor, budget: int) -> Tensor:
        return continue_value(q, segment, budget).where(segment > 1, NO_TARGET)


class HaltOnly(QTarget):
    """Nothing: there is no value of continuing, and a slot wants to halt where its answer is more likely
    right than wrong, q_halt > 0 (TRM, arXiv 2510.04871)."""

    name = "halt_only"
    learns_continue = False
    thresholds = (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 4.0)

    def wants_to_halt(self, q: Tensor, threshold: float = 0.0) -> Tensor:
        return q[..., 0] > threshold

    def targets(self, q: Tensor, segment: Tensor, budget: int) -> None:
        return None


class Lambda(Bootstrap):
    """Returns over a rollout of K segments (PQN; Peng's Q(lambda), which does not cut at exploring steps).

    Going backwards, with Q in probabilities,

        G_k = r_k                                                           where the episode ends with k,
        G_k = r_k + discount * [lambda * G_k+1 + (1 - lambda) * max Q_k+1]  elsewhere, r_k = -price,

    and behind the last segment, `bootstrap`'s target stands in for the bracket. G_k is the target where
    segment k continued. The other cases:

    - Halted by choice: continuing was not tried and the slot holds another puzzle, so there is NO_TARGET; the
      reward is the target of the halt value. In the last segment of a rollout the forward pass has looked
      ahead, and its target -price + discount * last is used as in `bootstrap`.
    - Truncated: at the budget continuing hands the answer in, so the value of continuing is the reward of
      that, G_k = r_k = 1 or 0, and nothing is bootstrapped. In the last segment of a rollout `last` looks
      past the budget again: one segment a rollout keeps the reference's rule.

    Q-values are logits of probabilities, so targets are cut to [0, 1]. Returns are never above 1 (rewards
    are at most 1, prices at least 0). Below 0 the cut loses nothing that matters for lambda = 0: halting is
    worth at least 0, so a value of continuing below 0 and one of 0 make the same decision and the same
    maximum. With lambda > 0 *and* a price it raises the mean: the return of an episode that fails, minus
    its prices, counts as 0, so that the price is felt only as far as answers are expected to be right. The
    returns inside the recursion are not cut.
    """

    name = "lambda"
    plays_rollouts = True

    def returns(
        self,
        q: Tensor,
        last: Tensor,
        reward: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        price: float,
        config: HaltingConfig,
    ) -> Tensor:
        done = terminated | truncated
        best = torch.sigmoid(q.amax(-1))  # (K, B) what the better of the two choices is worth
        looked_ahead = config.discount * last - price
        targets = [looked_ahead.clamp(0, 1)]
        played = torch.where(done[-1], reward[-1], looked_ahead)  # G of the choice that was made
        for k in reversed(range(len(q) - 1)):
            ahead = config.q_lambda * played + (1 - config.q_lambda) * best[k + 1]
            played = torch.where(done[k], reward[k], reward[k] + config.discount * ahead)
            targets.append(played.clamp(0, 1).where(~terminated[k], NO_TARGET))
        return torch.stack(targets[::-1])


Q_TARGETS: dict[str, QTarget] = {
    target.name: target for target in (Bootstrap(), Delayed(), HaltOnly(), Lambda())
}
"""By the names of `HaltingConfig.q_target`."""
