"""What the loop needs from whoever runs it, and what it tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from hrm_rl.data.curriculum import Curriculum


@dataclass(frozen=True)
class Evaluated:
    """An evaluation on the held-out puzzles, told after the checkpoint of its update, if there is one."""

    update: int
    metrics: Mapping[str, float]
    """By tag, the same on all ranks."""
    saved: Path | None
    """The checkpoint of this update."""
    update_seconds: float
    """Time spent in updates by this process."""


class Worker(Protocol):
    """What the loop needs from whoever runs it: Ray Train, this process, or a Tune trial."""

    rank: int
    world_size: int
    device: torch.device
    run_dir: Path
    curriculum: Curriculum

    def say(self, line: str) -> None:
        """Show a line to the user. Called on rank 0 only."""

    def stop_requested(self) -> bool:
        """Whether the user asked for an early end. Asked before the first update and after every one, with
        several workers about every STOP_SECONDS (loop.py) and after every interval."""

    def is_hurried(self) -> bool:
        """Whether the user who asked for an end does not wait for an evaluation: it is given up, and made up
        for when the run is resumed. Asked between its batches."""

    def evaluated(self, found: Evaluated) -> None:
        """Hear of an evaluation. Called on all ranks. What it raises ends the run at once."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended."""

    update: int
    finished: bool
    """Whether train.max_updates was reached."""
    stage: int
    accuracy: float | None
    """Held-out exact accuracy of the last evaluation."""
    solved: float | None
    """Share of the held-out puzzles that it solved by the task's rule."""
    best_solved: float | None
    """The best score of any evaluation: the largest such share; of a text, the fewest bits a byte, with a
    minus."""
    segments_mean: float | None
    seconds: float
    """Time spent in the loop, from the first update of this process."""
