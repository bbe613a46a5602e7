"""The blocks of a network through torch.compile, so that what lies between two matrix products
is one pass over memory.

Only the blocks: they are nearly all of the work, all have the same code, and so the compiler runs once
for the passes with gradient and once for those without, however many layers, cycles and segments there
are. The number of slots is a variable of the compiled code, since it changes at the end of an
evaluation and while a batch grows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hrm_rl.models.layers.block import Block
from hrm_rl.models.recurrent import Level

BACKEND: Any = "inductor"


def compile_blocks(model: nn.Module, device: torch.device) -> str:
    """Let the blocks of `model` be compiled at their first use. Names in the state dict stay.

    Returns "" or, if this machine has no compiler that works, one line that says why;
    `model` is then as it was.
    """
    problem = _problem(device)
    if not problem:
        for module in model.modules():
            if isinstance(module, Level):
                module.slots_vary = True
            elif isinstance(module, Block):
                module.compile(backend=BACKEND)
    return problem


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
