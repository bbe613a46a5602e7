"""The flat control: one network, one state, the loop of HRM."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch

from hrm_rl.models import Carry
from tests.helpers.small_models import (
    SLOTS,
    TOKENS,
    VOCABULARY,
    assert_close,
    batch,
    gradients,
    objective,
    small,
)


@pytest.mark.parametrize(("gradient", "kept"), [("one_step", 1), ("last_cycle", 3), ("full", 6), (None, 1)])
def test_segment_is_the_network_applied_to_state_plus_puzzle_h_cycles_times_l_cycles(
    gradient: str | None, kept: int
) -> None:
    """kept: the applications that run with gradient."""
    model = small("transformer", h_cycles=2, l_cycles=3, gradient=gradient)
    tokens, identifier = batch()
    by = (model.rope_cos, model.rope_sin)
    z = model.initial_carry(SLOTS).z_h
    for i in range(6):
        z = z.detach() if 6 - i >= kept else z
        for_first = model.embed(tokens, identifier)
        z = model.level(z, for_first if 6 - i <= kept else for_first.detach(), by)
    objective(model.lm_head(z), model.q_head(z[:, 0])).backward()
    expected = gradients(model)
    model.zero_grad()
    carry, logits, q = model(model.initial_carry(SLOTS), tokens, identifier)
    objective(logits, q).backward()
    torch.testing.assert_close(carry.z_h, z.detach())
    assert_close(gradients(model), expected, rtol=1e-4, atol=1e-5)


def test_network_has_the_blocks_of_both_levels() -> None:
    model = small("transformer", h_layers=2, l_layers=3)
    assert len(model.level.layers) == 5
    hrm = small("hrm", h_layers=2, l_layers=3)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in hrm.parameters())


def test_carry_has_no_low_level_state_and_still_is_a_carry() -> None:
    model = small("transformer")
    assert "l_init" not in model.state_dict()
    fresh = model.initial_carry(SLOTS)
    carry, logits, _ = model(fresh, *batch())
    assert carry.z_h.shape == (SLOTS, TOKENS, 16)
    assert carry.z_l.shape == fresh.z_l.shape == (SLOTS, TOKENS, 0)
    assert logits.shape == (SLOTS, TOKENS, VOCABULARY)
    assert carry.z_h.grad_fn is None

    mixed = carry.replace_rows(torch.tensor([True, False, False]), fresh)
    assert torch.equal(mixed.z_h[0], fresh.z_h[0])
    assert torch.equal(mixed.z_h[1:], carry.z_h[1:])
    assert carry.select(torch.tensor([False, True, True])).z_l.shape == (2, TOKENS, 0)
    broken = carry.z_h.clone()
    broken[1, 2, 3] = torch.nan
    assert Carry(broken, carry.z_l).finite_rows().tolist() == [True, False, True]

    written = safetensors.torch.save({"z_l": carry.z_l.contiguous()})  # as in a checkpoint
    assert safetensors.torch.load(written)["z_l"].shape == carry.z_l.shape


def test_two_segments_of_one_cycle_are_one_segment_of_two() -> None:
    one, two = small("transformer", h_cycles=1), small("transformer", h_cycles=2)
    carry, *_ = one(one.initial_carry(SLOTS), *batch())
    _, logits, q = one(carry, *batch())
    _, expected, expected_q = two(two.initial_carry(SLOTS), *batch())
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(q, expected_q)


def test_bfloat16_computes_close_to_float32() -> None:
    full, half = small("transformer"), small("transformer", dtype="bfloat16")
    carry, logits, q = half(half.initial_carry(SLOTS), *batch())
    assert (carry.z_h.dtype, carry.z_l.dtype, q.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
    torch.testing.assert_close(
        logits.float(), full(full.initial_carry(SLOTS), *batch())[1], rtol=0.1, atol=0.2
    )
