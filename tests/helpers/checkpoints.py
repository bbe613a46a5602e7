"""Checkpoints of a small learner, for the tests of checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from hrm_rl.agents.act.learner import Learner
from hrm_rl.config import Config
from hrm_rl.data.curriculum import Counts, CurriculumState
from hrm_rl.runs import checkpoint
from hrm_rl.runs.checkpoint import TrainingState
from tests.helpers.tiny import TINY, tiny_config, tiny_learner

FILES = {
    "model.safetensors",
    "averaged.safetensors",
    "optimizer.safetensors",
    "state.json",
    "rank-0000.safetensors",
    "rank-0000.json",
    "manifest.json",
}


def state(update: int, config: Config = TINY, score: float | None = None) -> TrainingState:
    return TrainingState(
        update=update,
        skipped_in_a_row=2,
        world_size=1,
        stage=0,
        curriculum=CurriculumState(stage=1, interval=3, graduated_at=3, window=(Counts(1, 2, 3),)),
        config=config,
        score=score,
    )


def learner_to_save() -> Learner:
    """A learner of one update that has every file of a checkpoint."""
    torch.set_num_threads(1)
    learner = tiny_learner(tiny_config(model={"puzzle_emb_ndim": 16}))
    learner.update()
    return learner


def save(root: Path, learner: Learner, update: int, score: float | None = None) -> Path:
    return checkpoint.save(root, learner, state(update, learner.config, score))


def names(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir())
