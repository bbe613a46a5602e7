"""From a configuration to puzzles: the task, the training stream of one worker, and the held-out puzzles."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs import (
    DataError,
    GeneratedSource,
    MixedSource,
    PoolSource,
    Progress,
    PuzzleBatch,
    PuzzleTask,
    distinct,
    fingerprint,
    make_task,
)
from envs.folders.folder import PuzzleFolder, find_splits, is_folder
from envs.puzzle import Puzzles, PuzzleSource, Selection, Tokens
from hrm_rl.config import Config
from hrm_rl.data.leaks import Keys, twins
from hrm_rl.utils.errors import UserError, nearest

ALL_LEVELS = "all"
"""In a curriculum stage: every puzzle of the training file alike, whatever its level."""

MOST_EXCLUDED = 0.5
"""Share of the puzzles made that may be thrown away because a twin of them is held out."""
CHECKED_EXAMPLES = 1000
"""Examples of a folder that are looked at before it is trained on."""
SAMPLE = 200
"""Puzzles of a level made to measure that share."""

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
    config: Config, rank: int = 0, world_size: int = 1, progress: Progress = lambda what, done, total: None
) -> Data:
    """Task, training stream of `rank` and held-out puzzles. progress: told of slow work.
    Raises UserError for wrong files and levels."""
    task = build_task(config)
    if config.data.required and config.data.path is None:
        raise UserError(
            f"preset '{config.preset}' trains on given puzzles: name them with --data.path FILE.csv (columns "
            "puzzle,solution or question,answer; .gz is fine), or --data.path FOLDER of scripts/build_dataset.py"
        )
    try:
        if config.data.path is None:
            return _generated(task, config, rank, progress)
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
            batches.append(distinct(task.generate(level, max(1, puzzles // len(levels)), rng, held_out=True)))
        except ValueError as error:
            raise UserError(str(error)) from None
    return PuzzleBatch.concatenate(batches)


def prepare(task: PuzzleTask, levels: list[str], progress: Progress) -> None:
    """Make what generating these levels draws on. Raises UserError for a level that is unknown or out of reach."""
    _check_levels(task, levels)
    try:
        task.prepare(levels, progress)
        for level in levels:
            task.generate(level, 1, np.random.default_rng(_HELD_OUT_STREAM))
    except ValueError as error:
        raise UserError(str(error)) from None


def _check_levels(task: PuzzleTask, levels: list[str]) -> None:
    for level in levels:
        if level not in task.levels:
            raise UserError(
                f"unknown level '{level}'{nearest(level, task.levels)} (levels: {', '.join(task.levels)})"
            )


def _generated(task: PuzzleTask, config: Config, rank: int, progress: Progress) -> Data:
    levels = trained_levels(config)
    if ALL_LEVELS in levels:
        raise UserError(
            "a curriculum stage 'all' needs a file of puzzles: give one with --data.path FILE.csv"
        )
    prepare(task, levels, progress)
    if config.data.eval_path is not None:
        held_out = open_puzzles(task, Path(config.data.eval_path)).take(slice(None))
    else:
        held_out = generate_held_out(task, levels, config.data.eval_puzzles, config.seed)
    key = task.invariant if config.data.exclude_twins else fingerprint
    exclude = key(held_out.inputs)
    _refuse_small_boards(task, levels, exclude, key, config.data.exclude_twins)
    children = {level: GeneratedSource(task, level, config.seed, rank, exclude, key) for level in levels}
    source = MixedSource(children, config.curriculum.weights(0), config.seed, rank)
    return Data(task, source, held_out, int(held_out.identifier.max(initial=0)) + 1)


def _refuse_small_boards(
    task: PuzzleTask,
    levels: list[str],
    exclude: NDArray[np.uint64],
    key: Callable[[Tokens], NDArray[np.uint64]],
    twins_too: bool,
) -> None:
    """Refuse to hold out most puzzles of a level, which would leave nothing to train on."""
    for level in levels:
        sample = task.generate(level, SAMPLE, np.random.default_rng(_HELD_OUT_STREAM))
        share = np.isin(key(sample.inputs), exclude).mean()
        if share > MOST_EXCLUDED:
            advice = ", or keep out the held-out puzzles alone (--data.no-exclude-twins)" if twins_too else ""
            raise UserError(
                f"{share:.0%} of {level} {task.name} puzzles are held out{' up to symmetry' if twins_too else ''}, "
                f"which leaves too few to train on: hold out fewer (--data.eval-puzzles){advice}"
            )


def _from_file(task: PuzzleTask, config: Config, rank: int, world_size: int) -> Data:
    assert config.data.path is not None
    path = config.data.path
    pool, test = _open_training(task, Path(path))
    for part in (pool, test):
        if isinstance(part, PuzzleFolder):
            _check_sample(task, part)
    keys = Keys.of(task, pool)
    _, rows = np.unique(keys.puzzle, return_index=True)  # the first of each set of equal puzzles
    rows = np.sort(rows)
    groups = pool.groups if isinstance(pool, PuzzleFolder) else None
    notes: tuple[str, ...] = ()
    if config.data.eval_path is not None or test is not None:
        held_out = _given_held_out(task, config, test)
        notes = _refuse_leaks(task, config, pool, keys, held_out)
    else:
        chosen, rows = _split(keys.family, groups, rows, config)
        held_out = pool.take(chosen)
    rows = _subset(rows, groups, config)

    exclude = fingerprint(held_out.inputs)
    children: dict[str, PuzzleSource] = {}
    for level in trained_levels(config):
        chosen = rows if level == ALL_LEVELS else _rows_of_level(task, path, keys.level, rows, level)
        if len(chosen) < world_size:
            raise UserError(
                f"{world_size} workers cannot share the {len(chosen)} training puzzles of level '{level}' of {path}: "
                f"take at most {len(chosen)} workers or a larger file"
            )
        children[level] = PoolSource(
            task, Selection(pool, chosen), config.seed, rank, world_size, config.data.augment, exclude
        )
    source = MixedSource(children, config.curriculum.weights(0), config.seed, rank)
    return Data(task, source, held_out, _identifiers(pool, held_out), notes)


def open_puzzles(task: PuzzleTask, path: Path) -> Puzzles:
    """Puzzles to judge on: a file, or a folder in the field's format, of which its test split if it has one.
    Raises DataError."""
    if not is_folder(path):
        return task.read(path)
    splits = find_splits(path)
    return PuzzleFolder(splits.test or splits.train, task)


def training_puzzles(task: PuzzleTask, config: Config) -> Puzzles | None:
    """Everything that a run might train on, up to symmetry, or None if that is without end. Raises DataError."""
    if config.data.path is not None:
        return _open_training(task, Path(config.data.path))[0]
    stocks = [stock for level in trained_levels(config) if (stock := task.stock(level)) is not None]
    return PuzzleBatch.concatenate(stocks) if stocks else None


def _open_training(task: PuzzleTask, path: Path) -> tuple[Puzzles, Puzzles | None]:
    """The training puzzles at `path`, and the test puzzles that a folder may have beside them."""
    if not is_folder(path):
        return task.read(path), None
    splits = find_splits(path)
    return PuzzleFolder(splits.train, task), PuzzleFolder(splits.test, task) if splits.test else None


def _check_sample(task: PuzzleTask, folder: PuzzleFolder) -> None:
    """Look at some examples of a folder, or all of a small one, as `build_dataset.py --check` looks at all."""
    rows = np.unique(np.linspace(0, len(folder) - 1, CHECKED_EXAMPLES).astype(np.int64))
    sample = folder.take(rows)
    faults = task.faults(sample.inputs, sample.solution)
    if faults:
        first = min(faults)
        raise DataError(
            f"{folder.path}: example {rows[first]}: {faults[first]}; to check all: "
            f"python scripts/build_dataset.py --check {shlex.quote(str(folder.path))}"
        )


def _given_held_out(task: PuzzleTask, config: Config, test: Puzzles | None) -> PuzzleBatch:
    """All puzzles of `data.eval_path`, else `data.eval_puzzles` at random of a folder's test split."""
    if config.data.eval_path is not None:
        return open_puzzles(task, Path(config.data.eval_path)).take(slice(None))
    assert test is not None
    order = np.random.default_rng([config.seed, _HELD_OUT_STREAM, 1]).permutation(len(test))
    return test.take(np.sort(order[: config.data.eval_puzzles]))


