"""From a configuration to puzzles: the task, the training stream of one worker, and the held-out puzzles."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs import (
    DataError,
    GeneratedSource,
    MixedSource,
    PoolSource,
    PuzzleBatch,
    PuzzleTask,
    ReportProgress,
    fingerprint,
    make_task,
)
from envs.folders.folder import PuzzleFolder
from envs.folders.opening import check_sample, open_puzzles, open_training
from envs.puzzle import Puzzles, PuzzleSource, Selection
from hrm_rl.config import Config
from hrm_rl.data.held_out import (
    evaluated_levels,
    generate_held_out,
    held_out_rng,
    prepare,
    refuse_leaks,
    refuse_small_boards,
    split,
    subset,
    trained_levels,
    without_doubles,
    without_secrets,
)
from hrm_rl.data.kinds import refuse_unfit
from hrm_rl.data.leaks import Keys
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError

ALL_LEVELS = "all"
"""In a curriculum stage: every puzzle of the training file alike, whatever its level."""


@dataclass(frozen=True)
class Data:
    """What one worker learns from and is evaluated on."""

    task: PuzzleTask
    source: PuzzleSource
    """Training stream of this worker."""
    held_out: PuzzleBatch
    """Puzzles that the training stream never shows, the same on every worker."""
    identifiers: int
    """Rows of the puzzle-embedding table."""
    notes: tuple[str, ...] = ()
    """What the user should know before training starts."""


def build_task(config: Config) -> PuzzleTask:
    """The task that `config.env` describes. Raises UserError."""
    options = dict(config.env.options)
    if config.env.size is not None:
        options["size"] = config.env.size
    try:
        return make_task(config.env.task, **options)
    except (ValueError, TypeError) as error:
        raise UserError(f"{error} (--env.task, --env.size, --env.options)") from None


def build_data(
    config: Config,
    rank: int = 0,
    world_size: int = 1,
    progress: ReportProgress = lambda what, done, total: None,
) -> Data:
    """Task, training stream of `rank` and held-out puzzles. progress: told of slow work.
    Raises UserError for wrong files and levels."""
    task = build_task(config)
    refuse_unfit(task, config)
    given = config.data.path or config.data.eval_path
    if config.data.eval_levels and given is not None:
        raise UserError(
            f"data.eval_levels={' '.join(config.data.eval_levels)} says which puzzles to generate and hold "
            f"out, but those held out come from {given}: leave one of the two out"
        )
    if config.data.path is None:
        return _generated(task, config, rank, progress)
    return _from_file(task, config, rank, world_size)


def _generated(task: PuzzleTask, config: Config, rank: int, progress: ReportProgress) -> Data:
    levels = trained_levels(config)
    if ALL_LEVELS in levels:
        raise UserError(
            "a curriculum stage 'all' needs a file of puzzles: give one with --data.path FILE.csv"
        )
    if config.data.max_puzzles is not None:
        raise UserError(
            f"data.max_puzzles={config.data.max_puzzles} takes a part of given puzzles, and these are "
            "generated without end: leave it out, or give a file with --data.path FILE.csv"
        )
    prepare(task, levels, progress)
    notes = task.remarks
    if config.data.eval_path is not None:
        given = open_puzzles(task, Path(config.data.eval_path)).take(slice(None))
        held_out, doubles = without_doubles(given, "held-out puzzles")
        notes += doubles
    else:
        evaluated = evaluated_levels(config)
        prepare(task, evaluated, progress)
        held_out = generate_held_out(task, evaluated, config.data.eval_puzzles, config.seed, progress)
    key = task.invariant if config.data.exclude_twins else fingerprint
    exclude = key(held_out.inputs)
    refuse_small_boards(task, levels, exclude, key, config.data.exclude_twins)
    children = {level: GeneratedSource(task, level, config.seed, rank, exclude, key) for level in levels}
    source = MixedSource(children, config.curriculum.weights(0), config.seed, rank)
    identifiers = max(task.identifiers, int(held_out.identifier.max(initial=0)) + 1)
    return Data(task, source, held_out, identifiers, notes)


def _from_file(task: PuzzleTask, config: Config, rank: int, world_size: int) -> Data:
    assert config.data.path is not None
    path = config.data.path
    pool, test = open_training(task, Path(path))
    notes: tuple[str, ...] = ()
    for part in (pool, test):
        if isinstance(part, PuzzleFolder):
            try:
                notes += check_sample(part)
            except DataError as error:
                check = f"{typed_command('dataset')} --check {shlex.quote(str(part.path))}"
                raise UserError(f"{error}; to check all: {check}") from None
    keys = Keys.of(task, pool)
    _, rows = np.unique(keys.puzzle, return_index=True)  # the first of each set of equal puzzles
    rows = np.sort(rows)
    rows, secrets = without_secrets(rows, keys.secret, path)
    notes += secrets
    groups = pool.groups if isinstance(pool, PuzzleFolder) else None
    if config.data.eval_path is not None or test is not None:
        held_out = _given_held_out(task, config, test)
        held_out, doubles = without_doubles(held_out, "held-out puzzles")
        notes += doubles
        notes += refuse_leaks(task, config, pool, keys, rows, held_out)
    else:
        chosen, rows = split(keys.family, groups, rows, config)
        held_out = pool.take(chosen)
    rows = subset(rows, groups, config)

    exclude = fingerprint(held_out.inputs)
    children: dict[str, PuzzleSource] = {}
    for level in trained_levels(config):
        chosen = rows if level == ALL_LEVELS else _rows_of_level(task, path, keys.level, rows, level)
        if len(chosen) < world_size:
            raise UserError(
                f"{world_size} workers cannot share the {len(chosen)} training puzzles of level '{level}' "
                f"of {path}: take at most {len(chosen)} workers or a larger file"
            )
        children[level] = PoolSource(
            task, Selection(pool, chosen), config.seed, rank, world_size, config.data.augment, exclude
        )
    source = MixedSource(children, config.curriculum.weights(0), config.seed, rank)
    return Data(task, source, held_out, _identifiers(pool, held_out), notes)


def training_puzzles(task: PuzzleTask, config: Config) -> Puzzles | None:
    """Everything that a run might train on, up to symmetry, or None if that is without
    end. Raises DataError."""
    if config.data.path is not None:
        return open_training(task, Path(config.data.path))[0]
    stocks = [stock for level in trained_levels(config) if (stock := task.stock(level)) is not None]
    return PuzzleBatch.concatenate(stocks) if stocks else None


def _given_held_out(task: PuzzleTask, config: Config, test: Puzzles | None) -> PuzzleBatch:
    """All puzzles of `data.eval_path`, else `data.eval_puzzles` at random of what a folder holds out."""
    if config.data.eval_path is not None:
        return open_puzzles(task, Path(config.data.eval_path)).take(slice(None))
    assert test is not None
    order = held_out_rng(config.seed, 1).permutation(len(test))
    return test.take(np.sort(order[: config.data.eval_puzzles]))


def _rows_of_level(
    task: PuzzleTask, path: str, levels: NDArray[np.int64], rows: NDArray[np.int64], level: str
) -> NDArray[np.int64]:
    index = task.levels.index(level) if level in task.levels else None
    chosen = rows[levels[rows] == index]
    if not len(chosen):
        present = [name for i, name in enumerate(task.levels) if (levels[rows] == i).any()]
        raise UserError(
            f"the curriculum asks for level '{level}' but {path} has no such puzzle (it has "
            f"{', '.join(present) or 'none of the known levels'}; '{ALL_LEVELS}' takes every puzzle alike)"
        )
    return chosen


def _identifiers(pool: Puzzles, held_out: PuzzleBatch) -> int:
    """Rows of the puzzle-embedding table that training and evaluation need."""
    stated = pool.identifiers if isinstance(pool, PuzzleFolder) else 1
    return max(stated, int(held_out.identifier.max(initial=0)) + 1)
