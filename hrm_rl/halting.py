"""When to stop thinking: the reinforcement-learning core.

An episode's state is the model's carry, its actions are halt and continue, its reward is 1 for halting on a
right answer. Q-learning without replay or target network, over parallel slots (PQN, arXiv 2407.04811), is what
HRM's ACT loss amounts to. Legend: B slots; q (B, 2) holds the logits of halt (index 0) and continue (index 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_rl.config import HaltingConfig


def decide(q: Tensor, segment: Tensor, min_segments: Tensor) -> Tensor:
    """Whether each slot chooses to halt after this segment.

    segment: (B,) segments spent so far, this one included.
    min_segments: (B,) exploration's floor, 0 where the slot does not explore.
    Returns (B,) bool. The budget is the environment's to enforce: it truncates whatever is chosen here.
    """
    return (q[:, 0] > q[:, 1]) & (segment >= min_segments)


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


def q_targets(next_q: Tensor, segment: Tensor, budget: int) -> Tensor:
    """Target of the continue value: (B,) probabilities.

    next_q: (B, 2) Q-values of the segment after this one, for the same puzzle, without gradient.
    sigmoid(q_halt') where the budget ends here, else sigmoid(max(q_halt', q_continue')) (HRM, eq. for G_continue).
    """
    halt, go_on = next_q[:, 0], next_q[:, 1]
    return torch.sigmoid(torch.where(segment >= budget, halt, torch.maximum(halt, go_on)))
