"""Linear maps and the initialisation of the published HRM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hrm_rl.models.layers.fused import linear

_STD_OF_NORMAL_CUT_AT_TWO_SIGMA = 0.87962566103423978


def init_truncated_normal_(tensor: Tensor, std: float) -> Tensor:
    """Fill with a normal distribution cut at two sigma whose standard deviation *after* the cut is `std`.

    torch.nn.init.trunc_normal_ takes the deviation before the cut and so ends at 0.88 of it.
    """
    sigma = std / _STD_OF_NORMAL_CUT_AT_TWO_SIGMA
    return nn.init.trunc_normal_(tensor, std=sigma, a=-2 * sigma, b=2 * sigma)


class Linear(nn.Module):
    """A linear map without bias; truncated-normal weights with std 1/sqrt(fan_in)."""

    held: Tensor | None = None
    """The weight in a type of lower precision, as long as `hold_weights` lasts."""
    room: Tensor | None = None
    """Memory for `held` at an address that stays, for recorded kernels (hrm_rl/models/graphs.py)."""

    def __init__(self, fan_in: int, fan_out: int):
        super().__init__()
        self.weight = nn.Parameter(init_truncated_normal_(torch.empty(fan_out, fan_in), fan_in**-0.5))

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.dtype == x.dtype:
            return linear(x, self.weight)
        held = self.held
        return linear(x, self.weight, held if held is not None else self.weight.detach().to(x.dtype))


@contextmanager
def hold_weights(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Inside, no weight of a Linear in `model` changes, so that each is cast to `dtype` once
    and not in every pass. Gradients reach the weights themselves, in their own type. A
    context within another casts nothing."""
    layers = [m for m in model.modules() if isinstance(m, Linear) and m.held is None]
    for layer in layers:
        weight = layer.weight.detach()
        layer.held = weight.to(dtype) if layer.room is None else layer.room.copy_(weight)
    try:
        yield
    finally:
        for layer in layers:
            layer.held = None