def _refuse_leaks(
    task: PuzzleTask, config: Config, pool: Puzzles, keys: Keys, held_out: PuzzleBatch
) -> tuple[str, ...]:
    """Refuse held-out puzzles that are in the training set up to symmetry, or warn if that is wished."""
    in_pool, in_held_out = twins(task, pool, keys.family, held_out)
    if not in_held_out.any():
        return ()
    where = config.data.eval_path or f"the test split of {config.data.path}"
    found = (
        f"{in_held_out.sum()} of the {len(held_out)} held-out puzzles of {where} are also in the training set "
        f"{config.data.path}, as they are or under a symmetry (the first: held-out puzzle "
        f"{np.argmax(in_held_out) + 1}, training puzzle {np.argmax(in_pool) + 1})"
    )
    if config.data.leaks == "refuse":
        raise UserError(f"{found}: remove them from one of the two, or go on with --data.leaks warn")
    return (f"warning: {found}; held-out accuracy will look too good",)


def _split(
    family: NDArray[np.uint64],
    groups: NDArray[np.int64] | None,
    rows: NDArray[np.int64],
    config: Config,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to hold out, one of each family, and rows to train on: none of the held-out families or groups."""
    _, first = np.unique(family[rows], return_index=True)
    families = rows[np.sort(first)]
    count = min(config.data.eval_puzzles, max(1, len(families) // 10))
    if count >= len(families):
        raise UserError(
            f"{config.data.path} holds {len(families)} puzzle up to symmetry: too few to train on and to hold one "
            "out; give held-out puzzles with --data.eval-path"
        )
    order = np.random.default_rng([config.seed, _HELD_OUT_STREAM, 1]).permutation(len(families))
    chosen = families[np.sort(order[:count])]
    kept = ~np.isin(family[rows], family[chosen])
    if groups is not None:
        kept &= ~np.isin(groups[rows], groups[chosen])
    return chosen, rows[kept]


def _subset(rows: NDArray[np.int64], groups: NDArray[np.int64] | None, config: Config) -> NDArray[np.int64]:
    """`data.max_puzzles` of the rows at random, with all symmetric versions that a folder's groups hold of each."""
    unit = rows if groups is None else groups[rows]
    units = np.unique(unit)
    order = np.random.default_rng([config.seed, _HELD_OUT_STREAM, 2]).permutation(len(units))
    return rows[np.isin(unit, units[order[: config.data.max_puzzles]])]


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
    """Rows of the puzzle-embedding table that training and judging need."""
    stated = pool.identifiers if isinstance(pool, PuzzleFolder) else 1
    return max(stated, int(held_out.identifier.max(initial=0)) + 1)
