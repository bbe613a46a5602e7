"""One update of the learner: what it looks at, what it skips, what it keeps, and that a
seed decides it all."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from envs import PAD
from hrm_rl.agents.act import learner as learner_module
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.losses import IGNORE
from hrm_rl.agents.act.slots import slots_of_rank
from hrm_rl.agents.build import build_learner
from hrm_rl.agents.tally import summarise
from hrm_rl.data.streams import build_data
from hrm_rl.utils.errors import UserError
from tests.helpers.learners import decisive_learner, recorded_losses, run, tally
from tests.helpers.tiny import CPU, always, assert_same, learner_tensors, tiny_config, tiny_learner


@given(st.integers(1, 2000), st.integers(1, 64))
def test_slots_of_all_ranks_are_the_global_batch_shared_out_evenly(batch: int, world_size: int) -> None:
    slots = [slots_of_rank(batch, rank, world_size) for rank in range(world_size)]
    assert sum(slots) == batch
    assert max(slots) - min(slots) <= 1
    assert slots[0] == max(slots)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "model": {"puzzle_emb_ndim": 16},
            "optim": {"name": "adam_atan2"},
            "halting": {"halt_max_steps": 4, "halt_exploration_prob": 0.5, "exploration": "per_episode"},
        },
        {"train": {"loss": "stablemax", "loss_on": "blanks"}, "model": {"dtype": "bfloat16"}},
    ],
    ids=["plain", "puzzle embedding", "bfloat16"],
)
def test_a_seed_decides_everything_bit_for_bit(changes: dict[str, Any]) -> None:
    one = run(decisive_learner(tiny_config(**changes)), 6)
    other = run(decisive_learner(tiny_config(**changes)), 6)
    assert_same(learner_tensors(one), learner_tensors(other))
    assert tally(one) == tally(other)
    assert tally(one)["skipped_updates"] == 0
    third = run(decisive_learner(tiny_config(seed=1, **changes)), 6)
    assert not torch.equal(one.model.lm_head.weight, third.model.lm_head.weight)


def test_ranks_have_the_same_weights_and_other_random_numbers() -> None:
    config = tiny_config()
    first, second = (
        build_learner(config, build_data(config, rank, 2), CPU, rank, world_size=1) for rank in (0, 1)
    )
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    assert not torch.equal(first.generator.get_state(), second.generator.get_state())
    assert not np.array_equal(first.env.reset()[0]["puzzle"], second.env.reset()[0]["puzzle"]), (
        "ranks train on their own puzzles"
    )


@pytest.mark.parametrize("loss_on", ["all", "blanks"])
def test_labels_are_the_solution_where_the_loss_is_to_look(
    loss_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, calls = tiny_learner(tiny_config(train={"loss_on": loss_on})), recorded_losses(monkeypatch)
    held = learner.env.state_arrays()
    learner.update()
    labels = calls[0]["labels"].numpy()
    looked_at = held["inputs"] == 1 if loss_on == "blanks" else held["solution"] != PAD
    assert (labels[looked_at] == held["solution"][looked_at]).all()
    assert (labels[~looked_at] == IGNORE).all()
    assert looked_at.any()
    assert looked_at.all() == (loss_on == "all")


@pytest.mark.parametrize("loss_on", ["all", "blanks"])
def test_given_cells_are_handed_in_as_they_are_where_the_loss_never_looked_at_them(
    loss_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, actions = tiny_learner(tiny_config(train={"loss_on": loss_on})), []
    real = learner.env.step
    monkeypatch.setattr(learner.env, "step", lambda action: actions.append(action) or real(action))
    held = learner.env.state_arrays()["inputs"]
    learner.update()
    given = held != 1
    assert (actions[0]["answer"] == held)[given].all() == (loss_on == "blanks")


def test_mean_losses_are_per_slot_and_update(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, calls = tiny_learner(), recorded_losses(monkeypatch)
    run(learner, 5)
    learner.counts()
    scalars = summarise(learner.tally, world_size=1)
    for tag, part in (("loss", "total"), ("lm_loss", "lm"), ("q_halt_loss", "q_halt")):
        expected = np.mean([getattr(c["result"], part).item() / 4 for c in calls])
        assert scalars[f"train/{tag}"] == pytest.approx(expected, rel=1e-5)


def test_rate_of_every_update_is_that_of_the_schedule() -> None:
    learner = tiny_learner(tiny_config(optim={"lr": 0.01, "warmup_updates": 4, "lr_min_ratio": 0.5}))
    used = []
    optimizer = learner.optimisation.optimizer
    step = optimizer.step
    optimizer.step = lambda: (used.append(optimizer.param_groups[0]["lr"]), step())
    run(learner, 5)
    assert used[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert used[4] < 0.01


def test_rate_of_the_puzzle_embedding_follows_the_same_schedule() -> None:
    learner = tiny_learner(
        tiny_config(model={"puzzle_emb_ndim": 16}, optim={"puzzle_emb_lr": 0.1, "warmup_updates": 4})
    )
    learner.update()
    step = learner.model.puzzle_emb.weight.abs()
    assert step.max() == pytest.approx(0.1 / 4)  # from 0: one step of the sign, in the first of 4 updates
    assert (step[step > 0] == step.max()).all()


# Losses and gradients that are not finite.


def bad_loss(monkeypatch: pytest.MonkeyPatch, value: float) -> Callable[[], None]:
    """Make every loss `value` from now on; returns the way back."""
    real = learner_module.losses

    def poisoned(*args: Any) -> Any:
        result = real(*args)
        return dataclasses.replace(result, lm=result.lm + value)

    monkeypatch.setattr(learner_module, "losses", poisoned)
    return lambda: monkeypatch.setattr(learner_module, "losses", real)


def learned(learner: Learner) -> dict[str, Tensor]:
    return {name: v for name, v in learner_tensors(learner).items() if not name.startswith("carry")}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_changes_nothing_but_the_count(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(model={"puzzle_emb_ndim": 16}, optim={"name": "adam_atan2"})
    learner = run(tiny_learner(config), 2)
    before = learned(learner)
    restore = bad_loss(monkeypatch, value)
    run(learner, 2)
    assert_same(learned(learner), before)
    assert (learner.updates, learner.optimisation.skipped_in_a_row) == (4, 2)
    assert learner.tally.sums["skipped_updates"] == 2
    restore()
    learner.update()
    assert learner.optimisation.skipped_in_a_row == 0
    assert not torch.equal(learned(learner)["model.lm_head.weight"], before["model.lm_head.weight"])
    assert all(v.isfinite().all() for v in learner_tensors(learner).values())


def test_a_gradient_that_is_not_finite_is_skipped_too() -> None:
    learner = run(tiny_learner(), 1)
    before = learned(learner)
    hook = learner.model.lm_head.weight.register_hook(lambda grad: grad * float("nan"))
    learner.update()
    assert_same(learned(learner), before)
    assert learner.optimisation.skipped_in_a_row == 1
    hook.remove()
    learner.update()
    assert learner.optimisation.skipped_in_a_row == 0


def test_a_state_that_is_not_finite_is_reset_and_the_run_recovers() -> None:
    learner = run(tiny_learner(), 1)
    initial = learner.model.initial_carry(4)
    learner.slots = learner.slots.replace_rows(
        torch.tensor([False, True, False, False]),
        dataclasses.replace(initial, z_l=torch.full_like(initial.z_l, float("nan"))),
    )
    learner.update()
    assert learner.optimisation.skipped_in_a_row == 1
    assert learner.slots.carry.finite_rows().all()
    assert torch.equal(learner.slots.carry.z_h[1], initial.z_h[1])
    assert not torch.equal(learner.slots.carry.z_h[0], initial.z_h[0])
    learner.update()
    assert learner.optimisation.skipped_in_a_row == 0


def test_too_many_skips_in_a_row_end_the_run_with_advice() -> None:
    learner = run(tiny_learner(tiny_config(optim={"max_skipped_updates": 3})), 1)
    with torch.no_grad():
        learner.model.l_level.layers[0].mlp.down_proj.weight[0, 0] = float("nan")
    run(learner, 2)
    with pytest.raises(UserError) as stop:
        learner.update()
    message = str(stop.value)
    assert message.startswith("3 updates in a row")
    assert "at update 4" in message
    assert "--optim.lr (now 0.001)" in message
    assert "\n" not in message


def test_skips_apart_from_each_other_do_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tiny_learner(tiny_config(optim={"max_skipped_updates": 2}))
    for _ in range(3):
        restore = bad_loss(monkeypatch, float("nan"))
        learner.update()
        restore()
        learner.update()
    assert learner.tally.sums["skipped_updates"] == 3


# What a worker alone knows, taken out and put back.


def test_counting_does_not_change_what_is_counted() -> None:
    looked, not_looked = tiny_learner(), tiny_learner()
    for _ in range(5):
        looked.update()
        not_looked.update()
        looked.rank_state()
    assert tally(looked) == tally(not_looked)


@pytest.mark.parametrize("kind", ["decisive", "held back by exploration alone"])
def test_a_learner_resumes_from_its_rank_state_bit_for_bit(kind: str) -> None:
    halting = {"halt_max_steps": 6, "halt_exploration_prob": 0.9, "exploration": "per_episode"}
    config = tiny_config(halting=halting, optim={"lr": 1e-3 if kind == "decisive" else 1e-9})
    learner = decisive_learner(config)
    if kind != "decisive":
        always(learner.model, halt=True)
    run(learner, 6)
    segment = torch.from_numpy(learner.env.state_arrays()["segment"])
    assert ((segment > 0) & (learner.slots.min_segments > segment + 1)).any(), "a floor will hold a slot back"
    tensors, values = learner.rank_state()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    twin = build_learner(config, build_data(config), CPU, rank=0, world_size=1)
    twin.model.load_state_dict(learner.model.state_dict())
    twin.optimisation.optimizer.load_state_dict(copy.deepcopy(learner.optimisation.optimizer.state_dict()))
    for name, value in learner.optimisation.averaged.average.items():
        twin.optimisation.averaged.average[name].copy_(value)
    twin.updates = learner.updates
    twin.load_rank_state(tensors, values)
    run(learner, 5)
    run(twin, 5)
    assert_same(learner_tensors(twin), learner_tensors(learner))
    assert tally(twin) == tally(learner)
