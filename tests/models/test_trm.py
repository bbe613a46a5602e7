"""The Tiny Recursive Model: one network for both levels, the last cycle with gradient,
the mixer over positions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hrm_rl.config import ModelConfig
from hrm_rl.models import TRM, RecurrentModel, build_model
from hrm_rl.models.layers.block import Block
from tests.helpers.small_models import (
    BOARD,
    SLOTS,
    TOKENS,
    VOCABULARY,
    assert_close,
    batch,
    gradients,
    in_float64,
    objective,
    small,
    trained,
)

VARIANTS: dict[str, dict[str, object]] = {
    "attention": {"mixer": "attention"},
    "mlp": {"mixer": "mlp", "pos_encodings": "none"},
}


def rms(x: Tensor) -> Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5)


def swiglu(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    gate, up = (x @ weights[f"{name}.gate_up_proj.weight"].T).chunk(2, -1)
    return (F.silu(gate) * up) @ weights[f"{name}.down_proj.weight"].T


def attention(x: Tensor, weights: dict[str, Tensor], name: str, heads: int = 2) -> Tensor:
    """Without positions."""
    slots, positions, width = x.shape
    split = (x @ weights[f"{name}.qkv_proj.weight"].T).view(slots, positions, 3, heads, width // heads)
    query, key, value = split.permute(2, 0, 3, 1, 4)
    scores = torch.softmax(query @ key.mT / (width // heads) ** 0.5, -1)
    return (scores @ value).transpose(1, 2).reshape(x.shape) @ weights[f"{name}.o_proj.weight"].T


def reference(
    w: dict[str, Tensor],
    tokens: Tensor,
    prefix: int,
    layers: int,
    h_cycles: int,
    l_cycles: int,
    segments: int,
) -> list[tuple[Tensor, Tensor]]:
    """TRM as in its paper, written out from the equations alone: logits and q of each segment. Between
    segments, and before the last cycle of each, the states are cut off from the graph."""
    width = w["h_init"].shape[0]
    x = width**0.5 * w["embed_tokens.weight"][tokens]
    x = torch.cat((torch.zeros(len(tokens), prefix, width, dtype=x.dtype), x), 1)

    def net(state: Tensor, injection: Tensor) -> Tensor:
        z = state + injection
        for i in range(layers):
            block = f"l_level.layers.{i}"
            if f"{block}.mlp_t.gate_up_proj.weight" in w:
                z = z.transpose(1, 2)
                z = rms(z + swiglu(z, w, f"{block}.mlp_t")).transpose(1, 2)
            else:
                z = rms(z + attention(z, w, f"{block}.self_attn"))
            z = rms(z + swiglu(z, w, f"{block}.mlp"))
        return z

    answer, latent = (w[name].expand(x.shape) for name in ("h_init", "l_init"))
    outputs = []
    for _ in range(segments):
        for _ in range(h_cycles):
            answer, latent = answer.detach(), latent.detach()
            for _ in range(l_cycles):
                latent = net(latent, answer + x)
            answer = net(answer, latent)
        outputs.append(
            (
                answer[:, prefix:] @ w["lm_head.weight"].T,
                answer[:, 0] @ w["q_head.weight"].T + w["q_head.bias"],
            )
        )
    return outputs


@pytest.mark.parametrize("variant", VARIANTS)
def test_three_segments_and_their_gradients_are_those_of_the_papers_equations(variant: str) -> None:
    """In float64, so that only a wrong formula can differ. Without positions, which have their own tests."""
    shape = {"l_layers": 2, "h_cycles": 3, "l_cycles": 2, "puzzle_emb_ndim": 16, "puzzle_emb_len": 4}
    model = in_float64(small("trm", **VARIANTS[variant] | shape | {"pos_encodings": "none"}))
    weights = {name: value.detach().clone().requires_grad_() for name, value in model.state_dict().items()}
    expected = reference(weights, batch()[0], prefix=4, layers=2, h_cycles=3, l_cycles=2, segments=3)
    carry = model.initial_carry(SLOTS)
    for logits, q in expected:
        carry, found_logits, found_q = model(carry, *batch())
        torch.testing.assert_close(found_logits, logits)
        torch.testing.assert_close(found_q, q)
        objective(found_logits, found_q).backward()
    sum(objective(logits, q) for logits, q in expected).backward()
    assert_close(
        gradients(model), {name: weights[name].grad for name, _ in model.named_parameters()}, 1e-9, 1e-9
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_there_is_one_network_with_the_references_names(variant: str) -> None:
    names = small("trm", h_layers=3, l_layers=2, **VARIANTS[variant]).state_dict().keys()
    assert not any(name.startswith("h_level") for name in names)
    assert {name.split(".")[2] for name in names if name.startswith("l_level")} == {"0", "1"}
    mixer = {"attention": "self_attn", "mlp": "mlp_t"}[variant]
    assert {name.split(".")[3] for name in names if name.startswith("l_level")} == {mixer, "mlp"}


def test_whole_last_cycle_runs_with_gradient_unless_asked_otherwise() -> None:
    default, cycle = small("trm", l_cycles=3), small("trm", l_cycles=3, gradient="last_cycle")
    assert_close(trained(default)[1], trained(cycle)[1], rtol=0, atol=0)
    shorter = trained(small("trm", l_cycles=3, gradient="one_step"))[1]
    name = "l_level.layers.0.mlp.down_proj.weight"
    assert not torch.allclose(shorter[name], trained(default)[1][name], rtol=1e-2)


def test_sixteen_puzzle_positions_hold_one_row_and_zeros() -> None:
    model = small("trm", puzzle_emb_ndim=16, puzzle_emb_len=16)
    model.puzzle_emb.weight.normal_()
    tokens, identifier = batch()
    x = model.embed(tokens, identifier)
    assert x.shape == (SLOTS, 16 + TOKENS, 16)
    torch.testing.assert_close(x[:, 0], 4 * model.puzzle_emb.weight[identifier])
    assert x[:, 1:16].abs().max() == 0
    carry, logits, _ = model(model.initial_carry(SLOTS), tokens, identifier)
    assert carry.z_h.shape == carry.z_l.shape == (SLOTS, 16 + TOKENS, 16)
    assert logits.shape == (SLOTS, TOKENS, VOCABULARY)


def mixer_block() -> Block:
    torch.manual_seed(0)
    config = ModelConfig(hidden_size=16, num_heads=2, swiglu_multiple=16, mixer="mlp", pos_encodings="none")
    return Block(config, positions=TOKENS)


def test_mixer_is_swiglu_over_the_positions_of_each_number_alone() -> None:
    block, x = mixer_block(), torch.randn(2, TOKENS, 16)
    weights = {f"mlp_t.{k}": v for k, v in block.mlp_t.state_dict().items()}
    for number in range(16):
        column = x[:, :, number]
        torch.testing.assert_close(
            block.mlp_t(x.transpose(1, 2))[:, number], swiglu(column, weights, "mlp_t"), rtol=1e-5, atol=1e-5
        )
    changed = x.clone()
    changed[:, 3, 5] += 1.0
    difference = (block.mlp_t(changed.transpose(1, 2)) - block.mlp_t(x.transpose(1, 2))).abs()
    assert difference[:, 5].min() > 0, "a cell must reach all positions"
    assert difference[:, [i for i in range(16) if i != 5]].max() == 0, "numbers must not mix"


def test_mixer_tells_positions_apart_without_encodings() -> None:
    model = small("trm", mixer="mlp", pos_encodings="none")
    tokens, identifier = batch()
    _, logits, _ = model(model.initial_carry(SLOTS), tokens, identifier)
    _, flipped, _ = model(model.initial_carry(SLOTS), tokens.flip(1), identifier)
    assert (logits - flipped.flip(1)).abs().max() > 0.01


@pytest.mark.parametrize("variant", VARIANTS)
def test_bfloat16_computes_close_to_float32(variant: str) -> None:
    full, half = small("trm", **VARIANTS[variant]), small("trm", dtype="bfloat16", **VARIANTS[variant])
    carry, logits, q = half(half.initial_carry(SLOTS), *batch())
    _, expected, expected_q = full(full.initial_carry(SLOTS), *batch())
    assert (carry.z_h.dtype, carry.z_l.dtype, logits.dtype, q.dtype) == (torch.bfloat16,) * 3 + (
        torch.float32,
    )
    torch.testing.assert_close(logits.float(), expected, rtol=0.1, atol=0.2)
    torch.testing.assert_close(q, expected_q, rtol=0.1, atol=0.3)
    objective(logits, q).backward()
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients(half).values())


def test_equal_seeds_give_equal_networks_and_different_seeds_do_not() -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        model: RecurrentModel = build_model(ModelConfig(name="trm", l_layers=1), VOCABULARY, BOARD)
        assert isinstance(model, TRM)
        return model.state_dict()

    first = weights(1)
    assert_close(weights(1), first, rtol=0, atol=0)
    assert not torch.equal(weights(2)["embed_tokens.weight"], first["embed_tokens.weight"])
