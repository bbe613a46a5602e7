"""Ways to spend memory and compute on an update: slices of the slots, frozen weights, Muon, and the weights
that are evaluated in the end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.slots import slices
from hrm_rl.agents.build import build_learner
from hrm_rl.agents.optim import MuonWithAdamW
from hrm_rl.data.streams import build_data
from hrm_rl.utils.errors import UserError
from tests.helpers.learners import assert_resumes, decisive_learner
from tests.helpers.tiny import CPU, tiny_config, tiny_learner


def watch_gradients(learner: Learner) -> list[dict[str, Tensor]]:
    """The gradients that each update hands to the optimisers."""
    seen: list[dict[str, Tensor]] = []
    step = learner.optimisation.optimizer.step

    def recording() -> None:
        gradients = {n: p.grad.clone() for n, p in learner.model.named_parameters() if p.grad is not None}
        if learner.optimisation.sign_sgd is not None:
            gradients["puzzle_emb"] = learner.optimisation.sign_sgd.gradient()[1]
        seen.append(gradients)
        step()

    learner.optimisation.optimizer.step = recording  # type: ignore[method-assign]
    return seen


# Slices of the slots.


@given(st.integers(1, 50), st.integers(1, 60))
def test_slices_are_even_and_cover_every_slot_once(slots: int, count: int) -> None:
    found = slices(slots, count)
    assert [i for rows in found for i in range(rows.start, rows.stop)] == list(range(slots))
    sizes = [rows.stop - rows.start for rows in found]
    assert len(sizes) == min(slots, count)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("q_target", ["bootstrap", "delayed", "halt_only"])
@pytest.mark.parametrize("loss", ["softmax", "stablemax"])
def test_slices_add_up_to_the_gradient_of_the_whole(
    q_target: str, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In double precision throughout, so that nothing but the order of a sum may differ."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)

    def gradients(micro_batches: int) -> list[dict[str, Tensor]]:
        config = tiny_config(
            model={"puzzle_emb_ndim": 16, "pos_encodings": "learned"},
            halting={"q_target": q_target, "halt_max_steps": 4},
            optim={"grad_clip": 0.0, "ema_decay": 0.0},
            train={"global_batch_size": 7, "micro_batches": micro_batches, "loss": loss},
        )
        learner = decisive_learner(config)
        learner.model.double()
        learner.model.compute_dtype = torch.float64
        learner.start()
        seen = watch_gradients(learner)
        for _ in range(6):
            learner.update()
        return seen

    whole = gradients(1)
    for count in (3, 7):
        for found, expected in zip(gradients(count), whole, strict=True):
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-13, msg=name)


class Kept:
    """A tensor saved for the backward pass, counted as long as it lives."""

    alive = 0
    most = 0

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        Kept.alive += tensor.nbytes
        Kept.most = max(Kept.most, Kept.alive)

    def __del__(self) -> None:
        Kept.alive -= self.tensor.nbytes


def bytes_kept(micro_batches: int = 1, **sections: dict[str, Any]) -> int:
    """The most bytes that an update has saved for the backward pass at any time."""
    train = {"global_batch_size": 32, "micro_batches": micro_batches}
    learner = tiny_learner(tiny_config(train=train, **sections))
    weights = {p.data_ptr() for p in learner.optimisation.params}
    Kept.alive = Kept.most = 0

    def pack(tensor: Tensor) -> Any:
        return tensor if tensor.data_ptr() in weights else Kept(tensor)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: getattr(kept, "tensor", kept)):
        learner.update()
    return Kept.most


def test_slices_keep_their_share_of_the_activations() -> None:
    whole = bytes_kept(1)
    assert bytes_kept(4) < 0.27 * whole
    assert bytes_kept(8) < 0.14 * whole


@pytest.mark.parametrize("q_target", ["bootstrap", "delayed", "halt_only"])
def test_one_step_gradient_keeps_the_same_however_long_the_model_thinks(q_target: str) -> None:
    def kept(h_cycles: int, l_cycles: int, budget: int, gradient: str = "one_step") -> int:
        return bytes_kept(
            model={"h_cycles": h_cycles, "l_cycles": l_cycles, "gradient": gradient},
            halting={"q_target": q_target, "halt_max_steps": budget},
        )

    least = kept(1, 1, 2)
    assert least == kept(3, 1, 2) == kept(1, 4, 2) == kept(1, 1, 16)
    assert kept(3, 1, 2, "full") > 2 * least


# Which weights are trained, by what.


def test_frozen_weights_stay_and_puzzle_embeddings_learn() -> None:
    learner = decisive_learner(
        tiny_config(model={"puzzle_emb_ndim": 16}, optim={"freeze": "all_but_puzzle_emb"})
    )
    before = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
    for _ in range(3):
        learner.update()
    for name, p in learner.model.named_parameters():
        assert torch.equal(p, before[name]), name
    assert learner.model.puzzle_emb.weight.abs().min() > 0
    assert learner.optimisation.skipped_in_a_row == 0


def test_a_loss_that_is_not_finite_does_not_reach_the_puzzle_embeddings_of_a_frozen_network() -> None:
    learner = decisive_learner(
        tiny_config(model={"puzzle_emb_ndim": 16}, optim={"freeze": "all_but_puzzle_emb"})
    )
    learner.update()
    before = learner.model.puzzle_emb.weight.clone()
    with torch.no_grad():
        learner.model.lm_head.weight[0, 0] = math.nan
    learner.update()
    assert learner.optimisation.skipped_in_a_row == 1
    assert torch.equal(learner.model.puzzle_emb.weight, before)


def test_muon_steps_matrices_and_adamw_all_else_as_each_would_alone() -> None:
    learner = decisive_learner(
        tiny_config(optim={"name": "muon", "warmup_updates": 3}, model={"pos_encodings": "learned"})
    )
    twin = decisive_learner(tiny_config(optim={"name": "muon"}, model={"pos_encodings": "learned"}))
    named = dict(twin.model.named_parameters())
    inner = [n for n in named if "_level." in n]
    others = [n for n in named if n not in inner]
    assert {"embed_tokens.weight", "embed_pos", "lm_head.weight", "q_head.weight", "q_head.bias"} == set(
        others
    )
    muon = torch.optim.Muon([named[n] for n in inner], lr=1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    # Fused as the learner's: the other kernel's square roots are oneMKL's, which some CPUs round otherwise.
    adamw = torch.optim.AdamW(
        [named[n] for n in others], lr=1, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    seen = watch_gradients(learner)
    for update in range(1, 5):
        learner.update()
        for name, gradient in seen[-1].items():
            named[name].grad = gradient
        for optimizer in (muon, adamw):
            optimizer.param_groups[0]["lr"] = 1e-3 * min(1, update / 3)
            optimizer.step()
        for name, p in learner.model.named_parameters():
            assert torch.equal(p, named[name]), name


def test_without_muon_in_torch_the_user_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    config = tiny_config(optim={"name": "muon"})
    with pytest.raises(
        UserError, match=r"^optim\.name muon needs torch 2\.9 or newer, this is .*: choose adamw"
    ):
        build_learner(config, build_data(config), CPU, 0, 1)


# The weights that are evaluated.


@pytest.mark.parametrize("weights", ["raw", "ema"])
def test_evaluation_uses_the_weights_that_it_says(weights: str) -> None:
    learner = decisive_learner(tiny_config(train={"eval_weights": weights}))
    for _ in range(3):
        learner.update()
    raw = learner.model.lm_head.weight.detach().clone()
    average = learner.optimisation.averaged.average["lm_head.weight"]
    assert not torch.equal(raw, average)
    with learner.evaluation_weights():
        assert torch.equal(learner.model.lm_head.weight, raw if weights == "raw" else average)
    assert learner.config.evaluated_weights == weights


# All of it resumes from a checkpoint.


@pytest.mark.parametrize(
    "sections",
    [
        {"train": {"micro_batches": 3}},
        {"model": {"dtype": "bfloat16"}},
        {"optim": {"name": "muon"}},
        {"optim": {"freeze": "all_but_puzzle_emb"}},
        {
            "train": {"eval_weights": "raw"},
            "halting": {"q_target": "lambda", "rollout_segments": 2},
        },
    ],
    ids=["micro-batches", "bfloat16", "muon", "frozen", "rollouts, raw weights"],
)
def test_a_stopped_run_resumes_bit_for_bit(sections: dict[str, Any], tmp_path: Path) -> None:
    sections = {"model": {}, "train": {}, **sections}
    sections["model"] = {"puzzle_emb_ndim": 16, **sections["model"]}
    sections["train"] = {
        "max_updates": 8,
        "log_every": 2,
        "eval_every": 4,
        "checkpoint_every": 4,
        **sections["train"],
    }
    config = tiny_config(**sections)
    assert_resumes(config, tmp_path)


def test_muons_state_is_one_state() -> None:
    learner = decisive_learner(tiny_config(optim={"name": "muon"}))
    learner.update()
    assert isinstance(learner.optimisation.optimizer, MuonWithAdamW)
    assert len(learner.optimisation.optimizer.state) == len(learner.optimisation.params)
