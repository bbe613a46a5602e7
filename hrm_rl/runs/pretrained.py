"""A network in a folder for others (hrm_rl/models/saving.py): what `run` in its config.json says beyond the
weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hrm_rl.models.saving import CONFIG, WEIGHTS, description
from hrm_rl.runs.checkpoint import Weights
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError, first_problem


class About(BaseModel):
    """`run` in config.json."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    origin: str
    """Where the weights come from, in words."""
    converted: bool = False
    """From another project's checkpoint: no run of this project has held-out puzzles of its own for it."""
    config: dict[str, Any]
    """The run's whole configuration."""
    update: int = 0
    weights: Weights = "raw"
    results: dict[str, dict[str, float]] = {}
    """By level, and `all`: RESULTS on the run's held-out puzzles at this update; empty if it was not
    evaluated."""
    versions: dict[str, str] = {}
    """Of Python, packages and this code."""


def is_pretrained(folder: Path) -> bool:
    """Whether this looks like a folder of save_pretrained, and not like a run or a checkpoint."""
    return (folder / CONFIG).exists() and (folder / WEIGHTS).exists()


def read_about(folder: Path) -> About:
    """What is known of the network in `folder`. Raises UserError, also where nothing is known of a run."""
    values = description(folder)
    if values.get("run") is None:
        raise UserError(
            f"{folder} holds a network without its task: load it with RecurrentModel.from_pretrained, or "
            f"make the folder from a run with {typed_command('export')} (from another project's file: with "
            f"{typed_command('convert')} --task)"
        )
    try:
        return About.model_validate(values["run"])
    except ValidationError as error:
        raise UserError(f"{folder / CONFIG}: run.{first_problem(error)}") from None
