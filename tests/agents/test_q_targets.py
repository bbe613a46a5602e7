"""What each `q_target` trains, through the real learner: which targets, with which
gradient, at which cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hrm_rl.agents.act import learner as learner_module
from hrm_rl.agents.act.losses import NO_TARGET
from hrm_rl.config import Config
from hrm_rl.runs.folder import read_metrics
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.learners import assert_resumes, decisive_learner, recorded_losses
from tests.helpers.tiny import assert_same, learner_tensors, make_decisive, tiny_config

BUDGET = 4
KINDS: dict[str, dict[str, Any]] = {
    "bootstrap": {},
    "delayed": {"q_target": "delayed"},
    "halt_only": {"q_target": "halt_only"},
    "lambda": {"q_target": "lambda", "rollout_segments": 3, "q_lambda": 0.6, "discount": 0.9},
}


def config_of(kind: str, **sections: dict[str, Any]) -> Config:
    """Episodes of one to four segments, some held back by exploration."""
    halting = {"halt_max_steps": BUDGET, "halt_exploration_prob": 0.3, **KINDS[kind]}
    return tiny_config(**{"halting": halting, **sections})


def test_a_rollout_of_one_segment_without_trace_discount_and_price_is_bootstrap_bit_for_bit() -> None:
    model, optim = {"puzzle_emb_ndim": 16}, {"name": "adam_atan2"}
    one = decisive_learner(config_of("bootstrap", model=model, optim=optim))
    halting = one.config.halting.model_dump() | {"q_target": "lambda"}
    other = decisive_learner(config_of("bootstrap", model=model, optim=optim, halting=halting))
    for _ in range(12):
        one.update()
        other.update()
        assert_same(learner_tensors(one), learner_tensors(other))
    one.counts(), other.counts()
    assert 0 < one.tally.sums["forced"] < one.tally.sums["episodes"]
    for name in ("loss", "q_continue_loss", "episodes", "exact", "segments", "grad_norm"):
        assert one.tally.sums[name] == other.tally.sums[name], name


@pytest.mark.parametrize(
    ("kind", "forwards"), [("bootstrap", 2), ("delayed", 1), ("halt_only", 1), ("lambda", (3 + 1) / 3)]
)
def test_forward_passes_a_segment(kind: str, forwards: float) -> None:
    learner = decisive_learner(config_of(kind))
    passes = []
    learner.model.register_forward_hook(lambda *_: passes.append(1))
    for _ in range(4):
        learner.update()
    assert len(passes) == pytest.approx(4 * learner.config.halting.rollout_segments * forwards)
    learner.counts()
    assert learner.tally.sums["updates"] == 4
    assert learner.tally.sums["slots"] == 4 * 4 * learner.config.halting.rollout_segments


def gradients_of(
    parts: set[str], kind: str, monkeypatch: pytest.MonkeyPatch, **halting: Any
) -> dict[str, float]:
    """Gradient norms of an update in which nothing but some parts of the loss is taught."""
    config = config_of(kind)
    learner = decisive_learner(config_of(kind, halting=config.halting.model_dump() | halting))
    for _ in range(3):
        learner.update()
    real = learner_module.losses

    def some_alone(*args: Any) -> Any:
        result = real(*args)
        return type(result)(**{name: value * (name in parts) for name, value in vars(result).items()})

    monkeypatch.setattr(learner_module, "losses", some_alone)
    norms: dict[str, float] = {}
    step = learner.optimisation.optimizer.step

    def looking() -> None:
        norms.update({name: float(p.grad.norm()) for name, p in learner.model.named_parameters()})
        step()

    learner.optimisation.optimizer.step = looking  # type: ignore[method-assign]
    learner.update()
    return norms


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_continue_value_reaches_what_the_target_says(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = gradients_of({"q_continue"}, kind, monkeypatch)
    head = {name for name in norms if name.startswith("q_head")}
    reached = {name for name, norm in norms.items() if norm > 0}
    if kind == "halt_only":
        assert reached == set()
    elif kind == "delayed":
        assert reached == head
    else:
        assert reached == set(norms) - {"lm_head.weight"}


@pytest.mark.parametrize("kind", KINDS)
def test_detached_the_q_values_teach_their_head_alone_and_the_answer_all_else(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        norms = gradients_of({"q_halt", "q_continue"}, kind, patch, q_detach=True)
    assert {name for name, norm in norms.items() if norm > 0} == {"q_head.weight", "q_head.bias"}
    with monkeypatch.context() as patch:
        attached = gradients_of({"q_halt", "q_continue"}, kind, patch)
    assert {name for name, norm in attached.items() if norm > 0} == set(norms) - {"lm_head.weight"}
    norms = gradients_of({"lm"}, kind, monkeypatch, q_detach=True)
    assert {name for name, norm in norms.items() if norm == 0} == {"q_head.weight", "q_head.bias"}


def test_delayed_teaches_every_segment_that_went_on_what_the_next_one_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner = decisive_learner(config_of("delayed"))
    calls = recorded_losses(monkeypatch)
    taught = ended = 0
    before: Tensor | None = None
    went_on = torch.zeros(4, dtype=torch.bool)
    for _ in range(15):
        weights = {name: p.detach().clone() for name, p in learner.model.q_head.named_parameters()}
        learner.update()
        call = calls[-1]
        assert ((call["target"] != NO_TARGET) == went_on).all()
        if before is not None:
            value = (
                before @ weights["weight"][1] + weights["bias"][1]
            )  # of the segment before, by the head of now
            torch.testing.assert_close(call["q"][went_on, 1], value[went_on], rtol=1e-4, atol=1e-5)
        taught += int(went_on.sum())
        before = learner.slots.carry.z_h[:, 0].clone()
        went_on = torch.from_numpy(learner.env.state_arrays()["segment"] > 0)
        ended += int((~went_on).sum())
    assert taught > 10
    assert ended > 10


def test_halt_only_has_no_target_and_no_metric_of_the_continue_value(tmp_path: Path) -> None:
    config = config_of("halt_only", train={"max_updates": 12, "log_every": 4, "eval_every": 12})
    trainer = Trainer(config, LocalWorker(config, tmp_path, lambda line: None))
    make_decisive(trainer.learner.model)
    weight = trainer.learner.model.q_head.weight[1].detach().clone()
    trainer.run()
    tags = {tag for record in read_metrics(tmp_path / "metrics.jsonl") for tag in record}
    assert not [tag for tag in tags if "q_continue" in tag]
    assert {"train/q_halt_loss", "halting/q_halt_mean", "halting/segments_mean", "eval/segments_mean"} <= tags
    decayed = trainer.learner.model.q_head.weight[1].detach() / weight
    torch.testing.assert_close(decayed, decayed[0].expand_as(decayed))  # weight decay, no gradient


def test_returns_use_what_the_environment_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of K segments gets its own row of targets: NO_TARGET where a slot halted before the last one, the
    reward where it was truncated there, and never more than one step's price below the best return."""
    config = config_of("lambda", env={"segment_cost": 0.2})
    learner = decisive_learner(config)
    calls, steps = recorded_losses(monkeypatch), []
    step = learner.env.step

    def watched(action: Any) -> Any:
        result = step(action)
        steps.append(result[1:4])
        return result

    learner.env.step = watched  # type: ignore[method-assign]
    halted = truncated_inside = 0
    for update in range(8):
        learner.update()
        assert len(calls) == len(steps) == 3 * (update + 1)
        for k in range(3):
            target, (reward, terminated, truncated) = calls[3 * update + k]["target"], steps[3 * update + k]
            if k < 2:
                assert ((target == NO_TARGET).numpy() == terminated).all()
                assert target.numpy()[truncated].tolist() == reward[truncated].tolist()
                halted += terminated.sum()
                truncated_inside += truncated.sum()
            went_on = ~terminated & ~truncated
            assert (reward[went_on] == -0.2).all()
            assert (target.numpy()[went_on] <= 0.9 - 0.2 + 1e-6).all()
    assert halted
    assert truncated_inside


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_resumes_bit_for_bit(kind: str, tmp_path: Path) -> None:
    config = config_of(
        kind, train={"max_updates": 9, "log_every": 2, "eval_every": 4, "checkpoint_every": 4},
        model={"puzzle_emb_ndim": 16},
    )  # fmt: skip
    assert_resumes(config, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_budget_of_one_segment_has_nothing_to_continue_to(kind: str) -> None:
    halting = {**KINDS[kind], "halt_max_steps": 1}
    learner = decisive_learner(tiny_config(halting=halting))
    for _ in range(3):
        learner.update()
    learner.counts()
    assert learner.tally.sums["q_continue_loss"] == 0
    assert learner.tally.sums["episodes"] == learner.tally.sums["slots"]
