"""From a configuration to puzzles: the task, the training stream of one worker, and the held-out puzzles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs import DataError, GeneratedSource, MixedSource, PoolSource, PuzzleBatch, fingerprint, make_task
from envs.puzzle import PuzzleSource
from envs.task import PuzzleTask
from hrm_rl.config import Config
from hrm_rl.errors import UserError, nearest

ALL_LEVELS = "all"
"""In a curriculum stage: every puzzle of the training file alike, whatever its level."""

_HELD_OUT_STREAM = 0x6865_6C64  # keeps the held-out puzzles' seed apart from every training rank's


@dataclass(frozen=True)
class Data:
    """What one worker learns from and is judged on."""

    task: PuzzleTask
    source: PuzzleSource
    """Training stream of this worker."""
    held_out: PuzzleBatch
    """Puzzles that the training stream never shows, the same on every worker."""
    identifiers: int
    """Rows of the puzzle-embedding table."""


def build_task(config: Config) -> PuzzleTask:
    """The task that `config.env` describes. Raises UserError."""
    options = dict(config.env.options)
    if config.env.size is not None:
        options["size"] = config.env.size
    try:
        return make_task(config.env.task, **options)
    except (ValueError, TypeError) as error:
        raise UserError(f"{error} (--env.task, --env.size, --env.options)") from None


def build_data(config: Config, rank: int = 0, world_size: int = 1) -> Data:
    """Task, training stream of `rank` and held-out puzzles. Raises UserError for wrong files and levels."""
    task = build_task(config)
    if config.data.required and config.data.path is None:
        raise UserError(
            f"preset '{config.preset}' trains on a file of puzzles: give one with --data.path FILE.csv "
            "(columns puzzle,solution or question,answer; .gz is fine)"
        )
    try:
        if config.data.path is None:
            return _generated(task, config, rank)
        return _from_file(task, config, rank, world_size)
    except DataError as error:
        raise UserError(str(error)) from None


def held_out_rng(seed: int) -> np.random.Generator:
    """The random stream that held-out puzzles are made from."""
    return np.random.default_rng([seed, _HELD_OUT_STREAM])


def trained_levels(config: Config) -> list[str]:
    """Levels of all stages of the curriculum, in order of appearance."""
    stages = range(len(config.curriculum.stages))
    return list(dict.fromkeys(name for stage in stages for name in config.curriculum.weights(stage)))


def generate_held_out(task: PuzzleTask, levels: list[str], puzzles: int, seed: int) -> PuzzleBatch:
    """`puzzles` different generated puzzles, divided evenly among `levels`, fewer where a small board has
    no more. Raises UserError for an unknown level."""
    rng = held_out_rng(seed)
    batches = []
    _check_levels(task, levels)
    for level in levels:
        try:
            batches.append(
                _distinct(task.generate(level, max(1, puzzles // len(levels)), rng, held_out=True))
            )
        except ValueError as error:
            raise UserError(str(error)) from None
    return PuzzleBatch.concatenate(batches)


def _check_levels(task: PuzzleTask, levels: list[str]) -> None:
    for level in levels:
        if level not in task.levels:
            raise UserError(
                f"unknown level '{level}'{nearest(level, task.levels)} (levels: {', '.join(task.levels)})"
            )


def _generated(task: PuzzleTask, config: Config, rank: int) -> Data:
    levels = trained_levels(config)
    if ALL_LEVELS in levels:
        raise UserError(
            "a curriculum stage 'all' needs a file of puzzles: give one with --data.path FILE.csv"
        )
    _check_levels(task, levels)
    if config.data.eval_path is not None:
        held_out = task.read(Path(config.data.eval_path))
    else:
        held_out = generate_held_out(task, levels, config.data.eval_puzzles, config.seed)
    exclude = np.sort(fingerprint(held_out.inputs))
    children = {level: GeneratedSource(task, level, config.seed, rank, exclude=exclude) for level in levels}
    source = MixedSource(children, config.curriculum.weights(0), config.seed, rank)
    return Data(task, source, held_out, identifiers=1)


def _from_file(task: PuzzleTask, config: Config, rank: int, world_size: int) -> Data:
    assert config.data.path is not None
    path = config.data.path
    puzzles = _distinct(task.read(Path(path)))
    order = np.random.default_rng([config.seed, _HELD_OUT_STREAM, 1]).permutation(len(puzzles))
    if config.data.eval_path is not None:
        held_out = task.read(Path(config.data.eval_path))
        shared = np.isin(fingerprint(held_out.inputs), fingerprint(puzzles.inputs))
        if shared.any():
            raise UserError(
                f"{shared.sum()} of the {len(held_out)} held-out puzzles of {config.data.eval_path} are also in "
                f"the training file {path}: remove them from one of the two"
            )
    else:
        count = min(config.data.eval_puzzles, max(1, len(puzzles) // 10))
        if count >= len(puzzles):
            raise UserError(f"{path} holds {len(puzzles)} puzzle: too few to train on and to hold one out")
        held_out = puzzles.take(np.sort(order[:count]))
        order = order[count:]
    training = puzzles.take(np.sort(order[: config.data.max_puzzles]))

    exclude = fingerprint(held_out.inputs)
    children: dict[str, PuzzleSource] = {}
    for level in trained_levels(config):
        if level == ALL_LEVELS:
            chosen = training
        else:
            index = task.levels.index(level) if level in task.levels else None
            chosen = training.take(training.level == index)
        if not len(chosen):
            present = [name for i, name in enumerate(task.levels) if (training.level == i).any()]
            raise UserError(
                f"the curriculum asks for level '{level}' but {path} has no such puzzle (it has "
                f"{', '.join(present) or 'none of the known levels'}; '{ALL_LEVELS}' takes every puzzle alike)"
            )
        if len(chosen) < world_size:
            raise UserError(
                f"{world_size} workers cannot share the {len(chosen)} training puzzles of level '{level}' of {path}: "
                f"take at most {len(chosen)} workers or a larger file"
            )
        children[level] = PoolSource(
            task, chosen, config.seed, rank, world_size, augment=config.data.augment, exclude=exclude
        )
    source = MixedSource(children, config.curriculum.weights(0), config.seed, rank)
    return Data(task, source, held_out, identifiers=int(puzzles.identifier.max()) + 1)


def _distinct(puzzles: PuzzleBatch) -> PuzzleBatch:
    """The first of each set of equal puzzles, in order."""
    _, first = np.unique(fingerprint(puzzles.inputs), return_index=True)
    return puzzles.take(np.sort(first))
