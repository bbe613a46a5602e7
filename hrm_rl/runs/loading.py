"""The one way to a trained model: from the folder of a run, of one checkpoint, or one for others, or by the
name of one that comes with this project."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from envs.errors import DataError, MisfitError
from envs.task import PuzzleTask
from hrm_rl.agents.act.solver import Solver
from hrm_rl.config import Config, validate
from hrm_rl.data.streams import build_task
from hrm_rl.models import RecurrentModel, build_model
from hrm_rl.models.saving import CONFIG
from hrm_rl.runs import checkpoint
from hrm_rl.runs.absent import no_model
from hrm_rl.runs.checkpoint import Weights
from hrm_rl.runs.folder import RunFolder
from hrm_rl.runs.pretrained import is_pretrained, read_about
from hrm_rl.runs.selection import STATE, best, damage, latest_sound
from hrm_rl.runs.stored import model_here
from hrm_rl.utils.devices import computes_bfloat16
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.stores import is_uri
from hrm_rl.weights import folder_of


@dataclass(frozen=True)
class LoadedModel:
    """A model and what is known of it."""

    name: str
    """As the user named it."""
    path: Path
    """The folder that its weights came from."""
    model: RecurrentModel
    task: PuzzleTask
    config: Config
    update: int
    weights: Weights
    run: RunFolder | None
    """The run that it lies in; None in a folder for others, which holds nothing else of its run."""
    converted: bool = False
    """From another project's checkpoint: it has no held-out puzzles of its own."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of what its run depended on by path, as far as that is known."""

    @property
    def place(self) -> str:
        """The folder, URI or name that its weights came from, to show."""
        if self.path == folder_of(self.name):
            return self.name
        if not is_uri(self.name) or self.run is None or self.name.endswith(self.path.name):
            return self.name if is_uri(self.name) else str(self.path)
        return f"{self.name.rstrip('/')}/checkpoints/{self.path.name}"

    @property
    def solver(self) -> Solver:
        """The model with all that it takes to read its answers."""
        return Solver.of(self.config, self.model, self.task)

    def on(self, device: torch.device) -> LoadedModel:
        """The same, ready to think on `device`: in float32 where bfloat16 would be slow."""
        self.model.to(device)
        if self.model.compute_dtype == torch.bfloat16 and not computes_bfloat16(device):
            self.model.compute_dtype = torch.float32
        return self


def load_model(path: str | Path, weights: Weights | None = None) -> LoadedModel:
    """The model in a run folder (its best checkpoint, else the last), in one checkpoint's folder, or in a
    folder of scripts/export.py or scripts/convert_checkpoint.py; from a store if it is a URI; by its name if
    it is shipped and no such file or folder is here. weights: those that its run evaluates if not given.
    Raises UserError."""
    name, path = str(path), model_here(str(path)) if is_uri(path) else _here_or_shipped(Path(path))
    return _exported(name, path, weights) if is_pretrained(path) else _of_run(name, path, weights)


def _here_or_shipped(path: Path) -> Path:
    return path if path.exists() else folder_of(str(path)) or path


def _of_run(name: str, path: Path, weights: Weights | None) -> LoadedModel:
    path = find_checkpoint(path)
    state = checkpoint.read_state(path)
    config, weights = state.config, weights or state.config.evaluated_weights
    task = build_task(config)
    model = build_model(config.model, task.vocab_size, task.coordinates(), checkpoint.identifiers(path))
    checkpoint.load_weights(path, model, weights)
    run = RunFolder.of_checkpoint(path)
    return LoadedModel(name, path, model, task, config, state.update, weights, run, digests=state.digests)


def _exported(name: str, path: Path, weights: Weights | None) -> LoadedModel:
    about = read_about(path)
    if weights not in (None, about.weights):
        shown = name if path == folder_of(name) else path
        raise UserError(f"{shown} holds {about.weights} weights only: leave out --weights")
    config, model = validate(about.config, str(path / CONFIG)), RecurrentModel.from_pretrained(path)
    task, converted = build_task(config), about.converted
    return LoadedModel(name, path, model, task, config, about.update, about.weights, None, converted)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint meant by a run folder or a checkpoint's folder. Raises UserError."""
    if (path / STATE).exists():
        reason = damage(path)
        if reason is not None:
            raise UserError(f"checkpoint {path} is damaged: {reason}; choose another in {path.parent}")
        return path
    root = RunFolder(path).checkpoints
    found, lines = best(root), []
    if found is not None:
        reason = damage(found)
        if reason is None:
            return found
        lines = [f"the best checkpoint, {found.name}, is damaged ({reason}): taking the last"]
    damaged: list[str] = []
    latest = latest_sound(root, damaged.append)
    if latest is None:
        raise no_model(path, damaged)
    for line in [*lines, *damaged]:
        print(line, file=sys.stderr)
    return latest


def described(task: PuzzleTask) -> str:
    """`sudoku 4x4`."""
    return f"{task.name} {task.grid_shape[0]}x{task.grid_shape[1]}"


def trained_on(error: DataError, task: PuzzleTask) -> str:
    """What to add to a message on puzzles for a model of `task`: nothing unless their size is at fault."""
    return f" (the model was trained on {described(task)})" if isinstance(error, MisfitError) else ""


def refuse_other_tasks(models: Sequence[LoadedModel]) -> None:
    """Refuse to compare models of different tasks. Raises UserError."""
    first = models[0]
    for other in models[1:]:
        if (described(other.task), other.task.characters) != (described(first.task), first.task.characters):
            raise UserError(
                f"{first.name} is a model of {described(first.task)}, {other.name} one of "
                f"{described(other.task)}: only models of one task can be compared"
            )
