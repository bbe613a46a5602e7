"""Learners and what they were seen to do, for the tests of training."""

from __future__ import annotations

from typing import Any

import pytest
from tiny import make_decisive, tiny_learner

import hrm_rl.learner
from hrm_rl.config import Config
from hrm_rl.learner import Learner

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


def recorded_losses(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the learner hands to `losses` and what it gets, from now on."""
    calls: list[dict[str, Any]] = []
    real = hrm_rl.learner.losses

    def recording(logits, labels, q, solved, target, kind):
        result = real(logits, labels, q, solved, target, kind)
        calls.append(
            {"labels": labels, "q": q.detach(), "solved": solved, "target": target, "result": result}
        )
        return result

    monkeypatch.setattr(hrm_rl.learner, "losses", recording)
    return calls
