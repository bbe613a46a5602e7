"""The blocks of a network through torch.compile: one pass over memory between two matrix products.

Only the blocks: they are nearly all of the work, all have the same code, and so the compiler runs once for
the passes with gradient and once for those without, however many layers, cycles and segments there are. The
number of slots is a variable of the compiled code, since it changes at the end of an evaluation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hrm_rl.models.layers.block import Block
from hrm_rl.models.recurrent import RecurrentModule

BACKEND: Any = "inductor"


def compile_blocks(model: nn.Module, device: torch.device) -> str:
    """Let the blocks of `model` be compiled at their first use. Names in the state dict stay.

    Returns "" or, if this machine has no compiler that works, one line that says why;
    `model` is then as it was.
    """
    problem = _problem(device)
    if not problem:
        for module in model.modules():
            if isinstance(module, RecurrentModule):
                module.announce = _slots_vary
            elif isinstance(module, Block):
                module.compile(backend=BACKEND)
    return problem


def _slots_vary(state: Tensor) -> None:
    """Tell the compiler that B may change. Seen with torch 2.13; where it is gone, each B is compiled."""
    mark = getattr(torch._dynamo, "maybe_mark_dynamic", None)
    if mark is not None:
        mark(state, 0)


def _problem(device: torch.device) -> str:
    """Why compiling fails here, tried on the smallest function; "" if it does not."""

    def probe(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    try:
        torch.compile(probe, backend=BACKEND)(torch.zeros(2, device=device))
    except Exception as error:  # whatever a missing compiler, linker or Triton raises
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"train.compile: torch.compile does not work here, so nothing is compiled ({first})"
    return ""
