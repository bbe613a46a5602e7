"""Which processor the network runs on."""

from __future__ import annotations

from typing import Literal

import torch

from hrm_rl.errors import UserError


def choose_device(name: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    """The device called `name`; `auto` takes the first of cuda, mps, cpu that is there. Raises UserError."""
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, present in here.items() if present)  # type: ignore[assignment]
    if not here[name]:
        raise UserError(f"this machine has no {name} device that torch can use; --train.device cpu always works")
    return torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else torch.device(name)
