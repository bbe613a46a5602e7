"""Tracing: what is seen is what the network does, and nothing is left behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hrm_rl.models.layers.attention import Attention
from hrm_rl.models.tracing import Place, trace, updates_of
from tests.helpers.small_models import SLOTS, TOKENS, batch, small

MODELS = {
    "hrm": {"name": "hrm", "h_cycles": 2, "l_cycles": 3},
    "trm": {"name": "trm", "h_cycles": 3, "l_cycles": 2},
    "transformer": {"name": "transformer", "h_cycles": 2, "l_cycles": 2},
    "mlp": {"name": "trm", "mixer": "mlp", "pos_encodings": "none"},
    "prefix": {"name": "hrm", "puzzle_emb_ndim": 16, "puzzle_emb_len": 2},
    "axial": {"name": "hrm", "pos_encodings": "axial", "l_layers": 2},
    "shared keys": {"name": "hrm", "num_heads": 4, "num_kv_heads": 2},
    "causal": {"name": "transformer", "causal": True},
}


def hooks(model: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("name", MODELS)
def test_every_update_is_seen_once_in_order_and_the_last_ones_are_the_carry(name: str) -> None:
    model = small(**MODELS[name])
    places = updates_of(model)
    config = model.config
    each = 1 if not model.has_low_level else config.l_cycles + 1
    assert len(places) == config.h_cycles * (each if model.has_low_level else config.l_cycles)
    carry = model.initial_carry(SLOTS)
    with torch.no_grad(), trace(model, attention=SLOTS) as seen:
        for segment in (1, 2):
            carry, _, _ = model(carry, *batch())
            updates = seen.take()
            assert [u.place for u in updates] == places
            assert {u.segment for u in updates} == {segment}
            last = {u.place.level: u.state for u in updates}
            assert torch.equal(last["h"], carry.z_h)
            if model.has_low_level:
                assert torch.equal(last["l"], carry.z_l)
            for update in updates:
                assert update.state.shape == (SLOTS, model.positions, config.hidden_size)
    assert seen.take() == []


def test_cycles_and_levels_are_those_of_the_paper() -> None:
    model = small(name="hrm", h_cycles=2, l_cycles=2)
    assert updates_of(model) == [
        Place("l", 1, 1), Place("l", 1, 2), Place("h", 1, 1), Place("l", 2, 1), Place("l", 2, 2),
        Place("h", 2, 1),
    ]  # fmt: skip
    assert str(Place("l", 1, 2)) == "z_l 1.2"


@pytest.mark.parametrize("name", MODELS)
def test_attention_maps_have_a_layer_a_head_and_rows_that_add_up_to_one(name: str) -> None:
    model = small(**MODELS[name])
    with torch.no_grad(), trace(model, attention=SLOTS) as seen:
        model(model.initial_carry(SLOTS), *batch())
    for update in seen.take():
        if model.config.mixer != "attention":
            assert update.attention == ()
            continue
        level = (
            getattr(model, f"{update.place.level}_level", None)
            or getattr(model, "level", None)
            or model.l_level
        )
        assert len(update.attention) == len(level.layers)
        for weights in update.attention:
            shape = (SLOTS, model.config.num_heads, model.positions, model.positions)
            assert weights.shape == shape
            torch.testing.assert_close(weights.sum(-1), torch.ones(shape[:-1]))
            if model.config.causal:
                assert weights.triu(1).abs().max() == 0


@pytest.mark.parametrize("name", [n for n in MODELS if n != "mlp"])
def test_a_map_applied_to_the_values_is_what_attention_gives(name: str) -> None:
    """So that a change of the layers' inner working cannot leave the maps behind."""
    model = small(**MODELS[name])
    inputs: list[tuple[Attention, Tensor, Tensor]] = []
    for module in model.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(lambda m, args, out: inputs.append((m, args[0], out)))
    with torch.no_grad(), trace(model, attention=SLOTS) as seen:
        model(model.initial_carry(SLOTS), *batch())
        maps = [weights for update in seen.take() for weights in update.attention]
        assert len(maps) == len(inputs)
        for weights, (module, x, out) in zip(maps, inputs, strict=True):
            width = x.shape[-1] // module.num_heads
            value = module.qkv_proj(x).view(*x.shape[:2], -1, width)[:, :, -module.num_kv_heads :]
            value = value.repeat_interleave(module.num_heads // module.num_kv_heads, 2).transpose(1, 2)
            expected = module.o_proj((weights @ value).transpose(1, 2).reshape(x.shape))
            torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


def test_maps_are_kept_of_as_many_slots_as_asked_for() -> None:
    model = small()
    with torch.no_grad(), trace(model, attention=1) as seen:
        model(model.initial_carry(SLOTS), *batch())
    assert {len(weights) for update in seen.take() for weights in update.attention} == {1}


@pytest.mark.parametrize("name", MODELS)
def test_nothing_changes_and_nothing_is_left_behind(name: str) -> None:
    model = small(**MODELS[name])
    assert hooks(model) == 0
    with torch.no_grad():
        expected = model(model.initial_carry(SLOTS), *batch())
        with trace(model, attention=SLOTS):
            found = model(model.initial_carry(SLOTS), *batch())
            assert hooks(model) > 0
        assert hooks(model) == 0
        with pytest.raises(KeyError), trace(model):
            raise KeyError
    assert hooks(model) == 0
    assert torch.equal(found[1], expected[1])
    assert torch.equal(found[2], expected[2])
    assert TOKENS + model.prefix == model.positions
