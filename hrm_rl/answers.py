"""From logits to the answer that is handed in."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from envs import PuzzleTask
from envs.puzzle import Tokens

LossOn = Literal["all", "blanks"]


def answer_of(logits: Tensor, puzzle: Tokens, task: PuzzleTask, loss_on: LossOn) -> Tokens:
    """The likeliest token of each cell: (B, L), from logits (B, L, V) and puzzles (B, L).

    A network trained on the blanks alone was never told to repeat the cells that are given, so these are copied.
    """
    answer: Tokens = logits.detach().argmax(-1).to(torch.uint8).cpu().numpy()
    return answer if loss_on == "all" else np.where(task.unknown(puzzle), answer, puzzle)
