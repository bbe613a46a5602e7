"""One update of a causal network that continues text. Every token has Q-values, and targets, of its own.

Legend: B slots, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from envs import PAD
from hrm_rl.agents.act import halting
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.losses import IGNORE, NO_TARGET, Losses, cross_entropy
from hrm_rl.agents.act.slots import Act, Slots, Thought
from hrm_rl.models import Carry

MOST = 0.5
"""A slot halts where more than this share of its tokens want to."""


class TextLearner(Learner):
    """A slot thinks about all tokens of its window at once, and goes on until most of them want to halt or
    the budget is spent. In evaluation every token halts by itself."""

    def __init__(self, *args: Any, **kwargs: Any):
        """As `Learner`."""
        super().__init__(*args, **kwargs)
        self.flat_slots = round(self.config.train.flat_share * self.env.num_envs)
        """Slots whose windows the flat path learns to continue as well."""

    def _segment(
        self, model: Any, carry: Carry, tokens: Tensor, identifier: Tensor
    ) -> tuple[Carry, Tensor, Tensor]:
        found: tuple[Carry, Tensor, Tensor] = model(carry, tokens, identifier, each=True)
        return found

    def _q_of(self, carry: Carry) -> Tensor:
        return self.model.q_values(carry.z_h, each=True)

    def _spent(self, thought: Thought) -> Tensor:
        return super()._spent(thought)[:, None]

    def _answer(self, thought: Thought) -> Act:
        """What a thought amounts to: `solved` (B, L) says which tokens are right."""
        tokens, q = thought.answer.wait()
        answer = tokens.numpy()
        return Act(thought.carry, q, answer, answer == thought.solution)

    def _decide(self, act: Act) -> Tensor:
        """(B,) whether each slot halts. Exploration is drawn, and noted in the slots."""
        slots, segment = self.slots, torch.from_numpy(self.slots.segment + 1)
        floor = halting.explore(slots.min_segments, segment, self.config.halting, self.generator)
        labelled = torch.from_numpy(slots.solution != PAD)
        wants = self.q_target.wants_to_halt(act.q) & labelled
        most = wants.sum(-1) > MOST * labelled.sum(-1)
        held_back = most & (segment < floor)
        self.slots = replace(slots, min_segments=floor, explored=slots.explored | held_back)
        return most & (segment >= floor)

    def _targets(self, thought: Thought) -> Tensor | None:
        """As `Learner._targets`, less the price of a segment: (B, L). Which token comes next is often
        uncertain however long one thinks; without a price, continuing is worth as much as halting there."""
        targets, price = super()._targets(thought), self.env.segment_cost
        if targets is None or not price:
            return targets
        return torch.where(targets == NO_TARGET, targets, (targets - price).clamp_min(0))

    def _loss(self, thought: Thought, act: Act, targets: Tensor | None) -> Tensor:
        solved = self._on_device(act.solved)
        found = token_losses(
            thought.logits, thought.labels, thought.q_taught, solved, targets, self.config.train.loss
        )
        return self._counted(found) + self._flat_loss(thought)

    def _flat_loss(self, thought: Thought) -> Tensor:
        """The answer's loss of the flat path, summed over the slots that teach it."""
        n = min(self.flat_slots, len(thought.tokens))
        if not n:
            return torch.zeros((), device=self.device)
        flat, labels = self.model.flat(), thought.labels[:n]
        with self.phase("forward"):
            logits = flat(flat.initial_carry(n), thought.tokens[:n], thought.identifier[:n], each=True)[1]
        return mean_of_slots(cross_entropy(logits, labels, self.config.train.loss), labels != IGNORE)

    def _count_episodes(
        self, slots: Slots, act: Act, finished: NDArray[np.bool_], terminated: NDArray[np.bool_]
    ) -> None:
        """Add the tokens of the slots that ended with this segment to the tally, an episode each."""
        if not finished.any():
            return
        labelled = slots.solution[finished] != PAD
        right, tokens = act.solved[finished][labelled], labelled.sum()

        def of_token(values: NDArray[Any]) -> NDArray[Any]:
            """What holds for a slot, for each of its tokens."""
            return np.repeat(values[finished], labelled.sum(-1))

        self.tally.add(cells=tokens, cells_right=right.sum(), blanks=tokens, blanks_right=right.sum())
        self.tally.add_episodes(
            segments=of_token(slots.segment + 1),
            exact=right,
            solved=right,
            forced=of_token(~terminated),
            explored=of_token(slots.explored.numpy()),
            q=act.q.numpy()[finished][labelled],
        )


def mean_of_slots(values: Tensor, counted: Tensor) -> Tensor:
    """The sum over slots of the mean over the tokens that are counted, of values (B, L)."""
    return ((values * counted).sum(-1) / counted.sum(-1).clamp_min(1)).sum()


def token_losses(
    logits: Tensor,
    labels: Tensor,
    q: Tensor,
    right: Tensor,
    target_continue: Tensor | None,
    kind: Any,
) -> Losses:
    """As `hrm_rl.agents.act.losses.losses`, with the Q-values of every token taught by whether that is right:
    the means over each slot's labelled tokens, summed over slots.

    logits: (B, L, V).  labels: (B, L).  q: (B, L, 2).  right: (B, L).  target_continue: (B, L), or None.
    """
    labelled = labels != IGNORE
    bce = F.binary_cross_entropy_with_logits
    lm = mean_of_slots(cross_entropy(logits, labels, kind), labelled)
    q_halt = mean_of_slots(bce(q[..., 0], right.to(q.dtype), reduction="none"), labelled)
    if target_continue is None:
        return Losses(lm, q_halt, torch.zeros_like(q_halt))
    taught = labelled & (target_continue != NO_TARGET)
    q_continue = mean_of_slots(bce(q[..., 1], target_continue, reduction="none"), taught)
    return Losses(lm, q_halt, q_continue)
