"""Backward passes that are written out: against finite differences in float64, and in lower precision against
autograd's own of the plain formula in float32."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from hrm_rl.models import RecurrentModel
from hrm_rl.models.layers.attention import (
    LONGEST_SPELLED_OUT,
    Attention,
    attend_fused,
    attend_spelled_out,
    spells_out,
)
from hrm_rl.models.layers.fused import add_norm, gated, linear, to_heads
from hrm_rl.models.layers.linear import Linear, hold_weights
from hrm_rl.models.layers.positions import rope_frequencies, rotate, rotation
from tests.helpers.tiny import tiny_config, tiny_learner

SLOTS, POSITIONS, WIDTH, HEADS = 2, 3, 8, (2, 1, 1)


def numbers(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def turned(dtype: torch.dtype = torch.float64, factor: float = 0.7) -> tuple[Tensor, Tensor]:
    frequencies = [rope_frequencies(WIDTH // 2, 100.0)]
    cos, sin = rotation(torch.arange(POSITIONS)[:, None], frequencies)
    return (factor * cos).to(dtype), (factor * sin).to(dtype)


@pytest.mark.parametrize("fan_out", [3, 8, 20])
def test_linear_has_the_gradient_of_finite_differences(fan_out: int) -> None:
    assert gradcheck(linear, (numbers(SLOTS, POSITIONS, WIDTH), numbers(fan_out, WIDTH)))


def test_add_norm_has_the_gradient_of_finite_differences_at_every_scale() -> None:
    for scale in (1e-3, 1.0, 30.0):
        x = (scale * numbers(SLOTS, POSITIONS, WIDTH)).detach().requires_grad_()
        y = (scale * numbers(SLOTS, 1, POSITIONS, WIDTH)[:, 0]).detach().requires_grad_()
        assert gradcheck(add_norm, (x, y), eps=1e-6 * scale)


def test_gate_has_the_gradient_of_finite_differences() -> None:
    assert gradcheck(gated, (numbers(SLOTS, POSITIONS, 2 * WIDTH),))


@pytest.mark.parametrize("rotates", [False, True])
def test_heads_have_the_gradient_of_finite_differences(rotates: bool) -> None:
    cos, sin = turned() if rotates else (torch.tensor(0.7, dtype=torch.float64), None)

    def function(qkv: Tensor) -> tuple[Tensor, ...]:
        return to_heads(qkv, cos, sin, HEADS)

    assert gradcheck(function, (numbers(SLOTS, POSITIONS, sum(HEADS) * WIDTH),))


def test_heads_are_those_of_the_projection_turned() -> None:
    qkv = numbers(SLOTS, POSITIONS, sum(HEADS) * WIDTH, dtype=torch.float32)
    cos, sin = turned(torch.float32, factor=1.0)
    query, key, value = to_heads(qkv, cos, sin, HEADS)
    for head, found in enumerate([*query, *key, *value]):
        expected = qkv[..., head * WIDTH : (head + 1) * WIDTH]
        expected = rotate(expected, (cos, sin)) if head < HEADS[0] + HEADS[1] else expected
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("rotates", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_spelled_out_attention_is_the_fused_kernels_and_so_is_its_gradient(
    causal: bool, rotates: bool
) -> None:
    cos, sin = turned() if rotates else (torch.tensor(0.7, dtype=torch.float64), None)
    qkv = numbers(SLOTS, POSITIONS, sum(HEADS) * WIDTH)
    weights = torch.randn(SLOTS, POSITIONS, HEADS[0], WIDTH, dtype=torch.float64)
    found = []
    for attend in (attend_spelled_out, attend_fused):
        out = attend(qkv, cos, sin, HEADS, causal)
        found.append([out, *torch.autograd.grad((out * weights).sum(), [qkv])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_attention_is_spelled_out_on_a_cpu_for_short_rows_alone() -> None:
    for kind, dtype in (("float32", torch.float32), ("lower precision", torch.bfloat16)):
        assert spells_out(torch.zeros(1, LONGEST_SPELLED_OUT[kind], 2, dtype=dtype))
        assert not spells_out(torch.zeros(1, LONGEST_SPELLED_OUT[kind] + 1, 2, dtype=dtype))
        with torch.no_grad():
            assert spells_out(torch.zeros(1, LONGEST_SPELLED_OUT["no gradient"], 2, dtype=dtype))
            assert not spells_out(torch.zeros(1, LONGEST_SPELLED_OUT["no gradient"] + 1, 2, dtype=dtype))
    assert not spells_out(torch.zeros(1, 2, 2, device="meta"))


PLAIN: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "add_norm": (add_norm, lambda x, y: F.rms_norm(x + y, (64,), eps=1e-5), [(4, 64), (4, 64)]),
    "gated": (gated, lambda x: F.silu(x.chunk(2, -1)[0]) * x.chunk(2, -1)[1], [(4, 64)]),
    "linear": (
        lambda x, w: linear(x, w, w.detach().to(x.dtype)),
        lambda x, w: F.linear(x, w),
        [(4, 64), (32, 64)],
    ),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", PLAIN)
def test_lower_precision_is_that_of_float32_rounded_a_few_times(name: str, dtype: torch.dtype) -> None:
    function, formula, shapes = PLAIN[name]
    exact = [
        numbers(*shape, dtype=torch.float32).to(dtype).float().detach().requires_grad_() for shape in shapes
    ]
    lower = [t.to(dtype).detach().requires_grad_() for t in exact]
    if name == "linear":
        lower[1] = exact[1]  # weights stay float32
    expected, found = formula(*exact), function(*lower)
    assert found.dtype == dtype
    wanted = torch.autograd.grad(expected.sum(), exact)
    gradients = torch.autograd.grad(found.sum(), lower)
    size = 8 * torch.finfo(dtype).eps
    for one, other in zip((found, *gradients), (expected, *wanted), strict=True):
        assert (one.float() - other).norm() < size * other.norm()
    assert [g.dtype for g in gradients] == [t.dtype for t in lower]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_pass_without_gradient_gives_the_same_bits(dtype: torch.dtype) -> None:
    layer = Attention(WIDTH, 2)
    by = rotation(torch.arange(POSITIONS)[:, None], [rope_frequencies(WIDTH // 4, 100.0)])
    x = numbers(SLOTS, POSITIONS, WIDTH, dtype=torch.float32).to(dtype)
    trained = [layer(x, by), add_norm(x, x), gated(x)]
    with torch.no_grad():
        for found, expected in zip([layer(x, by), add_norm(x, x), gated(x)], trained, strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize("q_target", ["bootstrap", "delayed"])
def test_weights_cast_once_an_update_train_as_weights_cast_in_every_pass(
    q_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained() -> dict[str, Tensor]:
        learner = tiny_learner(
            tiny_config(
                model={"dtype": "bfloat16"}, halting={"q_target": q_target}, train={"micro_batches": 2}
            )
        )
        held: list[bool] = []
        for module in learner.model.modules():
            if isinstance(module, Linear):
                module.register_forward_pre_hook(lambda m, _: held.append(m.held is not None))
        for _ in range(3):
            learner.update()
            assert all(m.held is None for m in learner.model.modules() if isinstance(m, Linear))
        assert len(set(held)) == 1
        return {"held": torch.tensor(held[0]), **learner.model.state_dict()}

    once = trained()
    monkeypatch.setattr(RecurrentModel, "unchanging", lambda _: nullcontext())
    always = trained()
    assert once.pop("held")
    assert not always.pop("held")
    for name, value in once.items():
        assert torch.equal(value, always[name]), name


def test_gradient_of_a_weight_used_twice_adds_up_in_the_weights_own_type() -> None:
    layer, x = Linear(64, 32), numbers(16, 64, dtype=torch.float32).bfloat16().detach()
    with hold_weights(layer, torch.bfloat16):
        (layer(x).sum() + layer(1e-4 * x).sum()).backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    assert not torch.equal(layer.weight.grad, layer.weight.grad.bfloat16().float())
