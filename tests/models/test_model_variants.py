"""What every network can be given: other gradients, grouped-query and causal attention, dropout, a cls token,
activation checkpointing. Each against its formula, written out here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from hrm_rl.config import ModelConfig
from hrm_rl.data.curriculum import CurriculumState
from hrm_rl.models import RecurrentModel
from hrm_rl.models.layers.attention import Attention
from hrm_rl.runs import checkpoint
from hrm_rl.runs.checkpoint import TrainingState
from tests.helpers.small_models import (
    SLOTS,
    TOKENS,
    assert_close,
    batch,
    gradients,
    in_float64,
    objective,
    small,
    trained,
)
from tests.helpers.tiny import assert_same, learner_tensors, tiny_config, tiny_learner

NAMES = ("hrm", "trm", "transformer")


def unrolled(model: RecurrentModel, kept: int) -> tuple[Tensor, Tensor]:
    """Logits and q of the first segment, all updates written out with gradient; only the last `kept` stay in
    the graph, since all that goes into the first of them is detached."""
    tokens, identifier = batch()
    by = (model.rope_cos, model.rope_sin)
    carry, c = model.initial_carry(SLOTS), model.config
    z_h, z_l = carry.z_h, carry.z_l
    updates = (
        [model.l_level] * c.l_cycles + [model.h_level if c.name == "hrm" else model.l_level]
    ) * c.h_cycles
    for i, level in enumerate(updates):
        x = model.embed(tokens, identifier)
        if i <= len(updates) - kept:
            z_h, z_l, x = z_h.detach(), z_l.detach(), x if i == len(updates) - kept else x.detach()
        if (i + 1) % (c.l_cycles + 1):
            z_l = level(z_l, z_h + x, by)
        else:
            z_h = level(z_h, z_l, by)
    return model.lm_head(z_h), model.q_head(z_h[:, 0])


@pytest.mark.parametrize("name", ["hrm", "trm"])
@pytest.mark.parametrize(("gradient", "kept"), [("one_step", 2), ("last_cycle", 4), ("full", 12)])
def test_gradient_is_that_of_the_unrolled_segment_cut_where_the_setting_says(
    name: str, gradient: str, kept: int
) -> None:
    """In float64, so that no other order of operations can hide a wrong cut."""
    model = in_float64(small(name, h_cycles=3, l_cycles=3, gradient=gradient))
    logits, q = unrolled(model, kept)
    objective(logits, q).backward()
    expected = gradients(model)
    model.zero_grad()
    carry, found_logits, found_q = model(model.initial_carry(SLOTS), *batch())
    torch.testing.assert_close(found_logits, logits)
    objective(found_logits, found_q).backward()
    assert_close(gradients(model), expected, rtol=1e-9, atol=1e-9)
    assert carry.z_h.grad_fn is None
    assert carry.z_l.grad_fn is None


@pytest.mark.parametrize("name", NAMES)
def test_longer_gradients_change_the_update_and_not_the_answer(name: str) -> None:
    runs = [trained(small(name, gradient=g), segments=1) for g in ("one_step", "last_cycle", "full")]
    for logits, _ in runs[1:]:
        torch.testing.assert_close(logits, runs[0][0])
    weight = "embed_tokens.weight"
    for i in range(2):
        assert not torch.allclose(runs[i][1][weight], runs[i + 1][1][weight], rtol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_no_setting_lets_a_pass_without_gradient_build_a_graph(name: str) -> None:
    model = small(name, gradient="full", checkpoint_activations=True)
    with torch.no_grad():
        _, logits, q = model(model.initial_carry(SLOTS), *batch())
    assert logits.grad_fn is None
    assert q.grad_fn is None


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_grouped_query_attention_is_attention_whose_keys_and_values_are_repeated(kv_heads: int) -> None:
    width, heads = 16, 4
    grouped, full = Attention(width, heads, kv_heads), Attention(width, heads)
    query, key, value = grouped.qkv_proj.weight.split((width, kv_heads * 4, kv_heads * 4))
    repeated = [w.view(kv_heads, 4, width).repeat_interleave(heads // kv_heads, 0).reshape(width, width)
                for w in (key, value)]  # fmt: skip
    with torch.no_grad():
        full.qkv_proj.weight.copy_(torch.cat((query, *repeated)))
        full.o_proj.weight.copy_(grouped.o_proj.weight)
    x = torch.randn(2, 5, width)
    torch.testing.assert_close(grouped(x, None), full(x, None))
    assert grouped.qkv_proj.weight.shape == ((heads + 2 * kv_heads) * 4, width)


def test_causal_attention_sees_nothing_behind() -> None:
    layer, x = Attention(16, 2, causal=True), torch.randn(1, 6, 16)
    changed = x.clone()
    changed[:, 3] += 1.0
    difference = (layer(changed, None) - layer(x, None)).abs().sum(-1)[0]
    assert difference[:3].max() == 0
    assert difference[3:].min() > 0


@pytest.mark.parametrize("prefix", ["none", "cls"])
def test_causal_network_reads_its_q_values_where_the_whole_puzzle_is_seen(prefix: str) -> None:
    model = small(causal=True, prefix=prefix)
    tokens, identifier = batch()
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 6
    _, logits, q = model(model.initial_carry(SLOTS), tokens, identifier)
    _, other_logits, other_q = model(model.initial_carry(SLOTS), changed, identifier)
    torch.testing.assert_close(logits[:, :-1], other_logits[:, :-1])
    assert (q - other_q).abs().min() > 0


@pytest.mark.parametrize("name", NAMES)
def test_cls_is_one_trained_token_before_the_board_from_which_q_is_read(name: str) -> None:
    model = small(name, prefix="cls")
    tokens, identifier = batch()
    x = model.embed(tokens, identifier)
    assert x.shape == (SLOTS, 1 + TOKENS, 16)
    torch.testing.assert_close(x[:, 0], (4 * model.cls_token).expand(SLOTS, 16))
    torch.testing.assert_close(x[:, 1:], 4 * model.embed_tokens.weight[tokens])
    carry, logits, q = model(model.initial_carry(SLOTS), tokens, identifier)
    assert logits.shape[1] == TOKENS
    torch.testing.assert_close(q, model.q_head(carry.z_h[:, 0]))
    q.sum().backward()
    assert model.cls_token.grad.abs().min() > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_activation_checkpointing_changes_no_bit_of_outputs_and_gradients(name: str, dropout: float) -> None:
    changes = {"gradient": "full", "dropout": dropout}
    expected, wanted = trained(small(name, **changes))
    found, checkpointed = trained(small(name, checkpoint_activations=True, **changes))
    assert torch.equal(found, expected)
    assert_close(checkpointed, wanted, rtol=0, atol=0)


def test_activation_checkpointing_keeps_less_for_the_backward_pass() -> None:
    def kept(checkpointing: bool) -> int:
        model, sizes = small(gradient="full", checkpoint_activations=checkpointing), [0]

        def pack(tensor: Tensor) -> Tensor:
            sizes[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(model.initial_carry(SLOTS), *batch())
        return sizes[0]

    assert kept(True) < kept(False) / 3


@pytest.mark.parametrize("name", NAMES)
def test_dropout_leaves_out_its_share_in_training_and_nothing_elsewhere(name: str) -> None:
    model, plain = small(name, dropout=0.5), small(name)
    carry = model.initial_carry(SLOTS)
    _, expected, _ = plain(carry, *batch())
    first, second = (model(carry, *batch())[1] for _ in range(2))
    assert not torch.allclose(first, expected)
    assert not torch.allclose(first, second)
    with torch.no_grad():  # the forward pass that estimates the next Q-values
        assert torch.equal(model(carry, *batch())[1], expected)
    assert torch.equal(model.eval()(carry, *batch())[1], expected)


def test_dropout_follows_from_the_seed_and_leaves_other_random_numbers_alone() -> None:
    def answers(seed: int) -> tuple[Tensor, Tensor]:
        model = small(seed=seed, dropout=0.5)
        torch.manual_seed(77)
        two = torch.stack([model(model.initial_carry(SLOTS), *batch())[1] for _ in range(2)])
        return two.detach(), torch.rand(3)

    first, rest = answers(0)
    assert torch.equal(answers(0)[0], first)
    torch.manual_seed(77)
    assert torch.equal(torch.rand(3), rest)
    stream = small(seed=0, dropout=0.5).dropout_stream
    assert not torch.equal(small(seed=1, dropout=0.5).dropout_stream, stream)


def test_dropout_goes_on_from_a_checkpoint_bit_for_bit() -> None:
    """Everything it needs is in the state dict."""
    model = small(dropout=0.5)
    for _ in range(3):
        model(model.initial_carry(SLOTS), *batch())
    stored = {name: value.clone() for name, value in model.state_dict().items()}
    expected = model(model.initial_carry(SLOTS), *batch())[1]
    torch.manual_seed(99)
    resumed = small(seed=5, dropout=0.5)
    resumed.load_state_dict(stored)
    assert torch.equal(resumed(resumed.initial_carry(SLOTS), *batch())[1], expected)
    assert "dropout_stream" not in small().state_dict()


RUNS = [
    pytest.param(
        {"name": "trm", "mixer": "mlp", "pos_encodings": "none", "puzzle_emb_ndim": 16, "puzzle_emb_len": 2},
        id="trm"
    ),
    pytest.param(
        {"name": "transformer", "gradient": "last_cycle", "pos_encodings": "axial", "hidden_size": 12,
         "dropout": 0.1},
        id="transformer",
    ),
    pytest.param(
        {"num_kv_heads": 1, "causal": True, "prefix": "cls", "gradient": "full",
        "checkpoint_activations": True,
         "dropout": 0.1},
        id="hrm",
    ),
]  # fmt: skip


@pytest.mark.parametrize("model", RUNS)
def test_a_run_that_is_resumed_ends_bit_for_bit_where_one_that_went_on_does(
    model: dict[str, object], tmp_path: Path
) -> None:
    config = tiny_config(model=model)
    learner, resumed = tiny_learner(config), tiny_learner(config)
    for _ in range(3):
        learner.update()
    state = TrainingState(3, 0, 1, 0, CurriculumState(), config, None)
    path = checkpoint.save(tmp_path, learner, state)
    torch.manual_seed(99)
    checkpoint.load(path, resumed)
    for one in (learner, resumed):
        for _ in range(3):
            one.update()
        assert one.optimisation.skipped_in_a_row == 0
    assert_same(learner_tensors(learner), learner_tensors(resumed))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_kv_heads": 3}, "num_kv_heads=3 does not divide num_heads=4; it could be 1, 2, 4"),
        ({"mixer": "mlp", "pos_encodings": "none", "num_kv_heads": 2}, "num_kv_heads=2 is for attention"),
        (
            {"mixer": "mlp", "pos_encodings": "none", "causal": True},
            "causal=True is for attention .* set causal to false",
        ),
        ({"prefix": "puzzle"}, "prefix=puzzle needs an embedding: set puzzle_emb_ndim, for example to 256"),
        (
            {"prefix": "cls", "puzzle_emb_ndim": 8},
            "prefix=cls leaves no place .* puzzle_emb_ndim=8 must be 0",
        ),
        ({"prefix": "none", "puzzle_emb_ndim": 8}, "prefix=none leaves no place"),
        ({"puzzle_emb_len": 2}, "puzzle_emb_len=2 needs an embedding to place: set puzzle_emb_ndim above 0"),
        (
            {"puzzle_emb_ndim": 600, "puzzle_emb_len": 2},
            "do not hold puzzle_emb_ndim=600; it must be at least 3",
        ),
        ({"dropout": 1.0}, "less than 1"),
        ({"gradient": "onestep"}, "'one_step', 'last_cycle' or 'full'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_line(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        ModelConfig.model_validate(settings)
    assert "\n" not in refused.value.errors()[0]["msg"]


def test_a_prefix_that_is_not_named_is_the_puzzle_where_there_is_an_embedding() -> None:
    assert ModelConfig().prefix_positions == 0
    assert ModelConfig(puzzle_emb_ndim=300).prefix_positions == 2
    assert ModelConfig(puzzle_emb_ndim=300, prefix="puzzle", puzzle_emb_len=16).prefix_positions == 16
    assert ModelConfig(prefix="cls").prefix_positions == 1
