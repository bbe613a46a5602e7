"""The interfaces of others: upstream's ACT model against the golden trace and against
our parts, the (N, T) form."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hrm_rl.agents.act import halting
from hrm_rl.agents.act.losses import losses
from hrm_rl.agents.optim import AdamATan2
from hrm_rl.compat import (
    ACTV1Carry,
    CastedSparseEmbeddingSignSGD_Distributed,
    DeepSupervisionTrainer,
    HierarchicalReasoningModel,
    HRMACTv1,
)
from hrm_rl.compat.continuous import loss_of
from hrm_rl.config import HaltingConfig
from hrm_rl.utils.errors import UserError
from tests.agents.test_parity import GOLDEN, GRADIENT_TOLERANCE, LOSS_TOLERANCE, fill_by_rule, reference_name
from tests.helpers.paths import ROOT

CONFIG: dict[str, Any] = GOLDEN["config"]


def golden_batch() -> dict[str, Tensor]:
    return {key: torch.tensor(GOLDEN[key]) for key in ("inputs", "labels", "puzzle_identifiers")}


def small(**changes: Any) -> HRMACTv1:
    torch.manual_seed(0)
    model = HRMACTv1({**CONFIG, "num_puzzle_identifiers": 5, "seq_len": 6, "vocab_size": 7, **changes})
    with torch.no_grad():
        model.inner.q_head.weight.normal_()
        model.inner.q_head.bias.zero_()
    return model


def small_batch(seed: int, slots: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "inputs": torch.randint(0, 7, (slots, 6), generator=generator, dtype=torch.int32),
        "puzzle_identifiers": torch.randint(0, 5, (slots,), generator=generator, dtype=torch.int32),
    }


@pytest.mark.parametrize("loss", ["stablemax_cross_entropy", "softmax_cross_entropy"])
def test_the_golden_trace_passes_through_upstreams_interface(loss: str) -> None:
    """Upstream's training loop, line by line, with this project's losses and AdamATan2."""
    model = HRMACTv1(CONFIG)
    fill_by_rule(model.inner)
    model.train()
    optimizers = [
        CastedSparseEmbeddingSignSGD_Distributed(
            model.puzzle_emb.buffers(),
            lr=GOLDEN["puzzle_emb_lr"],
            weight_decay=GOLDEN["weight_decay"],
            world_size=1,
        ),
        AdamATan2(model.parameters(), GOLDEN["lr"], tuple(GOLDEN["betas"]), GOLDEN["weight_decay"]),
    ]
    batch = golden_batch()
    carry = model.initial_carry(batch)
    for expected in GOLDEN[loss]["trace"]:
        carry, outputs = model(carry, batch)
        labels = carry.current_data["labels"]
        q = torch.stack((outputs["q_halt_logits"], outputs["q_continue_logits"]), dim=1)
        right = ((outputs["logits"].argmax(-1) == labels) | (labels == -100)).all(-1)
        result = losses(outputs["logits"], labels, q, right, outputs["target_q_continue"], loss.split("_")[0])
        (result.total / len(labels)).backward()
        assert carry.steps.tolist() == expected["segments"]
        assert carry.halted.tolist() == expected["halted"]
        for name, value in {"loss": result.total, "lm_loss": result.lm, "q_halt_loss": result.q_halt,
                            "q_continue_loss": result.q_continue}.items():  # fmt: skip
            assert float(value.detach()) == pytest.approx(expected[name], rel=LOSS_TOLERANCE), name
        np.testing.assert_allclose(
            outputs["target_q_continue"], expected["target_q_continue"], rtol=1e-4, atol=1e-4
        )
        norms = {reference_name(n): float(p.grad.norm()) for n, p in model.inner.named_parameters()}
        assert norms.keys() == expected["grad_norms"].keys()
        for name, norm in expected["grad_norms"].items():
            assert norms[name] == pytest.approx(norm, rel=GRADIENT_TOLERANCE), name
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    for name, tensor in model.inner.state_dict().items():
        total = GOLDEN[loss]["weight_abs_sums_after"][reference_name(name)]
        assert float(tensor.abs().sum()) == pytest.approx(total, rel=LOSS_TOLERANCE), name


def test_halted_slots_take_the_new_batchs_rows_and_begin_anew_the_others_think_on() -> None:
    model = small(halt_max_steps=5).train()
    first, second = small_batch(1), small_batch(2)
    carry, _ = model(model.initial_carry(first), first)
    halted = torch.tensor([True, False, True, False])
    carry = ACTV1Carry(carry.inner_carry, carry.steps, halted, carry.current_data)
    after, outputs = model(carry, second)
    for key in first:
        rows = halted.view(-1, 1) if first[key].ndim == 2 else halted
        assert torch.equal(after.current_data[key], torch.where(rows, second[key], first[key]))
    assert after.steps.tolist() == [1, 2, 1, 2]
    fresh = model(model.initial_carry(second), second)[1]["logits"]
    assert torch.allclose(outputs["logits"][halted], fresh[halted], atol=1e-6)
    assert not torch.allclose(outputs["logits"][~halted], fresh[~halted], atol=1e-3)


def test_in_evaluation_every_slot_runs_to_the_budget_and_there_are_no_targets() -> None:
    model = small(halt_max_steps=3).eval()
    batch = small_batch(1, slots=16)
    carry = model.initial_carry(batch)
    assert carry.halted.all()
    for expected in [False, False, True] * 2:
        carry, outputs = model(carry, batch)
        assert carry.halted.tolist() == [expected] * 16
        assert set(outputs) == {"logits", "q_halt_logits", "q_continue_logits"}


def test_in_training_slots_halt_by_their_q_values_unless_exploration_forbids_it() -> None:
    batch = small_batch(1, slots=64)
    for probability in (0.0, 1.0):
        model = small(halt_max_steps=4, halt_exploration_prob=probability).train()
        carry, outputs = model(model.initial_carry(batch), batch)
        wants_to = outputs["q_halt_logits"] > outputs["q_continue_logits"]
        assert 0 < wants_to.sum() < 64
        assert torch.equal(carry.halted, wants_to if probability == 0 else torch.zeros_like(wants_to))


def test_exploration_is_that_of_halting_with_the_same_random_numbers() -> None:
    model = small(halt_max_steps=4, halt_exploration_prob=0.5).train()
    batch = small_batch(1, slots=256)
    start = model.initial_carry(batch)
    generator = torch.Generator()
    generator.set_state(torch.get_rng_state())
    carry, outputs = model(start, batch)
    config = HaltingConfig(halt_max_steps=4, halt_exploration_prob=0.5)
    for segment in (1, 2):  # exploration is drawn anew at each
        floor = halting.explore(torch.zeros(256, dtype=torch.int64), carry.steps, config, generator)
        wants_to = outputs["q_halt_logits"] > outputs["q_continue_logits"]
        held_back = wants_to & (carry.steps < floor)
        assert torch.equal(carry.halted, wants_to & ~held_back)
        assert 0 < held_back.sum() < wants_to.sum()
        if segment == 1:
            carry, outputs = model(carry, batch)
    assert torch.equal(torch.get_rng_state(), generator.get_state())


@pytest.mark.parametrize("prefix", ["", "inner.", "_orig_mod.model.inner.", "module.model._orig_mod.inner."])
def test_a_state_dict_with_upstreams_names_loads(prefix: str) -> None:
    model, other = HRMACTv1(CONFIG), HRMACTv1(CONFIG)
    fill_by_rule(model.inner)
    state = {prefix + reference_name(name): value for name, value in model.inner.state_dict().items()}
    assert prefix + "H_level.layers.0.self_attn.qkv_proj.weight" in state
    names = set(state)
    other.load_state_dict(state)
    assert set(state) == names, "the caller's own is left alone"
    assert_same_weights(model, other)


def test_a_state_dict_with_our_names_loads_and_one_of_a_module_around_the_model_does() -> None:
    model, other = HRMACTv1(CONFIG), HRMACTv1(CONFIG)
    fill_by_rule(model.inner)
    other.load_state_dict(model.state_dict())
    assert_same_weights(model, other)
    around = nn.ModuleDict({"model": HRMACTv1(CONFIG)})  # upstream's loss head
    around.load_state_dict(
        {f"model.inner.{reference_name(name)}": value for name, value in model.inner.state_dict().items()}
    )
    assert_same_weights(model, around["model"])


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    values = other.state_dict()
    assert all(torch.equal(value, values[name]) for name, value in one.state_dict().items())


def test_missing_and_unexpected_keys_of_a_state_dict_are_still_reported() -> None:
    model = HRMACTv1(CONFIG)
    state = {reference_name(name): value for name, value in model.inner.state_dict().items()}
    del state["H_init"]
    state["H_level.layers.0.norm.weight"] = torch.zeros(2)
    found = model.load_state_dict(state, strict=False)
    assert found.missing_keys == ["inner.h_init"]
    assert found.unexpected_keys == ["H_level.layers.0.norm.weight"]
    with pytest.raises(RuntimeError, match=r"inner\.h_init"):
        model.load_state_dict(state)
    with pytest.raises(UserError, match=r"'L_init' and 'inner\.l_init', the same weight"):
        model.load_state_dict({**state, "inner.l_init": state["L_init"]})


def test_with_a_budget_of_one_segment_there_is_no_target() -> None:
    model = small(halt_max_steps=1).train()
    batch = small_batch(1)
    carry, outputs = model(model.initial_carry(batch), batch)
    assert carry.halted.all()
    assert "target_q_continue" not in outputs


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"H_cycle": 2}, "unknown configuration key 'H_cycle'; did you mean 'H_cycles'?"),
        ({"hidden_size": None}, "the configuration lacks hidden_size"),
        ({"pos_encodings": "sinus"}, "pos_encodings"),
        ({"rms_norm_eps": 1e-6}, "rms_norm_eps"),
        ({"num_heads": 5}, "num_heads=5 does not divide"),
        ({"forward_dtype": "float64"}, "forward_dtype"),
    ],
)
def test_wrong_configurations_are_refused_by_name(change: dict[str, Any], part: str) -> None:
    config = {k: v for k, v in {**CONFIG, **change}.items() if v is not None}
    with pytest.raises(UserError) as error:
        HRMACTv1(config)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_the_sparse_optimiser_sums_equal_rows_takes_a_sign_step_and_leaves_others_alone() -> None:
    model = small(puzzle_emb_ndim=32).train()
    optimizer = CastedSparseEmbeddingSignSGD_Distributed(
        model.puzzle_emb.buffers(), world_size=1, lr=0.1, weight_decay=0.5
    )
    weight = model.puzzle_emb.weights
    weight.normal_()
    before = weight.clone()
    batch = {**small_batch(1), "puzzle_identifiers": torch.tensor([3, 1, 3, 3])}
    model(model.initial_carry(batch), batch)[1]["logits"].square().sum().backward()
    identifier, rows = model.inner.puzzle_emb.looked_up
    optimizer.step()
    for row in range(5):
        grad = rows.grad[identifier == row].sum(0)
        expected = before[row] * (1 - 0.1 * 0.5) - 0.1 * grad.sign() if row in (1, 3) else before[row]
        assert torch.allclose(weight[row], expected)


def test_the_sparse_optimiser_says_what_it_takes() -> None:
    with pytest.raises(UserError, match=r"puzzle_emb\.buffers\(\)"):
        CastedSparseEmbeddingSignSGD_Distributed([torch.zeros(2, 2)], world_size=1)
    model = small(puzzle_emb_ndim=32)
    optimizer = CastedSparseEmbeddingSignSGD_Distributed(model.puzzle_emb.buffers(), world_size=2)
    with pytest.raises(UserError, match="world_size=2, there are 1 ranks"):
        optimizer.step()


def test_the_sparse_optimiser_says_what_has_to_come_before_its_step() -> None:
    model = small(puzzle_emb_ndim=32).train()
    optimizer = CastedSparseEmbeddingSignSGD_Distributed(model.puzzle_emb.buffers(), world_size=1)
    with pytest.raises(UserError, match=r"step\(\) before a forward pass"):
        optimizer.step()
    model(model.initial_carry(small_batch(1)), small_batch(1))
    with pytest.raises(UserError, match=r"step\(\) before backward\(\)"):
        optimizer.step()


def nt_model(N: int = 3, T: int = 2) -> HierarchicalReasoningModel:
    torch.manual_seed(0)
    return HierarchicalReasoningModel(4, 16, 3, N, T, num_transformer_layers=1, num_heads=2)


def test_a_segment_is_n_cycles_of_t_low_level_updates_and_one_high_level_update() -> None:
    model, calls = nt_model(N=3, T=2), []
    model.high_level_module.register_forward_hook(lambda *_: calls.append("h"))
    model.low_level_module.register_forward_hook(lambda *_: calls.append("l"))
    (z_h, z_l), output = model(torch.randn(5, 7, 4))
    assert "".join(calls) == "llh" * 3
    assert z_h.shape == z_l.shape == (5, 7, 16)
    assert output.shape == (5, 7, 3)


def test_the_nt_forms_gradient_is_that_of_the_last_update_of_each_level_and_its_states_are_detached() -> None:
    model, x = nt_model(), torch.randn(5, 7, 4)
    before: list[tuple[Tensor, ...]] = []
    model.low_level_module.register_forward_pre_hook(lambda _, inputs: before.append(inputs))
    states, output = model(x)
    assert not any(state.requires_grad for state in states)
    output.square().sum().backward()

    alone = copy.deepcopy(model)
    alone.zero_grad()
    z_l, injection, by = before[-1]
    z_h = (injection - model.input_embedding(x)).detach()
    z_l = alone.low_level_module(z_l.detach(), z_h + alone.input_embedding(x), by)
    alone.output_head(alone.high_level_module(z_h, z_l, by)).square().sum().backward()
    for (name, one), other in zip(model.named_parameters(), alone.parameters(), strict=True):
        assert one.grad.norm() > 0, name
        assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-4), name


def test_the_trainer_takes_one_step_a_segment_and_hands_the_states_on() -> None:
    model, x, y = nt_model(), torch.randn(5, 7, 4), torch.randn(5, 7, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    steps: list[None] = []
    optimizer.register_step_post_hook(lambda *_: steps.append(None))
    reference = copy.deepcopy(model)
    metrics = DeepSupervisionTrainer(model, 3).train_step(x, y, nn.MSELoss(), optimizer, max_grad_norm=0)
    assert len(steps) == len(metrics["segment_losses"]) == 3
    assert metrics["average_loss"] == pytest.approx(metrics["total_loss"] / 3)

    other, states = torch.optim.SGD(reference.parameters(), lr=1e-2), None
    for expected in metrics["segment_losses"]:
        states, output = reference(x, states)
        loss = nn.functional.mse_loss(output, y)
        assert float(loss.detach()) == pytest.approx(expected)
        other.zero_grad()
        loss.backward()
        other.step()
    assert torch.allclose(metrics["states"][0], states[0], atol=1e-6)


def test_the_nt_form_learns_a_regression() -> None:
    model = nt_model()
    x = torch.randn(64, 5, 4)
    y = torch.stack((x[..., 0], x.mean(1, keepdim=True).expand_as(x)[..., 1], x[..., 2].abs()), -1)
    trainer = DeepSupervisionTrainer(model, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    first = trainer.validate_step(x, y, nn.MSELoss())
    for _ in range(60):
        trainer.train_step(x, y, nn.MSELoss(), optimizer)
    last = trainer.validate_step(x, y, nn.MSELoss())
    assert last["loss"] < 0.1 * first["loss"]
    assert last["accuracy"] is None


def test_the_nt_form_learns_a_classification() -> None:
    model = nt_model()
    x = torch.randn(128, 1, 4)
    y = (x[:, 0, 0] > 0).long() + (x[:, 0, 1] > 0).long()
    trainer = DeepSupervisionTrainer(model, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(40):
        trainer.train_step(x, y, nn.CrossEntropyLoss(), optimizer)
    assert trainer.validate_step(x, y, nn.CrossEntropyLoss())["accuracy"] > 0.9


def test_targets_that_a_criterion_would_broadcast_are_refused() -> None:
    output = torch.randn(4, 4, 1)
    with pytest.raises(UserError, match=r"y \(4, 4\) has not the shape of the output, \(4, 4, 1\)"):
        loss_of(nn.MSELoss(), output, torch.randn(4, 4))
    for y in (torch.randn(1, 4, 1), torch.randn(4), torch.randn(4, 4, 3), torch.tensor([1])):
        with pytest.raises(UserError):
            loss_of(nn.MSELoss(), output, y)
    y = torch.randn(4, 1, 3)
    predicted = torch.randn(4, 1, 3)
    assert loss_of(nn.MSELoss(), predicted, y[:, 0]) == loss_of(nn.MSELoss(), predicted, y)
    classes = torch.tensor([0, 2, 1, 1])
    assert loss_of(nn.CrossEntropyLoss(), predicted, classes) == nn.CrossEntropyLoss()(
        predicted[:, 0], classes
    )


def test_sizes_that_do_not_fit_are_refused_in_one_line() -> None:
    for wrong, part in (
        ({"N": 0}, "N=0 must be at least 1"),
        ({"hidden_dim": 0}, "hidden_dim=0 must be at least 1"),
        ({"num_heads": 0, "T": -1}, "T=-1 must be at least 1, num_heads=0 must be at least 1"),
        ({"expansion": 0}, "expansion=0 must be above 0"),
        ({"expansion": float("inf")}, "expansion: "),
        ({"hidden_dim": 16.5}, "hidden_dim: "),
        ({"num_heads": 3}, "num_heads=3 does not divide hidden_dim=16"),
    ):
        with pytest.raises(UserError) as error:
            HierarchicalReasoningModel(
                **{"input_dim": 4, "hidden_dim": 16, "output_dim": 3, "N": 1, "T": 1, **wrong}
            )
        assert part in str(error.value)
        assert "\n" not in str(error.value)


def test_the_code_of_the_documentation_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join((ROOT / "docs" / page).read_text() for page in ("guides/export.md", "compatibility.md"))
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 3
    small(seq_len=16, vocab_size=6).inner.save_pretrained(tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    for code in blocks:
        exec(code, {"torch": torch})
