"""The agent that halts or continues: HRM's adaptive computation time."""

from typing import TYPE_CHECKING

from hrm_rl.utils.faces import lazily

if TYPE_CHECKING:
    from hrm_rl.agents.act.engine import think
    from hrm_rl.agents.act.learner import Learner
    from hrm_rl.agents.act.solver import Solver
    from hrm_rl.agents.act.stopping import Stopping

__all__ = ["Learner", "Solver", "Stopping", "think"]

__getattr__ = lazily(
    __name__,
    {
        "Learner": "learner",
        "Solver": "solver",
        "Stopping": "stopping",
        "think": "engine",
    },
)
