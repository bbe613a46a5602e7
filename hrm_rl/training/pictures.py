"""The cheap figures of the report while a run trains, for TensorBoard.

They take a second or so to draw, too long for every evaluation of a short run.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch
from hrm_rl.agents.act.solver import Solver
from hrm_rl.config import Config

PUZZLES = 128
"""Held-out puzzles that the figures are computed from, at most."""
SHARE, LAST_SHARE = 0.03, 0.1
"""Of the time since the last drawing that drawing may take, and where a run ends."""
FIRST_GUESS = 1.5
"""Seconds that drawing is taken to need before it was ever done."""


class LiveFigures:
    """Draws figures of the model in training as often as it may."""

    def __init__(self) -> None:
        self.drawn_at = time.perf_counter()
        self.seconds = FIRST_GUESS

    def due(self, last: bool) -> bool:
        """Whether enough time has passed since the last drawing. last: the run ends here."""
        return self.seconds < (LAST_SHARE if last else SHARE) * (time.perf_counter() - self.drawn_at)

    def draw(self, solver: Solver, held_out: PuzzleBatch, config: Config) -> dict[str, NDArray[np.uint8]]:
        """Images (height, width, 3) by name."""
        from hrm_rl.analysis import halting_figures, state_figures
        from hrm_rl.analysis.study import conduct
        from hrm_rl.utils import plots

        began = time.perf_counter()
        some = held_out.take(np.unique(np.linspace(0, len(held_out) - 1, PUZZLES).astype(np.int64)))
        study = conduct("run", solver, config, some, config.halting.halt_max_steps, closely=False)
        draw = (
            halting_figures.accuracy,
            halting_figures.halting,
            halting_figures.calibration,
            halting_figures.regret,
            state_figures.convergence,
        )
        exhibits = [make([study]) for make in draw]
        images = {e.name: plots.pixels(e.figure) for e in exhibits if e.figure is not None}
        self.drawn_at = time.perf_counter()
        self.seconds = self.drawn_at - began
        return images
