"""From logits to the answer that is handed in."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from envs import PuzzleTask
from envs.puzzle import Tokens

LossOn = Literal["all", "blanks"]


def likeliest(logits: Tensor) -> Tensor:
    """The likeliest token of each cell: (B, L) bytes, from logits (B, L, V)."""
    return logits.detach().argmax(-1).to(torch.uint8)


def fill_in(tokens: Tokens, puzzle: Tokens, task: PuzzleTask, loss_on: LossOn) -> Tokens:
    """The answer (B, L) that is handed in, from the likeliest tokens and the puzzles, each (B, L).

    A network trained on the blanks alone was never told to repeat the cells that are
    given, so these are copied.
    """
    return tokens if loss_on == "all" else np.where(task.unknown(puzzle), tokens, puzzle)


def answer_of(logits: Tensor, puzzle: Tokens, task: PuzzleTask, loss_on: LossOn) -> Tokens:
    """What is handed in, (B, L), from logits (B, L, V) and puzzles (B, L); waits for
    the device of the logits."""
    return fill_in(likeliest(logits).cpu().numpy(), puzzle, task, loss_on)
