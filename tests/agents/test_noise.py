"""Random initial states and noise on the path: drawn in training and rollouts as asked, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hrm_rl.agents.act import noise
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.build import build_learner
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data
from hrm_rl.evaluation.scores import evaluate
from tests.helpers.learners import assert_resumes, decisive_learner, run
from tests.helpers.tiny import CPU, always, assert_same, learner_tensors, puzzles, solver_of, tiny_config

NOISY = {"init_std": 0.5, "state_noise": 0.1}


def config_of(**sections: dict[str, object]) -> Config:
    """Noise of both kinds, and no exploration."""
    halting = {"halt_max_steps": 3, "halt_exploration_prob": 0.0}
    return tiny_config(**{"model": NOISY, "halting": halting, **sections})


def states_met(learner: Learner, updates: int) -> list[Tensor]:
    """z_h as the network meets it in each forward pass with gradient."""
    met: list[Tensor] = []
    hook = learner.model.register_forward_pre_hook(
        lambda module, inputs: met.append(inputs[0].z_h.clone()) if torch.is_grad_enabled() else None
    )
    run(learner, updates)
    hook.remove()
    return met


def test_without_noise_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*key: object) -> None:
        raise AssertionError("drawn")

    monkeypatch.setattr(noise, "generator_of", refuse)
    run(decisive_learner(tiny_config()), 3)
    with pytest.raises(AssertionError, match="drawn"):
        run(decisive_learner(config_of()), 1)


def test_noise_has_the_asked_spread_at_the_start_and_on_the_way() -> None:
    learner = decisive_learner(config_of(model={"init_std": 0.5}))
    always(learner.model, halt=True)
    fixed = learner.model.initial_carry(4)
    for z, start in ((learner.slots.carry.z_h, fixed.z_h), (learner.slots.carry.z_l, fixed.z_l)):
        assert (z - start).std() == pytest.approx(0.5, rel=0.1)
    first, second = states_met(learner, 2)
    assert (second - fixed.z_h).std() == pytest.approx(0.5, rel=0.1), "every slot began anew"
    assert not torch.equal(first, second)
    learner = decisive_learner(config_of(model={"state_noise": 0.1}))
    assert torch.equal(learner.slots.carry.z_h, fixed.z_h)
    always(learner.model, halt=False)
    run(learner, 1)
    left = learner.slots.carry.z_h
    (met,) = states_met(learner, 1)
    assert (met - left).std() == pytest.approx(0.1, rel=0.1)


def test_noise_is_the_same_for_the_same_seed_and_another_for_another_seed_or_rank() -> None:
    def state(seed: int, rank: int) -> Tensor:
        config = config_of(model={"init_std": 0.5}).model_copy(update={"seed": seed})
        learner = build_learner(config, build_data(config), CPU, rank, world_size=1)
        learner.start()
        return learner.slots.carry.z_h - learner.model.initial_carry(4).z_h

    first = state(0, 0)
    assert torch.equal(state(0, 0), first)
    for other in (state(1, 0), state(0, 1)):
        assert not torch.isclose(other, first, atol=1e-4).any(dim=(1, 2)).all()
    one, other = (run(decisive_learner(config_of()), 6) for _ in range(2))
    assert_same(learner_tensors(one), learner_tensors(other))


@pytest.mark.parametrize("halting", [{}, {"q_target": "lambda", "rollout_segments": 2}], ids=str)
def test_a_stopped_run_with_noise_resumes_bit_for_bit(halting: dict[str, object], tmp_path: Path) -> None:
    assert_resumes(config_of(halting={"halt_max_steps": 3, **halting}, train={"max_updates": 8}), tmp_path)


def test_an_evaluation_meets_no_noise() -> None:
    noisy, plain = (tiny_learner_of(config) for config in (config_of(), tiny_config()))
    plain.model.load_state_dict(noisy.model.state_dict())
    batch, rule = puzzles(20, "hard"), Stopping(3)
    found, expected = (evaluate(solver_of(learner), batch, rule) for learner in (noisy, plain))
    assert (found.q == expected.q).all()
    assert (found.answer == expected.answer).all()


def tiny_learner_of(config: Config) -> Learner:
    return run(decisive_learner(config), 2)
