"""Which processor the network runs on."""

from __future__ import annotations

from typing import Literal

import torch

from hrm_rl.errors import UserError


def choose_device(name: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    """The device called `name`; `auto` takes the first of cuda, mps, cpu that is there. Raises UserError."""
    present: dict[str, bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    kind: str = name if name != "auto" else next(k for k, here in present.items() if here)
    if not present[kind]:
        raise UserError(f"torch finds no {kind} device on this machine; --train.device cpu works everywhere")
    return torch.device("cuda", torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)
