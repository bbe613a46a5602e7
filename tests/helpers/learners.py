"""Learners and what they were seen to do, for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hrm_rl.agents.act import learner as learner_module
from hrm_rl.agents.act.learner import Learner
from hrm_rl.config import Config
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.tiny import assert_same, learner_tensors, make_decisive, metrics, tiny_learner

PERF = ("seconds", "data_wait_seconds")


def decisive_learner(config: Config) -> Learner:
    """A learner whose model halts some puzzles early."""
    learner = tiny_learner(config)
    make_decisive(learner.model)
    return learner


def run(learner: Learner, updates: int) -> Learner:
    for _ in range(updates):
        learner.update()
    return learner


def tally(learner: Learner) -> dict[str, Any]:
    """All that was counted, but for times."""
    learner.counts()
    sums = {name: value for name, value in learner.tally.sums.items() if name not in PERF}
    return sums | {
        "halted_after": learner.tally.halted_after.tolist(),
        "halted_after_solved": learner.tally.halted_after_solved.tolist(),
    }


def assert_resumes(config: Config, folder: Path) -> tuple[Learner, Learner]:
    """A run that is stopped after 3 and after 5 updates ends as one that is not: with the same tensors, bit
    for bit, and the same metrics. Returns the learners of both: resumed, whole."""

    def run_until(where: Path, stop: int | None) -> Learner:
        worker = LocalWorker(config, where, lambda line: None)
        trainer = Trainer(config, worker)
        if not trainer.learner.updates:
            make_decisive(trainer.learner.model)
        if stop:
            worker.stop_requested = lambda: trainer.learner.updates >= stop  # type: ignore[method-assign]
        trainer.run()
        assert trainer.learner.updates == (stop or config.train.max_updates)
        return trainer.learner

    whole = run_until(folder / "whole", None)
    run_until(folder / "parts", 3)
    run_until(folder / "parts", 5)
    resumed = run_until(folder / "parts", None)
    assert_same(learner_tensors(resumed), learner_tensors(whole))
    assert metrics(folder / "parts") == metrics(folder / "whole")
    return resumed, whole


def recorded_losses(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the learner hands to `losses` and what it gets, from now on."""
    calls: list[dict[str, Any]] = []
    real = learner_module.losses

    def recording(logits, labels, q, solved, target, kind):
        result = real(logits, labels, q, solved, target, kind)
        calls.append(
            {"labels": labels, "q": q.detach().clone(), "solved": solved, "target": target, "result": result}
        )
        return result

    monkeypatch.setattr(learner_module, "losses", recording)
    return calls
