"""Letting a model think to the end of a budget, and keeping what it says after each segment.

Legend: N puzzles, L tokens, K segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import LossOn, answer_of
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.models import Carry, RecurrentModel


@dataclass(frozen=True)
class Segment:
    """What N puzzles look like after one segment."""

    number: int
    """From 1."""
    answer: Tokens
    """(N, L)"""
    q: NDArray[np.float32]
    """(N, 2) logits of halt and continue."""
    wants_to_halt: NDArray[np.bool_]
    """(N,) whether the model would stop here; the budget is not looked at."""
    carry: Carry


@torch.no_grad()
def segments(
    model: RecurrentModel,
    task: PuzzleTask,
    puzzles: PuzzleBatch,
    budget: int,
    loss_on: LossOn = "all",
    q_target: str = "bootstrap",
) -> Iterator[Segment]:
    """`budget` segments of the model on all puzzles, whether it wants to halt or not.

    loss_on, q_target: what the model was trained with (see `answer_of` and `halting.QTarget`).
    """
    model.eval()
    device = next(model.parameters()).device
    tokens = torch.from_numpy(puzzles.inputs).to(device).long()
    identifier = torch.from_numpy(puzzles.identifier).to(device)
    carry = model.initial_carry(len(puzzles))
    for number in range(1, budget + 1):
        with torch.no_grad():  # a generator's caller runs between the segments, in its own mode
            carry, logits, q = model(carry, tokens, identifier)
        answer = answer_of(logits, puzzles.inputs, task, loss_on)
        yield Segment(
            number, answer, q.float().cpu().numpy(), Q_TARGETS[q_target].wants_to_halt(q).cpu().numpy(), carry
        )


@torch.no_grad()
def answers_by_segment(
    model: RecurrentModel, task: PuzzleTask, puzzles: PuzzleBatch, budget: int, loss_on: LossOn = "all"
) -> NDArray[np.uint8]:
    """The answers (K, N, L) after each segment of a fixed budget, for pictures."""
    device = next(model.parameters()).device
    tokens = torch.from_numpy(puzzles.inputs).to(device).long()
    identifier = torch.from_numpy(puzzles.identifier).to(device)
    carry = model.initial_carry(len(puzzles))
    answers = []
    for _ in range(budget):
        carry, logits, _ = model(carry, tokens, identifier)
        answers.append(answer_of(logits, puzzles.inputs, task, loss_on))
    return np.stack(answers)
