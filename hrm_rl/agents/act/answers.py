"""From logits to the answer that is handed in, and whether it is the right one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import PAD, PuzzleTask
from envs.puzzle import Tokens
from hrm_rl.agents.act.losses import stablemax_scores

LossOn = Literal["all", "blanks"]
Loss = Literal["softmax", "stablemax"]


def likeliest(logits: Tensor) -> Tensor:
    """The likeliest token of each cell: (B, L) bytes, from logits (B, L, V)."""
    return logits.detach().argmax(-1).to(torch.uint8)


def probabilities(logits: Tensor, loss: Loss) -> Tensor:
    """(B, L, V) in float32, of logits (B, L, V) as the loss of the answer reads them."""
    if loss == "softmax":
        return logits.float().softmax(-1)
    scores = stablemax_scores(logits)
    return scores / scores.sum(-1, keepdim=True)


def mean_entropy(logits: Tensor, blank: Tensor, loss: Loss) -> Tensor:
    """(B,) entropy of the answer's cells in nats, averaged over those that are `blank` (B, L)."""
    found = torch.special.entr(probabilities(logits, loss)).sum(-1)
    return (found * blank).sum(-1) / blank.sum(-1).clamp_min(1)


def fill_in(tokens: Tokens, puzzle: Tokens, task: PuzzleTask, loss_on: LossOn) -> Tokens:
    """The answer (B, L) that is handed in, from the likeliest tokens and the puzzles, each (B, L).

    A network trained on the blanks alone was never told to repeat the cells that are given, so these are
    copied.
    """
    return tokens if loss_on == "all" else np.where(task.unknown(puzzle), tokens, puzzle)


def exact(answer: Tokens, solution: Tokens) -> NDArray[np.bool_]:
    """(...) whether each answer (..., L) equals the solution wherever that has a label."""
    found: NDArray[np.bool_] = ((answer == solution) | (solution == PAD)).all(axis=-1)
    return found
