"""Checkpoints that are whole or absent, checked when read, and never unpickled.

    checkpoints/update-00000250/
        model.safetensors        weights, initial states, puzzle embeddings
        averaged.safetensors     averaged weights, if the run keeps them
        optimizer.safetensors    moments, by parameter name
        state.json               update, curriculum, configuration, score, versions
        rank-0000.safetensors    one worker's slots: carry, puzzles, random state, counts
        rank-0000.json           its position in the puzzle stream
        manifest.json            size and SHA-256 of every file above; written last

All ranks write into a folder with a temporary name, which rank 0 renames when everything is there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hrm_rl.agents.act.learner import Learner
from hrm_rl.config import Config, differences, validate
from hrm_rl.data.curriculum import CurriculumState
from hrm_rl.runs.selection import AVERAGED, KEEP_LAST, MANIFEST, STATE, WEIGHTS, checkpoints, name_of, prune
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import digest, provenance, write_atomically

OPTIMIZER = "optimizer.safetensors"
Weights = Literal["raw", "ema"]
"""The trained weights, or their exponential moving average where the run keeps one."""

Agree = Callable[[str | None], list[str]]
"""Exchange errors with the other ranks: takes this rank's, or None, and returns the errors of all ranks. It
is a barrier."""


def agree_alone(error: str | None) -> list[str]:
    """Agree, for a run with one worker."""
    return [error] if error else []


@dataclass(frozen=True)
class TrainingState:
    """state.json: what all workers share, apart from weights."""

    update: int
    skipped_in_a_row: int
    world_size: int
    """Workers whose slots it holds; 0 for one that was adopted and holds none."""
    stage: int
    """Stage that puzzles are drawn from."""
    curriculum: CurriculumState
    """The curriculum's last answer. Its stage is acted upon at the end of the next interval."""
    config: Config
    score: float | None
    """Share of the held-out puzzles that are solved at this update, if it was evaluated."""
    evaluation_owed: bool = False
    """Whether the evaluation of this update was given up when the user stopped the run."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of what the run depends on by path (hrm_rl/runs/dependencies.py); of runs of 0.2.0, none."""

    def to_json(self) -> str:
        values = {
            "update": self.update,
            "skipped_in_a_row": self.skipped_in_a_row,
            "world_size": self.world_size,
            "stage": self.stage,
            "score": self.score,
            "evaluation_owed": self.evaluation_owed,
            "digests": dict(self.digests),
            "curriculum": self.curriculum.to_json(),
            "config": self.config.model_dump(mode="json"),
            "versions": provenance(),
        }
        return json.dumps(values, indent=1)

    @staticmethod
    def from_json(text: str, origin: str) -> TrainingState:
        values = json.loads(text)
        return TrainingState(
            values["update"],
            values["skipped_in_a_row"],
            values["world_size"],
            values["stage"],
            CurriculumState.from_json(values["curriculum"]),
            validate(values["config"], origin),
            values["score"],
            values.get("evaluation_owed", False),
            values.get("digests", {}),
        )


def save(
    root: Path,
    learner: Learner,
    state: TrainingState,
    rank: int = 0,
    agree: Agree = agree_alone,
    keep: int = KEEP_LAST,
) -> Path:
    """Write a checkpoint of `learner` under `root`; called by all ranks together. Returns its folder.

    Keeps the last `keep` and the best by score. Raises UserError on every rank if one could not write its
    part; then nothing of this checkpoint is left.
    """
    final = root / name_of(state.update)
    temporary = root / f".{final.name}.tmp"
    if rank == 0:
        shutil.rmtree(temporary, ignore_errors=True)
    failure = _attempt(lambda: temporary.mkdir(parents=True, exist_ok=True))
    errors = agree(failure)  # nobody writes before rank 0 has cleared the folder
    if not errors:
        errors = agree(_attempt(lambda: _write_parts(temporary, learner, state, rank)))
    if not errors:
        errors = agree(_attempt(lambda: _publish(temporary, final, state.world_size)) if rank == 0 else None)
    if errors:
        if rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(
            f"could not save the checkpoint of update {state.update} in {root}: {errors[0]}; "
            f"{_mend(errors[0])}, then resume from the checkpoint before"
        )
    if rank == 0:
        prune(root, final, keep)
    return final


