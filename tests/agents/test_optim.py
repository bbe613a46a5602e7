"""Optimisers, schedule and averaging against their formulas, written out number by number."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hrm_rl.agents.optim import (
    AdamATan2,
    AdamW,
    AveragedWeights,
    SignSGD,
    build_optimizer,
    clip_gradients,
    lr_scale,
)
from hrm_rl.config import OptimConfig
from hrm_rl.models.layers.puzzle_embedding import PuzzleEmbedding
from tests.helpers.paths import ROOT


def run_adam_atan2(gradients: torch.Tensor, start: torch.Tensor, **settings: float) -> torch.Tensor:
    """Weights after one step for each row of `gradients`."""
    p = nn.Parameter(start.clone())
    optimizer = AdamATan2([p], **settings)
    for gradient in gradients:
        p.grad = gradient.clone()
        optimizer.step()
    return p.detach()


def test_adam_atan2_is_the_scalar_formula_step_by_step() -> None:
    lr, b1, b2, decay = 0.03, 0.9, 0.95, 0.2
    gradients, start = torch.randn(7, 4), torch.randn(4)
    expected = []
    for i in range(4):
        p, m, v = float(start[i]), 0.0, 0.0
        for t, g in enumerate(gradients[:, i].tolist(), start=1):
            p *= 1 - lr * decay
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            p -= lr / (1 - b1**t) * math.atan2(m, math.sqrt(v) / math.sqrt(1 - b2**t))
        expected.append(p)
    found = run_adam_atan2(gradients, start, lr=lr, betas=(b1, b2), weight_decay=decay)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6)


@given(st.floats(-20, 20))
def test_adam_atan2_does_not_feel_the_scale_of_the_gradient(exponent: float) -> None:
    torch.manual_seed(0)
    gradients, start = torch.randn(5, 6).double(), torch.zeros(6).double()
    one = run_adam_atan2(gradients, start, lr=0.1)
    other = run_adam_atan2(gradients * 10.0**exponent, start, lr=0.1)
    assert one.abs().min() > 0
    torch.testing.assert_close(one, other, rtol=1e-6, atol=0)


def test_adam_atan2_keeps_state_for_weights_with_gradient_and_leaves_the_others_alone() -> None:
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = AdamATan2([used, unused], lr=0.1, weight_decay=1.0)
    used.grad = torch.tensor([1.0, -1.0, 0.0])
    optimizer.step()
    assert torch.equal(unused, torch.ones(3))
    # The first step is lr/(1-b1) * atan2((1-b1) g, |g|), and 0 where g is 0.
    step = 0.1 / 0.1 * math.atan2(0.1, 1.0)
    torch.testing.assert_close(used.detach(), torch.tensor([0.9 - step, 0.9 + step, 0.9]))


def test_adam_atan2_goes_on_from_its_saved_state_bit_for_bit() -> None:
    gradients, start = torch.randn(6, 4), torch.randn(4)
    p = nn.Parameter(start.clone())
    optimizer = AdamATan2([p], lr=0.01)
    for i, gradient in enumerate(gradients):
        if i == 3:
            state = optimizer.state_dict()
            optimizer = AdamATan2([p], lr=0.01)
            optimizer.load_state_dict(state)
        p.grad = gradient.clone()
        optimizer.step()
    assert torch.equal(p.detach(), run_adam_atan2(gradients, start, lr=0.01))


@pytest.mark.parametrize("name", ["adamw", "adam_atan2"])
def test_built_optimizer_has_the_configured_settings(name: str) -> None:
    config = OptimConfig(name=name, lr=0.02, betas=(0.8, 0.7), weight_decay=0.3)
    optimizer = build_optimizer(nn.Linear(1, 1), config)
    assert type(optimizer) is {"adamw": AdamW, "adam_atan2": AdamATan2}[name]
    assert issubclass(AdamW, torch.optim.AdamW)
    group = optimizer.param_groups[0]
    assert (group["lr"], tuple(group["betas"]), group["weight_decay"]) == (0.02, (0.8, 0.7), 0.3)


def looked_up(embedding: PuzzleEmbedding, identifier: list[int], gradient: torch.Tensor) -> None:
    """As after a backward pass that gave the rows of `identifier` this gradient."""
    rows = embedding(torch.tensor(identifier))
    rows.backward(gradient)


def test_sign_sgd_sums_the_rows_of_one_puzzle_and_decays_only_rows_looked_up() -> None:
    embedding = PuzzleEmbedding(5, 3)
    embedding.weight.copy_(torch.randn(5, 3))
    before = embedding.weight.clone()
    identifier = [3, 1, 3, 3]
    gradient = torch.tensor([[1.0, 2.0, -1.0], [0.0, -5.0, 3.0], [1.0, -3.0, 0.5], [-3.0, -1.0, 0.5]])
    sgd = SignSGD(embedding, lr=0.1, weight_decay=0.5, max_rows=4)
    looked_up(embedding, identifier, gradient)
    sgd.collect()
    found, total = sgd.gradient()
    assert found.tolist() == [1, 3]
    torch.testing.assert_close(total, torch.tensor([[0.0, -5.0, 3.0], [-1.0, -2.0, 0.0]]))
    sgd.step(found, total)
    expected = before.clone()
    expected[1] = before[1] * 0.95 - 0.1 * torch.tensor([0.0, -1.0, 1.0])
    expected[3] = before[3] * 0.95 - 0.1 * torch.tensor([-1.0, -1.0, 0.0])
    torch.testing.assert_close(embedding.weight, expected)
    assert torch.equal(embedding.weight[[0, 2, 4]], before[[0, 2, 4]])


def test_sign_sgd_scales_step_and_decay_by_the_schedule() -> None:
    embedding = PuzzleEmbedding(1, 2)
    embedding.weight.fill_(1.0)
    looked_up(embedding, [0], torch.tensor([[7.0, -0.1]]))
    sgd = SignSGD(embedding, lr=0.1, weight_decay=0.5, max_rows=1)
    sgd.collect()
    sgd.step(*sgd.gradient(), lr_scale=0.2)
    torch.testing.assert_close(embedding.weight, torch.tensor([[0.99 - 0.02, 0.99 + 0.02]]))


def test_warm_up_is_linear_and_reaches_the_full_rate() -> None:
    config = OptimConfig(warmup_updates=10)
    assert [lr_scale(u, 100, config) for u in range(1, 11)] == pytest.approx([u / 10 for u in range(1, 11)])


def test_cosine_is_half_way_down_in_the_middle_and_ends_at_the_least_rate() -> None:
    config = OptimConfig(warmup_updates=20, lr_min_ratio=0.1)
    assert lr_scale(20, 100, config) == pytest.approx(1.0)
    assert lr_scale(40, 100, config) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.sqrt(0.5)))
    assert lr_scale(60, 100, config) == pytest.approx(0.55)
    assert lr_scale(100, 100, config) == pytest.approx(0.1)
    assert lr_scale(130, 100, config) == pytest.approx(0.1)


@given(st.integers(0, 50), st.integers(1, 200), st.floats(0, 1))
def test_rate_rises_to_its_peak_never_rises_after_it_and_stays_within_bounds(
    warmup: int, total: int, low: float
) -> None:
    config = OptimConfig(warmup_updates=warmup, lr_min_ratio=low)
    scale = [lr_scale(u, total, config) for u in range(1, total + 1)]
    up = scale[: max(0, warmup - 1)]
    down = scale[max(0, warmup - 1) :]
    assert all(a < b for a, b in pairwise(up))
    assert all(a >= b - 1e-12 for a, b in pairwise(down))
    assert all(0 < s <= 1 + 1e-12 for s in up)
    assert all(low - 1e-12 <= s <= 1 + 1e-12 for s in down)


@given(st.integers(1, 500))
def test_rate_is_constant_after_warm_up_with_a_ratio_of_one(update: int) -> None:
    assert lr_scale(update, 500, OptimConfig(lr_min_ratio=1.0)) == pytest.approx(1.0)


def small_net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def test_average_follows_the_weights_by_its_decay() -> None:
    model = small_net()
    averaged = AveragedWeights(model, decay=0.8)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(4):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p))
        averaged.update()
        expected = {n: 0.8 * expected[n] + 0.2 * p.detach() for n, p in model.named_parameters()}
    for name, value in averaged.average.items():
        torch.testing.assert_close(value, expected[name])


def test_averaged_weights_start_as_the_weights_and_are_no_view_of_them() -> None:
    model = small_net()
    averaged = AveragedWeights(model, decay=0.9)
    before = {name: value.clone() for name, value in averaged.average.items()}
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    assert all(torch.equal(averaged.average[name], before[name]) for name in before)


@pytest.mark.parametrize("fails", [False, True])
def test_own_weights_come_back_bit_for_bit_after_the_averaged_ones_were_applied(fails: bool) -> None:
    model, x = small_net(), torch.randn(5, 3)
    averaged = AveragedWeights(model, decay=0.5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    averaged.update()
    own = {name: p.detach().clone() for name, p in model.named_parameters()}
    average = {name: value.clone() for name, value in averaged.average.items()}
    other = small_net()
    other.load_state_dict(average)

    def judge() -> None:
        with averaged.applied():
            assert torch.equal(model(x), other(x))
            if fails:
                raise RuntimeError("evaluation failed")

    if fails:
        with pytest.raises(RuntimeError, match="evaluation failed"):
            judge()
    else:
        judge()
    assert all(torch.equal(p, own[name]) for name, p in model.named_parameters())
    assert all(torch.equal(value, average[name]) for name, value in averaged.average.items())


def with_gradients(*values: list[float]) -> list[nn.Parameter]:
    params = [nn.Parameter(torch.zeros(len(v))) for v in values]
    for p, v in zip(params, values, strict=True):
        p.grad = torch.tensor(v)
    return params


def test_clipping_scales_all_gradients_alike_to_the_largest_norm_and_returns_the_one_before() -> None:
    params = with_gradients([3.0, 0.0], [4.0])
    assert float(clip_gradients(params, 1.0)) == pytest.approx(5.0)
    torch.testing.assert_close(params[0].grad, torch.tensor([0.6, 0.0]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(params[1].grad, torch.tensor([0.8]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("largest", [0.0, 5.5])
def test_gradients_within_the_norm_are_left_as_they_are(largest: float) -> None:
    params = with_gradients([3.0], [4.0])
    assert float(clip_gradients(params, largest)) == pytest.approx(5.0)
    assert [p.grad.tolist() for p in params] == [[3.0], [4.0]]


def test_norm_of_a_gradient_that_is_not_finite_is_not_finite() -> None:
    assert not math.isfinite(clip_gradients(with_gradients([1.0], [math.nan]), 1.0))


def test_no_optimiser_imports_torchs_compiler() -> None:
    code = """
import sys, torch
from torch import nn
from hrm_rl.agents.optim import build_optimizer
from hrm_rl.config import OptimConfig
for name in ("adamw", "adam_atan2", "muon"):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    optimizer = build_optimizer(model, OptimConfig(name=name))
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.zero_grad()
print("torch._dynamo" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n", done.stderr
