"""A model with all that it takes to read its answers, so that nobody reads them wrongly by leaving something
out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.puzzle import PAD, Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import Loss, LossOn, fill_in
from hrm_rl.agents.act.halting import Q_TARGETS, QTarget
from hrm_rl.config import Config
from hrm_rl.models import Carry, RecurrentModel


@dataclass(frozen=True)
class Solver:
    """A model, its task, and how it was trained."""

    model: RecurrentModel
    task: PuzzleTask
    q_target: QTarget
    """How the Q-values were trained, which says when the model wants to halt."""
    loss_on: LossOn
    """Which cells the answer was trained on."""
    loss: Loss = "softmax"
    """With which loss, which says how its logits are probabilities."""

    @staticmethod
    def of(config: Config, model: RecurrentModel, task: PuzzleTask) -> Solver:
        """The model of a run with these settings."""
        train = config.train
        return Solver(model, task, Q_TARGETS[config.halting.q_target], train.loss_on, train.loss)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def think(self, carry: Carry, tokens: Tensor, identifier: Tensor) -> tuple[Carry, Tensor, Tensor]:
        """One segment, as the model's `forward`: of a text, with the Q-values (B, 2) of its last token, for
        what comes after it."""
        if not self.task.next_token:
            found: tuple[Carry, Tensor, Tensor] = self.model(carry, tokens, identifier)
            return found
        carry, logits, q = self.model(carry, tokens, identifier, each=True)
        last = (tokens != PAD).sum(-1).clamp_min(1) - 1
        return carry, logits, q[torch.arange(len(q), device=q.device), last]

    def answer(self, tokens: Tokens, puzzle: Tokens) -> Tokens:
        """The answer (B, L) that is handed in, from the likeliest tokens and the puzzles, each (B, L)."""
        return fill_in(tokens, puzzle, self.task, self.loss_on)

    def wants_to_halt(self, q: NDArray[np.float32], threshold: float = 0.0) -> NDArray[np.bool_]:
        """(...) whether the model wants to halt, from Q-values (..., 2) of halt and continue."""
        flat = torch.from_numpy(np.ascontiguousarray(q)).view(-1, 2)
        return self.q_target.wants_to_halt(flat, threshold).numpy().reshape(q.shape[:-1])
