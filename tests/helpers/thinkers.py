"""Networks that halt now and then, and rules for when to stop, for the tests of inference."""

from __future__ import annotations

import numpy as np
import torch

from envs import PuzzleBatch, make_task
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.halting import Q_TARGETS
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.config import ModelConfig
from hrm_rl.models import build_model
from tests.helpers.tiny import TINY, grid, make_decisive, puzzles

TASK = make_task("sudoku", size=4)
BUDGET = 9
RULES = {
    "adaptive": Stopping(BUDGET),
    "eager": Stopping(BUDGET, threshold=-2.0),
    "patient": Stopping(BUDGET, threshold=0.4, min_segments=3),
    "halt_only": Stopping(BUDGET, threshold=0.3),
    "agree": Stopping(BUDGET, "agree"),
    "agree3": Stopping(BUDGET, "agree", patience=3, min_segments=4),
    "fixed_point": Stopping(BUDGET, "fixed_point", threshold=0.3),
    "entropy": Stopping(BUDGET, "entropy", threshold=1.35, min_segments=2),
    "fixed": Stopping(BUDGET, "fixed"),
}
"""Of a solver with the Q-target of `q_target_of`."""


def q_target_of(name: str) -> str:
    """What the network is taken to be trained with under the rule called `name`."""
    return "halt_only" if name == "halt_only" else "bootstrap"


def network(**changes: object) -> Solver:
    """A network that halts after one segment in six or so."""
    torch.manual_seed(0)
    config = ModelConfig.model_validate(TINY.model.model_dump() | changes)
    model = build_model(config, TASK.vocab_size, grid(4, 4))
    make_decisive(model)
    solver = Solver(model, TASK, Q_TARGETS["bootstrap"], "all")
    every = list(think(solver, [many(30)], Stopping(BUDGET, "fixed")))
    q = np.concatenate([thoughts.q for thoughts in every])
    with torch.no_grad():
        model.q_head.bias[1] = float(np.quantile(q[:, 0] - q[:, 1], 5 / 6))
    return solver


def many(count: int) -> PuzzleBatch:
    return puzzles(count, "hard")
