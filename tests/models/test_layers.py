"""The building blocks against their formulas, written out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrm_rl.config import ModelConfig
from hrm_rl.models.layers.attention import Attention
from hrm_rl.models.layers.block import Block, SwiGLU
from hrm_rl.models.layers.fused import add_norm
from hrm_rl.models.layers.linear import Linear, init_truncated_normal_
from hrm_rl.models.layers.positions import rope_frequencies, rotate, rotation

STD_OF_CUT_NORMAL = 0.8796256610342398
"""sqrt(1 - 2*2*phi(2) / (2*Phi(2) - 1)): standard deviation of a unit normal cut at two sigma."""


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    return add_norm(x, torch.zeros_like(x))


def row(positions: int) -> torch.Tensor:
    """Coordinates of a sequence."""
    return torch.arange(positions)[:, None]


def test_constant_of_the_cut_normal_is_that_of_the_closed_form() -> None:
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    inside = math.erf(2 / math.sqrt(2))
    assert math.sqrt(1 - 4 * density / inside) == pytest.approx(STD_OF_CUT_NORMAL, rel=1e-12)


@pytest.mark.parametrize("std", [1.0, 0.05])
def test_truncated_normal_has_the_asked_std_after_the_cut_and_is_cut_at_two_sigma(std: float) -> None:
    values = init_truncated_normal_(torch.empty(400_000), std)
    cut = 2 * std / STD_OF_CUT_NORMAL
    assert float(values.std()) == pytest.approx(std, rel=0.01)
    assert float(values.mean()) == pytest.approx(0.0, abs=0.01 * std)
    assert 0.999 * cut < float(values.abs().max()) <= cut * (1 + 1e-6)


def test_linear_starts_with_std_one_over_root_fan_in_and_has_no_bias() -> None:
    layer = Linear(400, 300)
    assert float(layer.weight.detach().std()) == pytest.approx(400**-0.5, rel=0.01)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer(torch.zeros(1, 400)).abs().max() == 0


def test_rms_norm_is_x_over_its_root_mean_square_with_eps_inside_the_root() -> None:
    x = torch.randn(3, 5, 16) * torch.tensor([1e-3, 1.0, 100.0]).view(3, 1, 1)
    expected = x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5)
    torch.testing.assert_close(rms_norm(x), expected)
    assert rms_norm(torch.zeros(2, 16)).abs().max() == 0


def test_rms_norm_of_bfloat16_is_that_of_float32_rounded() -> None:
    x = (1000 * torch.randn(4, 64)).bfloat16()
    assert rms_norm(x).dtype == torch.bfloat16
    assert torch.equal(rms_norm(x), rms_norm(x.float()).bfloat16())


def test_rotation_is_multiplication_by_a_unit_complex_number_of_the_two_halves() -> None:
    positions, width, theta = 7, 8, 100.0
    x = torch.randn(1, 1, positions, width)
    angle = torch.outer(torch.arange(positions), theta ** (-torch.arange(0, width, 2) / width))
    turned = torch.complex(x[..., : width // 2], x[..., width // 2 :]) * torch.polar(
        torch.ones_like(angle), angle
    )
    expected = torch.cat((turned.real, turned.imag), dim=-1)
    torch.testing.assert_close(
        rotate(x, rotation(row(positions), [rope_frequencies(width // 2, theta)])), expected
    )


def test_rotated_products_depend_on_the_distance_of_positions_alone() -> None:
    positions, width = 10, 8
    query, key = torch.randn(width), torch.randn(width)
    by = rotation(row(positions), [rope_frequencies(width // 2, 10000.0)])
    everywhere = torch.Size((1, 1, positions, width))
    products = (rotate(query.expand(everywhere), by) @ rotate(key.expand(everywhere), by).mT)[0, 0]
    for distance in range(-positions + 1, positions):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-4, atol=1e-5)
    assert products.diagonal(1)[0] != pytest.approx(float(products.diagonal(-1)[0]), abs=1e-3)


@pytest.mark.parametrize(
    ("expansion", "hidden", "multiple", "inner"),
    [(4, 512, 256, 1536), (4, 256, 256, 768), (4, 128, 256, 512), (4, 96, 256, 256), (4, 64, 32, 192)],
)
def test_swiglu_width_of_known_models(expansion: float, hidden: int, multiple: int, inner: int) -> None:
    layer = SwiGLU(hidden, expansion, multiple)
    assert layer.gate_up_proj.weight.shape == (2 * inner, hidden)
    assert layer.down_proj.weight.shape == (hidden, inner)


@given(st.integers(1, 64), st.floats(1, 8), st.integers(1, 64))
def test_swiglu_width_is_the_next_multiple_and_never_below_two_thirds_of_the_expansion(
    hidden: int, expansion: float, multiple: int
) -> None:
    wanted = round(expansion * hidden * 2 / 3)
    inner = SwiGLU(hidden, expansion, multiple).down_proj.weight.shape[1]
    assert inner % multiple == 0
    assert wanted <= inner < wanted + multiple


def test_swiglu_is_down_of_silu_gate_times_up() -> None:
    layer, x = SwiGLU(16, 4, 16), torch.randn(2, 3, 16)
    inner = layer.down_proj.weight.shape[1]
    gate, up = layer.gate_up_proj.weight[:inner], layer.gate_up_proj.weight[inner:]
    gated = x @ gate.T
    expected = (gated * torch.sigmoid(gated) * (x @ up.T)) @ layer.down_proj.weight.T
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("rotated", [False, True])
def test_attention_is_the_softmax_formula_head_by_head(rotated: bool) -> None:
    slots, positions, width, heads = 2, 5, 16, 4
    layer, x = Attention(width, heads), torch.randn(slots, positions, width)
    by = rotation(row(positions), [rope_frequencies(width // heads // 2, 10000.0)]) if rotated else None
    query, key, value = (x @ layer.qkv_proj.weight.T).split(width, dim=-1)
    out = torch.empty_like(x)
    for slot in range(slots):
        for head in range(heads):
            columns = slice(head * width // heads, (head + 1) * width // heads)
            q, k, v = query[slot, :, columns], key[slot, :, columns], value[slot, :, columns]
            if by is not None:
                q, k = rotate(q[None, None], by)[0, 0], rotate(k[None, None], by)[0, 0]
            out[slot, :, columns] = torch.softmax(q @ k.T / math.sqrt(width // heads), dim=-1) @ v
    torch.testing.assert_close(layer(x, by), out @ layer.o_proj.weight.T)


def test_block_normalises_after_each_residual_sum() -> None:
    config = ModelConfig(hidden_size=16, num_heads=2, swiglu_multiple=16)
    block, x = Block(config, positions=5), torch.randn(2, 5, 16)
    middle = rms_norm(x + block.self_attn(x, None))
    torch.testing.assert_close(block(x, None), rms_norm(middle + block.mlp(middle)))
    torch.testing.assert_close(block(x, None).square().mean(-1), torch.ones(2, 5), rtol=1e-3, atol=0)
