"""Networks for others: a run's checkpoint as a folder with its model card, such a
folder opened again, and pushed.

The folder is that of hrm_rl/models/saving.py; `run` in its config.json says what is known beyond the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from hrm_rl.config import Config, validate
from hrm_rl.data.streams import build_task
from hrm_rl.models import RecurrentModel, build_model
from hrm_rl.models.saving import CONFIG, WEIGHTS, description
from hrm_rl.runs import checkpoint
from hrm_rl.utils.errors import UserError

Weights = Literal["raw", "ema"]
"""The trained weights, or their exponential moving average where the run keeps one."""


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
    """By level, and `all`: RESULTS on the run's held-out puzzles at this update; empty
    if it was not evaluated."""
    versions: dict[str, str] = {}
    """Of Python, packages and this code."""


@dataclass(frozen=True)
class Opened:
    """A folder, read."""

    model: RecurrentModel
    config: Config
    about: About


def is_pretrained(folder: Path) -> bool:
    """Whether this looks like a folder of save_pretrained, and not like a run or a checkpoint."""
    return (folder / CONFIG).exists() and (folder / WEIGHTS).exists()


def open_folder(folder: Path) -> Opened:
    """The network and its run's configuration. Raises UserError, also where nothing is known of a run."""
    values = description(folder)
    if "run" not in values:
        raise UserError(
            f"{folder} holds a network without its task: load it with RecurrentModel.from_pretrained, or "
            "make the "
            "folder from a run with scripts/export.py (from another project's file: with --task)"
        )
    try:
        about = About.model_validate(values["run"])
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{folder / CONFIG}: run.{'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None
    return Opened(RecurrentModel.from_pretrained(folder), validate(about.config, str(folder / CONFIG)), about)


def load_checkpoint(path: Path, weights: Weights | None = None) -> tuple[RecurrentModel, Config]:
    """The network of a run's checkpoint. weights: those that its evaluations judged if not given. Raises
    UserError."""
    config = checkpoint.read_state(path).config
    weights = weights or config.evaluated_weights
    if weights == "ema" and not (path / "averaged.safetensors").exists():
        raise UserError(f"{path} holds no averaged weights (optim.ema_decay was 0): leave out --weights ema")
    task = build_task(config)
    model = build_model(config.model, task.vocab_size, task.coordinates(), checkpoint.identifiers(path))
    checkpoint.load_weights(path, model, weights)
    return model, config
