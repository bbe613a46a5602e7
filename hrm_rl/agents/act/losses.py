"""Deep supervision of the answer and of the Q-values. Legend: B slots, L tokens, V vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_rl.models.layers.fused import at_least_float32

IGNORE = -100
"""A label that the loss does not look at."""
NO_TARGET = -1.0
"""A target of the continue value that the loss does not look at; probabilities are never below 0."""


@dataclass(frozen=True)
class Losses:
    """Sums over slots; divide by the global number of slots."""

    lm: Tensor
    """Cross entropy of the answer, averaged over each slot's labelled tokens."""
    q_halt: Tensor
    """Binary cross entropy of the halt value against "the answer is right"."""
    q_continue: Tensor
    """Binary cross entropy of the continue value against its target."""

    @property
    def total(self) -> Tensor:
        return self.lm + 0.5 * (self.q_halt + self.q_continue)


def stablemax_scores(logits: Tensor) -> Tensor:
    """s(x) = x + 1 for x >= 0, else 1 / (1 - x) (arXiv 2501.04697), in float32; stablemax is s / sum s.

    One formula for both branches: the one that is not taken adds a constant, and divides by no zero. At x = 0
    the slope of relu is 0 and that of clamp is 1, as it should be: not 2, nor 0.
    """
    x = at_least_float32(logits)
    return F.relu(x) + 1 / (1 - x.clamp(max=0))


def cross_entropy(logits: Tensor, labels: Tensor, kind: Literal["softmax", "stablemax"]) -> Tensor:
    """Cross entropy per token: logits (B, L, V), labels (B, L) -> (B, L), 0 where the label is IGNORE."""
    if kind == "softmax":
        flat = F.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORE, reduction="none"
        )
        return flat.view(labels.shape)
    labelled = labels != IGNORE
    scores = stablemax_scores(logits)
    score = scores.gather(-1, labels.where(labelled, 0).unsqueeze(-1)).squeeze(-1)
    # The logarithm of the quotient, not a difference of logarithms: float32 is then as exact near probability
    # 1, where both would be large and nearly equal, as anywhere.
    return torch.where(labelled, torch.log(scores.sum(-1) / score), 0.0)


def losses(
    logits: Tensor,
    labels: Tensor,
    q: Tensor,
    solved: Tensor,
    target_continue: Tensor | None,
    kind: Literal["softmax", "stablemax"],
    real: Tensor | None = None,
) -> Losses:
    """The losses of one segment, summed over slots.

    logits: (B, L, V).  labels: (B, L), IGNORE where a token is not supervised.  q: (B, 2) logits. solved:
    (B,) whether the answer is right.  target_continue: (B,) probabilities, NO_TARGET where a slot has none,
    or None where nobody has: with a budget of one segment, or with q_target `halt_only`.
    A slot without any label is padding and contributes to nothing, unless real, (B,) bool, says otherwise:
    the Q-values of a slot may be taught where its answer is not.
    """
    labelled = (labels != IGNORE).sum(-1)
    real = (labelled > 0 if real is None else real).to(q.dtype)
    lm = (cross_entropy(logits, labels, kind).sum(-1) / labelled.clamp_min(1)).sum()
    bce = F.binary_cross_entropy_with_logits
    q_halt = (bce(q[:, 0], solved.to(q.dtype), reduction="none") * real).sum()
    if target_continue is None:
        q_continue = torch.zeros_like(q_halt)
    else:
        taught = real * (target_continue != NO_TARGET)
        q_continue = (bce(q[:, 1], target_continue, reduction="none") * taught).sum()
    return Losses(lm, q_halt, q_continue)
