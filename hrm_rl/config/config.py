"""Every setting of a run, typed and checked. Each section is owned by the module that its docstring names.

A configuration is built from a preset, a YAML file and flags (hrm_rl/cli/flags/common.py); config.yaml in a
run's folder is this object written out and is enough to repeat the run.
"""

from __future__ import annotations

from typing import Any, Literal

import yaml
from pydantic import model_validator

from hrm_rl.config.base import Section, Seed
from hrm_rl.config.model import ModelConfig
from hrm_rl.config.sections import (
    CurriculumConfig,
    DataConfig,
    EnvConfig,
    HaltingConfig,
    OptimConfig,
    SearchConfig,
    TrainConfig,
)


class Config(Section):
    """A whole run."""

    preset: str = "sudoku9-curriculum"
    """The preset that this configuration started from."""
    seed: Seed = 0
    """Seed of everything random in the run."""
    env: EnvConfig = EnvConfig()
    """The task"""
    data: DataConfig = DataConfig()
    """Puzzles"""
    model: ModelConfig = ModelConfig()
    """The network"""
    halting: HaltingConfig = HaltingConfig()
    """Halting"""
    search: SearchConfig = SearchConfig()
    """Search"""
    optim: OptimConfig = OptimConfig()
    """Optimisers"""
    train: TrainConfig = TrainConfig()
    """The training loop"""
    curriculum: CurriculumConfig = CurriculumConfig()
    """Curriculum"""

    @property
    def evaluated_weights(self) -> Literal["raw", "ema"]:
        """The weights that this run evaluates."""
        return self.train.eval_weights if self.optim.ema_decay else "raw"

    @model_validator(mode="after")
    def _sections_agree(self) -> Config:
        pays = self.halting.q_target == "lambda" or (
            self.env.task == "text" and self.halting.q_target != "halt_only"
        )
        if self.env.segment_cost and not pays:
            raise ValueError(
                f"env.segment_cost={self.env.segment_cost:g} is paid with halting.q_target lambda only "
                f"(now {self.halting.q_target})"
            )
        if self.search.share and self.halting.q_target != "lambda":
            raise ValueError(
                f"search.share={self.search.share:g} trains an agent that searches on returns: set "
                f"halting.q_target to lambda (now {self.halting.q_target})"
            )
        if self.train.micro_batches > 1 and self.halting.q_target == "lambda":
            raise ValueError(
                "train.micro_batches above 1 saves nothing with halting.q_target lambda, which keeps the "
                "activations of a whole rollout: set it to 1, or choose another q_target"
            )
        if self.optim.freeze == "all_but_puzzle_emb" and not self.model.puzzle_emb_ndim:
            raise ValueError(
                "optim.freeze all_but_puzzle_emb leaves nothing to train without model.puzzle_emb_ndim "
                "above 0"
            )
        return self

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


RESUMABLE_FIELDS = (
    "preset",
    "train.max_updates",
    "train.eval_every",
    "train.checkpoint_every",
    "train.device",
    "train.micro_batches",
    "train.compile",
    "train.cuda_graphs",
    "model.checkpoint_activations",
    "optim.max_skipped_updates",
)
"""Fields that may differ between a checkpoint and the run that resumes it. Not train.log_every: the
curriculum counts in intervals of it. The two that save memory and those that compile and record give the
same gradient up to rounding."""


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `section.field: value`. `options` and other leaves stay whole."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and key in Config.model_fields:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def field_names() -> list[str]:
    """Every setting as `section.field`."""
    return list(flatten(Config().model_dump()))


def differences(stored: Config, wanted: Config) -> list[str]:
    """Settings, other than RESUMABLE_FIELDS, in which two configurations differ:
    `field: stored -> wanted`. A run that has begun may also forget which weights it started from."""
    old, new = flatten(stored.model_dump(mode="json")), flatten(wanted.model_dump(mode="json"))
    if new["train.init_from"] is None:
        del new["train.init_from"]
    return [f"{k}: {old[k]} -> {new[k]}" for k in new if old[k] != new[k] and k not in RESUMABLE_FIELDS]
