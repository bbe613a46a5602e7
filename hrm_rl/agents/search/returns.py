"""What a search agent's value of continuing is taught: PQN's returns over rollouts that may start over.

Legend: K segments of a rollout, B slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hrm_rl.agents.act.losses import NO_TARGET
from hrm_rl.config import HaltingConfig


@dataclass(frozen=True)
class Rollout:
    """What happened in K segments of B slots."""

    q: Tensor
    """(K, B, 2) Q-values of handing in and continuing, without gradient."""
    solved: Tensor
    """(K, B) whether the answer was right by the task's rule."""
    root: Tensor
    """(K, B) the probability that `Doubt` compares with: the value of continuing from a fresh start; 0 where
    starting over is no choice, as in slots that only halt."""
    reward: Tensor
    """(K, B)"""
    terminated: Tensor
    """(K, B)"""
    truncated: Tensor
    """(K, B)"""
    doubted: Tensor
    """(K, B) started over by choice."""
    contradicted: Tensor
    """(K, B) chose to continue with assumptions that contradicted each other, and had to start over."""
    searches: Tensor
    """(B,) whether the slot's episodes search."""


def returns(rollout: Rollout, last: Tensor, price: float, config: HaltingConfig) -> Tensor:
    """The targets of the continue values: (K, B) probabilities, NO_TARGET where a slot has none.

    last: (B,) the best of the next segment, as `Lambda.targets` gives it.  price: the `segment_cost`.

    Three choices, three values. Handing in is worth the rule's verdict. Starting over is worth
    discount * root, the value of a fresh start on the same puzzle: a return ends there and trusts it.
    Continuing is worth, going backwards,

        G_k = -price + discount * [lambda * A_k+1 + (1 - lambda) * V_k+1]

    where A is the return of the choice that was made next and V the value of the best one: 1 where the rule
    accepts the answer of a slot that searches, which then always hands it in, else the largest of the three.
    Where the assumptions contradicted each other, continuing led to a fresh start: G_k = discount * root.
    Where another choice was made, continuing was not tried and has no target, and neither has it where a
    search's budget ended: the network does not see how much of it is left.

    Slots that only halt and never assume have `Lambda`'s returns exactly (a test).
    """
    r = rollout
    fresh = config.discount * r.root
    best = torch.maximum(torch.sigmoid(r.q.amax(-1)), fresh)
    best = torch.where(r.solved & r.searches, 1.0, best)
    targets = []
    ahead = last
    for k in reversed(range(len(r.q))):
        continued = -price + config.discount * ahead
        continued = torch.where(r.contradicted[k], fresh[k], continued)
        # At the budget, a slot that only halts hands in, and continuing is worth what that is worth.
        worth = torch.where(r.truncated[k] & (k < len(r.q) - 1), r.reward[k], continued)
        untried = r.doubted[k] | (r.truncated[k] & r.searches)
        if k < len(r.q) - 1:
            untried = untried | r.terminated[k]
        targets.append(worth.clamp(0, 1).where(~untried, NO_TARGET))
        made = torch.where(r.terminated[k] | r.truncated[k], r.reward[k], continued)
        made = torch.where(r.doubted[k], fresh[k], made)
        made = torch.where(r.truncated[k] & r.searches, best[k], made)
        ahead = config.q_lambda * made + (1 - config.q_lambda) * best[k]
    return torch.stack(targets[::-1])