def _mend(reason: str) -> str:
    """What to do about a file system that refused for this reason."""
    if any(os.strerror(code) in reason for code in (errno.ENOSPC, errno.EDQUOT)):
        return "free some space, or choose another --storage-path"
    return "see to it that all processes of the run can write there"


def _attempt(action: Callable[[], None]) -> str | None:
    """Run `action`; the reason if the file system refused."""
    try:
        action()
    except OSError as error:
        return (
            f"{error.strerror or error} ({error.filename})"
            if error.filename
            else str(error.strerror or error)
        )
    return None


def _write_parts(folder: Path, learner: Learner, state: TrainingState, rank: int) -> None:
    tensors, values = learner.rank_state()
    _write_tensors(folder / _tensors_of(rank), tensors)
    write_atomically(folder / _values_of(rank), json.dumps(values))
    if rank:
        return
    _write_tensors(folder / WEIGHTS, learner.model.state_dict())
    if learner.optimisation.averaged is not None:
        _write_tensors(folder / AVERAGED, learner.optimisation.averaged.average)
    _write_tensors(folder / OPTIMIZER, _optimizer_tensors(learner))
    write_atomically(folder / STATE, state.to_json())


def _tensors_of(rank: int) -> str:
    return f"rank-{rank:04d}.safetensors"


def _values_of(rank: int) -> str:
    return f"rank-{rank:04d}.json"


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    content = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    write_atomically(path, content)


