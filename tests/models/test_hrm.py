"""The recurrent network: what runs with gradient, what the carry is, where positions
and Q-values come from."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from hrm_rl.config import ModelConfig
from hrm_rl.models import HRM, Carry, build_model, count_parameters
from hrm_rl.models.layers.fused import add_norm
from hrm_rl.utils.errors import UserError
from tests.helpers.small_models import BOARD, SLOTS, TOKENS, VOCABULARY, batch, gradients, small
from tests.helpers.tiny import grid


def test_count_of_parameters_includes_every_puzzle_embedding_row_and_no_initial_state() -> None:
    without, with_rows = small(), small(puzzle_emb_ndim=24)
    assert count_parameters(with_rows) - count_parameters(without) == 4 * 24
    assert count_parameters(without) == sum(p.numel() for p in without.parameters())


@pytest.mark.parametrize(("h_cycles", "l_cycles"), [(1, 1), (2, 2), (2, 3), (3, 1)])
def test_only_the_last_update_of_each_module_runs_with_gradient(h_cycles: int, l_cycles: int) -> None:
    model = small(h_cycles=h_cycles, l_cycles=l_cycles)
    ran: list[tuple[str, bool]] = []
    for name, level in (("L", model.l_level), ("H", model.h_level)):
        level.register_forward_hook(lambda *_, name=name: ran.append((name, torch.is_grad_enabled())))
    model(model.initial_carry(SLOTS), *batch())
    names = (["L"] * l_cycles + ["H"]) * h_cycles
    assert ran == [(name, i >= len(names) - 2) for i, name in enumerate(names)]


def unrolled(model: HRM, h_cycles: int, l_cycles: int, truncate: bool) -> tuple[Tensor, Tensor]:
    """Logits and q of the first segment, all updates written out; truncate: stop gradients before the last
    update of each module."""
    tokens, identifier = batch()
    x = model.embed(tokens, identifier)
    by = (model.rope_cos, model.rope_sin)
    carry = model.initial_carry(SLOTS)
    z_h, z_l = carry.z_h, carry.z_l
    updates = (["L"] * l_cycles + ["H"]) * h_cycles
    for i, name in enumerate(updates):
        if truncate and i == len(updates) - 2:
            z_h, z_l = z_h.detach(), z_l.detach()
        if name == "L":
            z_l = model.l_level(z_l, z_h + x, by)
        else:
            z_h = model.h_level(z_h, z_l, by)
    return model.lm_head(z_h), model.q_head(z_h[:, 0])


def test_gradient_is_that_of_the_unrolled_computation_cut_before_the_last_two_updates() -> None:
    model = small(h_cycles=2, l_cycles=2)
    found = {}
    for name, outputs in {
        "model": lambda: model(model.initial_carry(SLOTS), *batch())[1:],
        "cut": lambda: unrolled(model, 2, 2, truncate=True),
        "whole": lambda: unrolled(model, 2, 2, truncate=False),
    }.items():
        model.zero_grad()
        logits, q = outputs()
        (logits.square().sum() + q.square().sum()).backward()
        found[name] = gradients(model)
    for name, gradient in found["model"].items():
        torch.testing.assert_close(gradient, found["cut"][name], msg=lambda m, n=name: f"{n}: {m}")
    weight = "l_level.layers.0.mlp.down_proj.weight"
    assert not torch.allclose(found["model"][weight], found["whole"][weight], rtol=1e-2)


def test_two_segments_of_one_cycle_are_one_segment_of_two_cycles() -> None:
    one, two = small(h_cycles=1, l_cycles=2), small(h_cycles=2, l_cycles=2)
    two.load_state_dict(one.state_dict())
    carry, *_ = one(one.initial_carry(SLOTS), *batch())
    _, logits, q = one(carry, *batch())
    _, expected_logits, expected_q = two(two.initial_carry(SLOTS), *batch())
    torch.testing.assert_close(logits, expected_logits)
    torch.testing.assert_close(q, expected_q)


def test_carry_is_detached_and_outputs_are_not() -> None:
    model = small()
    carry, logits, q = model(model.initial_carry(SLOTS), *batch())
    assert carry.z_h.grad_fn is None
    assert carry.z_l.grad_fn is None
    assert not carry.z_h.requires_grad
    assert not carry.z_l.requires_grad
    assert logits.requires_grad
    assert q.requires_grad


def test_answer_and_q_values_are_read_from_the_new_high_level_state() -> None:
    model = small(puzzle_emb_ndim=24)
    carry, logits, q = model(model.initial_carry(SLOTS), *batch())
    torch.testing.assert_close(logits, model.lm_head(carry.z_h[:, 2:]))
    torch.testing.assert_close(q, model.q_head(carry.z_h[:, 0]))
    assert carry.z_h.shape == carry.z_l.shape == (SLOTS, 2 + TOKENS, 16)
    assert logits.shape == (SLOTS, TOKENS, VOCABULARY)


def test_fresh_network_says_minus_five_to_halt_and_continue_whatever_it_sees() -> None:
    model = build_model(ModelConfig(hidden_size=16, num_heads=2, h_layers=1, l_layers=1), VOCABULARY, BOARD)
    carry = model.initial_carry(SLOTS)
    for _ in range(3):
        carry, _, q = model(carry, *batch())
        assert torch.equal(q, torch.full((SLOTS, 2), -5.0))


def test_every_position_of_every_slot_starts_from_the_same_saved_untrained_state() -> None:
    model = small()
    carry = model.initial_carry(2)
    assert torch.equal(carry.z_h, model.h_init.expand(2, TOKENS, 16))
    assert torch.equal(carry.z_l, model.l_init.expand(2, TOKENS, 16))
    assert not torch.equal(model.h_init, model.l_init)
    assert {"h_init", "l_init"} <= model.state_dict().keys()
    assert not {"h_init", "l_init"} & dict(model.named_parameters()).keys()


def test_initial_states_have_unit_variance() -> None:
    model = small(hidden_size=512, expansion=0.1)
    both = torch.cat((model.h_init, model.l_init))
    assert float(both.std()) == pytest.approx(1.0, abs=4 / math.sqrt(2 * len(both)))


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_embedded_tokens_have_unit_variance(positions: str) -> None:
    model = build_model(
        ModelConfig(hidden_size=128, num_heads=2, h_layers=1, l_layers=1, pos_encodings=positions),
        500,
        grid(10, 20),
    )
    x = model.embed(torch.randint(0, 500, (8, 200)), torch.zeros(8, dtype=torch.int64))
    assert float(x.detach().std()) == pytest.approx(1.0, rel=0.03)


def test_tokens_are_embedded_times_root_of_the_width() -> None:
    model, (tokens, identifier) = small(), batch()
    torch.testing.assert_close(model.embed(tokens, identifier), 4 * model.embed_tokens.weight[tokens])


def test_learned_positions_are_added_with_puzzle_rows_included_and_the_variance_kept() -> None:
    model, (tokens, identifier) = small(pos_encodings="learned", puzzle_emb_ndim=16), batch()
    assert model.embed_pos.shape == (1 + TOKENS, 16)
    expected = 4 / math.sqrt(2) * (model.embed_tokens.weight[tokens] + model.embed_pos[1:])
    x = model.embed(tokens, identifier)
    torch.testing.assert_close(x[:, 1:], expected)
    torch.testing.assert_close(x[:, 0], (4 / math.sqrt(2) * model.embed_pos[0]).expand(SLOTS, 16))


def test_puzzle_rows_fill_whole_positions_before_the_tokens_padded_with_zeros() -> None:
    model, (tokens, identifier) = small(puzzle_emb_ndim=24), batch()
    model.puzzle_emb.weight.copy_(torch.arange(1.0, 4 * 24 + 1).view(4, 24))
    x = model.embed(tokens, identifier)
    assert model.prefix == 2
    assert x.shape == (SLOTS, 2 + TOKENS, 16)
    rows = model.puzzle_emb.weight[identifier]
    torch.testing.assert_close(x[:, 0], 4 * rows[:, :16])
    torch.testing.assert_close(x[:, 1, :8], 4 * rows[:, 16:])
    assert x[:, 1, 8:].abs().max() == 0
    torch.testing.assert_close(x[:, 2:], 4 * model.embed_tokens.weight[tokens])


def test_puzzle_rows_start_at_zero_and_get_a_gradient_although_they_are_no_parameter() -> None:
    model = small(puzzle_emb_ndim=16)
    assert model.puzzle_emb.weight.abs().max() == 0
    assert not any("puzzle_emb" in name for name, _ in model.named_parameters())
    _, logits, _ = model(model.initial_carry(SLOTS), *batch())
    logits.square().sum().backward()
    identifier, rows = model.puzzle_emb.looked_up
    assert torch.equal(identifier, batch()[1])
    assert rows.grad.abs().sum(-1).min() > 0
    assert not model.puzzle_emb.weight.requires_grad


def test_a_pass_without_gradient_leaves_the_rows_of_the_pass_with_gradient() -> None:
    model, (tokens, identifier) = small(puzzle_emb_ndim=16), batch()
    model(model.initial_carry(SLOTS), tokens, identifier)
    looked_up = model.puzzle_emb.looked_up
    with torch.no_grad():
        model(model.initial_carry(SLOTS), tokens, (identifier + 1) % 4)
    assert model.puzzle_emb.looked_up is looked_up


def test_slots_do_not_see_each_other() -> None:
    model, (tokens, identifier) = small(), batch()
    _, together, _ = model(model.initial_carry(SLOTS), tokens, identifier)
    for slot in range(SLOTS):
        _, alone, _ = model(model.initial_carry(1), tokens[slot : slot + 1], identifier[slot : slot + 1])
        torch.testing.assert_close(alone[0], together[slot])


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_the_network_can_tell_positions_apart(positions: str) -> None:
    model = small(pos_encodings=positions)
    tokens = torch.tensor([[1, 2, 3, 4, 5, 1, 2, 3, 4]])
    _, logits, _ = model(model.initial_carry(1), tokens, torch.zeros(1, dtype=torch.int64))
    _, flipped, _ = model(model.initial_carry(1), tokens.flip(1), torch.zeros(1, dtype=torch.int64))
    assert (logits - flipped.flip(1)).abs().max() > 0.01


def test_bfloat16_computes_close_to_float32_with_float32_weights_and_q_values() -> None:
    full, half = small(puzzle_emb_ndim=16), small(puzzle_emb_ndim=16, dtype="bfloat16")
    half.load_state_dict(full.state_dict())
    carry, logits, q = half(half.initial_carry(SLOTS), *batch())
    expected_carry, expected, expected_q = full(full.initial_carry(SLOTS), *batch())
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    assert (carry.z_h.dtype, carry.z_l.dtype, logits.dtype) == (torch.bfloat16,) * 3
    assert q.dtype == torch.float32
    torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.1)
    torch.testing.assert_close(q, expected_q, rtol=0.05, atol=0.2)
    torch.testing.assert_close(carry.z_h.float(), expected_carry.z_h, rtol=0.05, atol=0.1)
    (logits.float().square().sum() + q.sum()).backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in half.parameters())


def test_injection_is_added_to_the_state_before_the_blocks() -> None:
    model = small()
    state, injection = torch.randn(2, SLOTS, TOKENS, 16).unbind()
    by = (model.rope_cos, model.rope_sin)
    block = model.l_level.layers[0]
    torch.testing.assert_close(model.l_level(state, injection, by), block(state + injection, by))
    assert len(small(h_layers=3).h_level.layers) == 3


def test_replaced_rows_come_from_the_other_carry_and_the_rest_stay() -> None:
    mine, other = (Carry(*torch.randn(2, 4, 3, 2).unbind()) for _ in range(2))
    mixed = mine.replace_rows(torch.tensor([True, False, False, True]), other)
    for state, kept, taken in (
        (mixed.z_h, mine.z_h, other.z_h),
        (mixed.z_l, mine.z_l, other.z_l),
    ):
        assert torch.equal(state[[0, 3]], taken[[0, 3]])
        assert torch.equal(state[[1, 2]], kept[[1, 2]])


def test_a_row_is_finite_only_if_both_states_are() -> None:
    carry = Carry(torch.zeros(4, 3, 2), torch.zeros(4, 3, 2))
    carry.z_h[1, 2, 0], carry.z_l[2, 0, 1] = torch.nan, torch.inf
    assert carry.finite_rows().tolist() == [True, False, False, True]
    assert carry.select(carry.finite_rows()).z_h.shape == (2, 3, 2)


def test_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="unknown model 'hmr'; did you mean 'hrm'"):
        build_model(ModelConfig(name="hmr"), VOCABULARY, BOARD)


def test_all_states_leave_a_segment_normalised() -> None:
    model: nn.Module = small()
    carry, _, _ = model(model.initial_carry(SLOTS), *batch())
    for state in (carry.z_h, carry.z_l):
        torch.testing.assert_close(add_norm(state, torch.zeros_like(state)), state, rtol=1e-3, atol=1e-4)
