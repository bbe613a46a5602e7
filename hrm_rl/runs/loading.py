"""A model with its task and its settings, wherever it was kept: a run's folder, a
checkpoint's, or one for others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from envs.task import PuzzleTask
from hrm_rl.config import Config
from hrm_rl.data.streams import build_task
from hrm_rl.models import RecurrentModel
from hrm_rl.runs import checkpoint
from hrm_rl.runs.pretrained import Weights, is_pretrained, load_checkpoint, open_folder
from hrm_rl.runs.selection import find_checkpoint
from hrm_rl.utils.errors import UserError


@dataclass(frozen=True)
class OpenedModel:
    """A model and what is known of it."""

    name: str
    """As the user named it."""
    path: Path
    """The folder its weights came from."""
    model: RecurrentModel
    task: PuzzleTask
    config: Config
    update: int
    weights: Weights
    in_run: bool
    """Whether it lies in the folder of its run, so that the run's files are known."""
    converted: bool = False
    """From another project's checkpoint: it has no held-out puzzles of its own."""


def open_model(name: str, weights: Weights | None) -> OpenedModel:
    """The model in a run folder (its best checkpoint, else the last), in one checkpoint's folder, or in a
    folder of scripts/export.py or scripts/convert_checkpoint.py. weights: those that its run's evaluations
    judged if not given. Raises UserError."""
    path = Path(name)
    if is_pretrained(path):
        opened = open_folder(path)
        config, about = opened.config, opened.about
        if weights not in (None, about.weights):
            raise UserError(f"{path} holds {about.weights} weights only: leave out --weights")
        return OpenedModel(
            name,
            path,
            opened.model,
            build_task(config),
            config,
            about.update,
            about.weights,
            False,
            about.converted,
        )
    path = find_checkpoint(path)
    state = checkpoint.read_state(path)
    try:
        model, config = load_checkpoint(path, weights)
    except RuntimeError:  # torch lists every weight that does not fit
        raise UserError(
            f"{path}: the weights are not those of the network and the task that its state.json describes"
        ) from None
    return OpenedModel(
        name, path, model, build_task(config), config, state.update, weights or config.evaluated_weights, True
    )


def described(task: PuzzleTask) -> str:
    """`sudoku 4x4`."""
    return f"{task.name} {task.grid_shape[0]}x{task.grid_shape[1]}"


def refuse_other_tasks(opened: list[OpenedModel]) -> None:
    """Refuse to compare models of different tasks. Raises UserError."""
    first = opened[0]
    for other in opened[1:]:
        if (described(other.task), other.task.characters) != (described(first.task), first.task.characters):
            raise UserError(
                f"{first.name} is a model of {described(first.task)}, {other.name} one of "
                f"{described(other.task)}: "
                "only models of one task can be compared"
            )
