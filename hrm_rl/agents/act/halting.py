"""When to stop thinking: the reinforcement-learning core.

An episode's state is the model's carry, its actions are halt and continue, its reward is 1 for halting on a
right answer. Q-learning without replay or target network, over parallel slots (PQN, arXiv 2407.04811), is
what HRM's ACT loss amounts to. docs/halting.md says what each `q_target` costs and changes.
Legend: B slots, K segments of a rollout; q (B, 2) holds the logits of halt (index 0) and continue (index 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_rl.agents.act.losses import NO_TARGET
from hrm_rl.config import HaltingConfig


def wants_to_halt(q: Tensor, q_target: str, threshold: float = 0.0) -> Tensor:
    """(B,) bool: halting is worth more than going on. With `halt_only` there is no value of going on, and a
    slot wants to halt where its answer is more likely right than wrong, q_halt > 0 (TRM, arXiv 2510.04871).
    threshold: how much more, in logits; training knows no other than 0."""
    return q[:, 0] > (threshold if q_target == "halt_only" else q[:, 1] + threshold)


def decide(q: Tensor, segment: Tensor, min_segments: Tensor, q_target: str = "bootstrap") -> Tensor:
    """Whether each slot chooses to halt after this segment.

    segment: (B,) segments spent so far, this one included.
    min_segments: (B,) exploration's floor, 0 where the slot does not explore.
    Returns (B,) bool. The budget is the environment's to enforce: it truncates whatever is chosen here.
    """
    return wants_to_halt(q, q_target) & (segment >= min_segments)


def explore(
    min_segments: Tensor, segment: Tensor, config: HaltingConfig, generator: torch.Generator
) -> Tensor:
    """The exploration floor of each slot for this segment: (B,), 0 for none.

    With probability `halt_exploration_prob` a floor is drawn from {2..halt_max_steps}, so exploration only
    ever lengthens thinking. `per_segment` draws anew each time (sapientinc/HRM); `per_episode` draws where
    an episode has just begun (segment 1) and otherwise keeps `min_segments` (the paper, section "ACT").
    """
    if config.halt_max_steps < 2:
        return torch.zeros_like(min_segments)
    slots = len(min_segments)
    explores = torch.rand(slots, generator=generator) < config.halt_exploration_prob
    floor = torch.randint(2, config.halt_max_steps + 1, (slots,), generator=generator)
    drawn = torch.where(explores, floor, 0)
    return drawn if config.exploration == "per_segment" else torch.where(segment == 1, drawn, min_segments)


def best_value(q: Tensor) -> Tensor:
    """(..., 2) -> (...): the probability that the better of the two choices stands for."""
    return torch.sigmoid(q.amax(-1))


def q_targets(next_q: Tensor, segment: Tensor, budget: int) -> Tensor:
    """`bootstrap`: target of the continue value, (B,) probabilities.

    next_q: (B, 2) Q-values of the segment after this one, for the same puzzle, without
    gradient. sigmoid(q_halt') where the budget ends here, else sigmoid(max(q_halt',
    q_continue')) (HRM, eq. for G_continue).
    """
    halt, go_on = next_q[:, 0], next_q[:, 1]
    return torch.sigmoid(torch.where(segment >= budget, halt, torch.maximum(halt, go_on)))


def delayed_targets(q: Tensor, segment: Tensor, budget: int) -> Tensor:
    """`delayed`: target of the continue value of the segment *before* this one, (B,) probabilities.

    q: (B, 2) Q-values of this segment, without gradient.  segment: (B,) as in `decide`. sigmoid(max(q_halt,
    q_continue)), and sigmoid(q_halt) if this is the last segment of the budget: halting is forced there, and
    its own continue value never gets a target, since no segment follows. (`bootstrap` looks one segment past
    the budget instead and takes the maximum here.) NO_TARGET in an episode's first segment: the slot's
    previous episode has halted or was cut off, so its last continue value had no next segment.

    The graph of the segment before is gone and the weights have changed since, so the learner applies
    the q-head, as it is now, to the detached state that segment left behind, the carry this one
    started from. The loss of the continue value therefore reaches the q-head alone; the network below
    is shaped by the answer and the halt value.
    """
    return q_targets(q, segment, budget).where(segment > 1, NO_TARGET)


def lambda_targets(
    q: Tensor,
    last: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    price: float,
    config: HaltingConfig,
) -> Tensor:
    """`lambda`: targets of the continue values of a rollout of K segments, (K, B) probabilities.

    q: (K, B, 2), without gradient.  last: (B,) `q_targets` of the rollout's last segment, from one more
    forward pass. reward, terminated, truncated: (K, B) what the environment said.  price: its `segment_cost`.

    Going backwards (PQN; Peng's Q(lambda), which does not cut at exploring steps),

        G_k = r_k                                                           where the episode ends with k,
        G_k = r_k + discount * [lambda * G_k+1 + (1 - lambda) * max Q_k+1]  elsewhere, r_k = -price,

    with Q in probabilities; behind the last segment, `last` stands in for the bracket. G_k is the target
    where segment k went on. The other cases:

    - Halted by choice: going on was not tried and the slot holds another puzzle, so there is NO_TARGET; the
      reward is the target of the halt value. In the last segment of a rollout the forward pass has looked
      ahead, and its target -price + discount * last is used as in `bootstrap`.
    - Truncated: at the budget going on hands the answer in, so the value of going on is the reward of that,
      G_k = r_k = 1 or 0, and nothing is bootstrapped. In the last segment of a rollout `last` looks past
      the budget again: one segment a rollout keeps the reference's rule.

    Q-values are logits of probabilities, so targets are cut to [0, 1]. Returns are never above 1 (rewards
    are at most 1, prices at least 0). Below 0 the cut loses nothing that matters for lambda = 0: halting is
    worth at least 0, so a value of going on below 0 and one of 0 make the same decision and the same
    maximum. With lambda > 0 *and* a price it raises the mean: the return of an episode that fails, minus
    its prices, counts as 0, so that the price is felt only as far as answers are expected to be right. The
    returns inside the recursion are not cut.
    """
    done = terminated | truncated
    looked_ahead = config.discount * last - price
    targets = [looked_ahead.clamp(0, 1)]
    played = torch.where(done[-1], reward[-1], looked_ahead)  # G of the choice that was made
    for k in reversed(range(len(q) - 1)):
        ahead = config.q_lambda * played + (1 - config.q_lambda) * best_value(q[k + 1])
        played = torch.where(done[k], reward[k], reward[k] + config.discount * ahead)
        targets.append(played.clamp(0, 1).where(~terminated[k], NO_TARGET))
    return torch.stack(targets[::-1])
