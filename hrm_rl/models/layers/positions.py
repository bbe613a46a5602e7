"""Rotary positions, along the board or by its coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hrm_rl.models.layers.fused import at_least_float32

Rotation = tuple[Tensor, Tensor]
"""cos and sin of the rotary angles, each (S, H); see `rotation` for the sign of sin."""


def rotation(places: Tensor, frequencies: Sequence[Tensor]) -> Rotation:
    """cos and sin for rotary position embedding (arXiv 2104.09864), halves rotated: each (S, H), the first
    half of sin with a minus, as `rotate` needs it.

    places: (S, K) where each position is.  frequencies: for each of the K coordinates, the angles (n,) by
    which one step along it turns n of the H/2 pairs of numbers. A product of query and key then depends on
    the K differences of their coordinates.
    """
    coordinates = places.float().unbind(1)
    angles = [torch.outer(c, turns) for c, turns in zip(coordinates, frequencies, strict=True)]
    angle = torch.cat(angles, dim=-1)
    return angle.cos().repeat(1, 2), torch.cat((-angle.sin(), angle.sin()), dim=-1)


def rope_frequencies(pairs: int, theta: float) -> Tensor:
    """theta^(-0/n), theta^(-1/n), ...: those of a sequence, as published."""
    return theta ** -(torch.arange(pairs, dtype=torch.float32) / pairs)


def board_frequencies(pairs: int, places: int) -> Tensor:
    """Wavelengths in equal ratios from two places to twice the `places` of a coordinate: no difference on the
    board looks like another, and "the same row" differs from "the next row" as much as can be."""
    return math.pi * places ** -torch.linspace(1, 0, pairs)


def shares(pairs: int, kinds: int) -> list[int]:
    """Pairs of numbers for each of `kinds` coordinates, as even as can be."""
    return [pairs // kinds + (k < pairs % kinds) for k in range(kinds)]


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Apply a rotation (S, H) to queries or keys (..., S, H), in float32. Attention
    does it in `fused.to_heads`."""
    cos, sin = by
    first, second = at_least_float32(x).chunk(2, dim=-1)
    return (x * cos + torch.cat((second, first), dim=-1) * sin).to(x.dtype)
