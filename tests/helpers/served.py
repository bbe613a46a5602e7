"""Models to be served: a network that knows 4x4 Sudoku by half, told as a run that was trained to search or
as one that was not."""

from __future__ import annotations

from pathlib import Path

from hrm_rl.config import Config
from hrm_rl.runs.loading import LoadedModel
from tests.helpers.searchers import HALF_TRAINED, half_trained
from tests.helpers.thinkers import BUDGET


def half_trained_model(name: str = "half", searches: bool = False) -> LoadedModel:
    """Loaded, as from the folder `name`."""
    solver, values = half_trained(), HALF_TRAINED.model_dump()
    values["halting"] |= {"halt_max_steps": BUDGET}
    if searches:
        values["halting"] |= {"q_target": "lambda"}
        values["search"] |= {"share": 0.5, "budget": 24}
    config = Config.model_validate(values)
    return LoadedModel(name, Path(name), solver.model, solver.task, config, 0, "raw", None)