def _publish(temporary: Path, final: Path, world_size: int) -> None:
    """Add the manifest and give the folder its final name."""
    for rank in range(world_size):
        if not (temporary / _values_of(rank)).exists():
            raise OSError(f"the part of worker {rank} is not here: all nodes must share the storage path")
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": digest(path)}
        for path in sorted(temporary.iterdir())
    }
    write_atomically(temporary / MANIFEST, json.dumps(files, indent=1))
    if final.exists():  # an earlier attempt got this far before it was interrupted
        shutil.rmtree(final)
    temporary.rename(final)
    directory = os.open(final.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _names(learner: Learner) -> list[str]:
    """Names of the parameters in the order in which the optimiser counts them."""
    names = {id(p): name for name, p in learner.model.named_parameters()}
    return [names[id(p)] for group in learner.optimisation.optimizer.param_groups for p in group["params"]]


def _optimizer_tensors(learner: Learner) -> dict[str, Tensor]:
    """The optimiser's state as `parameter|key`."""
    names = _names(learner)
    state = learner.optimisation.optimizer.state_dict()["state"]
    return {f"{names[i]}|{key}": torch.as_tensor(v) for i, entry in state.items() for key, v in entry.items()}


def read_state(path: Path) -> TrainingState:
    """state.json of a checkpoint. Raises UserError."""
    try:
        return TrainingState.from_json((path / STATE).read_text(), str(path / STATE))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no checkpoint that can be read: {error}") from None


def versions(path: Path) -> dict[str, str]:
    """Of Python, packages and this code, when a checkpoint was saved."""
    found: dict[str, str] = json.loads((path / STATE).read_text())["versions"]
    return found


def refuse_changes(path: Path, state: TrainingState, config: Config) -> None:
    """Raise UserError, naming the fields, if `config` may not resume from this checkpoint."""
    changed = differences(state.config, config)
    if changed:
        raise UserError(
            f"checkpoint {path.name} was made with another configuration: {'; '.join(changed)} "
            "(stored -> asked for); leave these as they were, or start a new run"
        )


def adopt(source: Path, root: Path, config: Config, changeable: Collection[str]) -> Path:
    """Make `source`, a checkpoint of any run, the newest checkpoint under `root`, as if `config` had led to
    it. Weights, optimisers and curriculum are taken over; slots are not, and start on new puzzles. Returns
    its folder.

    changeable: settings in which `config` may differ. Raises UserError if it differs in others, and
    OSError if `source` goes away meanwhile.
    """
    state = read_state(source)
    changed = [line for line in differences(state.config, config) if line.partition(":")[0] not in changeable]
    if changed:
        raise UserError(
            f"checkpoint {source} cannot be resumed with different settings: {'; '.join(changed)}"
        )
    temporary, final = root / f".{source.name}.tmp", root / source.name
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name in (WEIGHTS, AVERAGED, OPTIMIZER):
        if name != AVERAGED or (source / name).exists():
            shutil.copyfile(source / name, temporary / name)
    write_atomically(temporary / STATE, replace(state, config=config, world_size=0).to_json())
    for path in checkpoints(root):
        if path.name > final.name:
            shutil.rmtree(path)
    _publish(temporary, final, world_size=0)
    return final


def load(path: Path, learner: Learner, rank: int = 0, world_size: int = 1) -> TrainingState:
    """Put `learner` where the checkpoint was. With another number of workers the slots start on new puzzles.

    Raises UserError if the configuration differs, naming the fields.
    """
    state = read_state(path)
    refuse_changes(path, state, learner.config)
    learner.model.load_state_dict(_read_tensors(path / WEIGHTS, learner.device))
    averaged = learner.optimisation.averaged
    if averaged is not None:
        for name, value in _read_tensors(path / AVERAGED, learner.device).items():
            averaged.average[name].copy_(value)
    _load_optimizer(learner, _read_tensors_to_keep(path / OPTIMIZER))
    learner.updates, learner.optimisation.skipped_in_a_row = state.update, state.skipped_in_a_row
    if state.world_size == world_size:
        values: dict[str, Any] = json.loads((path / _values_of(rank)).read_text())
        learner.load_rank_state(_read_tensors_to_keep(path / _tensors_of(rank)), values)
    else:
        learner.restart(state.stage)
    return state


def identifiers(path: Path) -> int:
    """Rows of the puzzle-embedding table of a checkpoint, 1 if it has none."""
    try:
        with safe_open(path / WEIGHTS, "pt") as file:
            name = "puzzle_emb.weight"
            return file.get_slice(name).get_shape()[0] if name in file.keys() else 1  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {path / WEIGHTS}: {error}") from None


def load_weights(path: Path, model: torch.nn.Module, weights: Weights) -> None:
    """The weights of a checkpoint for inference. Raises UserError if they cannot be read, do not fit, or are
    averaged ones that the run did not keep."""
    if weights == "ema" and not (path / AVERAGED).exists():
        raise UserError(f"{path} holds no averaged weights (optim.ema_decay was 0): leave out --weights ema")
    try:
        model.load_state_dict(_read_tensors(path / WEIGHTS))
        if weights == "ema":
            model.load_state_dict(_read_tensors(path / AVERAGED), strict=False)
    except RuntimeError:  # torch lists every weight that does not fit
        raise UserError(
            f"{path}: the weights are not those of the network and the task that its {STATE} describes"
        ) from None


def _read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path, device=str(device))
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


def _read_tensors_to_keep(path: Path) -> dict[str, Tensor]:
    """Copies of the tensors of a file, for a learner that keeps working with these very tensors. What
    `_read_tensors` gives are parts of the file's memory and start anywhere; torch's own start at 64 bytes.
    oneMKL rounds products of few columns by where an operand starts, so that without copies a resumed run
    would differ in its last bits from one that never stopped."""
    return {name: value.clone() for name, value in _read_tensors(path).items()}


def _load_optimizer(learner: Learner, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    index = {name: i for i, name in enumerate(_names(learner))}
    for key, value in tensors.items():
        name, _, entry = key.partition("|")
        state.setdefault(index[name], {})[entry] = value
    optimizer = learner.optimisation.optimizer
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
