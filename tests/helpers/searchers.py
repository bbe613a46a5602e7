"""A network that knows 4x4 Sudoku by half, for the tests of search: it solves some, errs, and doubts."""

from __future__ import annotations

from functools import cache

from hrm_rl.agents.act.solver import Solver
from tests.helpers.tiny import make_decisive, solver_of, tiny_config, tiny_learner

HALF_TRAINED = tiny_config(
    model={"hidden_size": 32, "pos_encodings": "axial"},
    optim={"name": "muon", "lr": 1e-2, "ema_decay": 0.0},
    train={"global_batch_size": 64, "loss_on": "blanks"},
    curriculum={"stages": ("hard=1",)},
)


@cache
def half_trained() -> Solver:
    """A network after a few seconds of training, with Q-values drawn at random. Tests share it and do not
    change it."""
    learner = tiny_learner(HALF_TRAINED)
    for _ in range(90):
        learner.update()
    make_decisive(learner.model)
    return solver_of(learner)
