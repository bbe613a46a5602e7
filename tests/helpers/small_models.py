"""Networks of 16 numbers on a board of 3x3 cells, for the tests of hrm_rl.models."""

from __future__ import annotations

import torch
from torch import Tensor

from hrm_rl.config import ModelConfig
from hrm_rl.models import RecurrentModel, build_model
from tests.helpers.tiny import grid, make_decisive

VOCABULARY, BOARD, SLOTS, IDENTIFIERS = 6, grid(3, 3), 3, 4
TOKENS = len(BOARD)


def small(name: str = "hrm", seed: int = 0, **changes: object) -> RecurrentModel:
    """A network whose Q-values say something; equal arguments give equal weights."""
    settings = {"hidden_size": 16, "num_heads": 2, "h_layers": 1, "l_layers": 1, "swiglu_multiple": 16}
    config = ModelConfig.model_validate({"name": name} | settings | changes)
    torch.manual_seed(seed)
    model = build_model(config, VOCABULARY, BOARD, IDENTIFIERS)
    make_decisive(model)
    return model


def batch(slots: int = SLOTS, seed: int = 5) -> tuple[Tensor, Tensor]:
    """Tokens (slots, 9) and identifiers (slots,)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY, (slots, TOKENS), generator=generator), torch.arange(
        slots
    ) % IDENTIFIERS


def in_float64(model: RecurrentModel) -> RecurrentModel:
    """The model computing in float64, where another order of operations hides no wrong formula."""
    model.compute_dtype = torch.float64
    return model.double()


def objective(logits: Tensor, q: Tensor) -> Tensor:
    """A number that depends on every output."""
    return logits.square().sum() + q.square().sum()


def gradients(model: RecurrentModel) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def trained(model: RecurrentModel, segments: int = 2) -> tuple[Tensor, dict[str, Tensor]]:
    """The answer of the last of some segments, and the gradients of the objective summed over all."""
    model.zero_grad()
    carry = model.initial_carry(SLOTS)
    for _ in range(segments):
        carry, logits, q = model(carry, *batch())
        objective(logits, q).backward()
    return logits.detach(), gradients(model)


def assert_close(
    found: dict[str, Tensor], expected: dict[str, Tensor], rtol: float = 1e-5, atol: float = 1e-6
) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=rtol, atol=atol, msg=lambda m, n=name: f"{n}: {m}"
        )
