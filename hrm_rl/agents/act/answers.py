"""From logits to the answer that is handed in, and whether it is the right one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import PAD, PuzzleTask
from envs.puzzle import Tokens

LossOn = Literal["all", "blanks"]


def likeliest(logits: Tensor) -> Tensor:
    """The likeliest token of each cell: (B, L) bytes, from logits (B, L, V)."""
    return logits.detach().argmax(-1).to(torch.uint8)


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
