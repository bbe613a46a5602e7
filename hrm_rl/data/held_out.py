"""The puzzles that are held out: made or split off, and never trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from envs import (
    PuzzleBatch,
    PuzzleTask,
    ReportProgress,
    distinct,
)
from envs.puzzle import Puzzles, Selection, Tokens
from hrm_rl.config import Config
from hrm_rl.data.leaks import Keys, twins
from hrm_rl.utils.errors import UserError

MOST_EXCLUDED = 0.5
"""Share of the puzzles made that may be thrown away because a twin of them is held out."""
SAMPLE = 200
"""Puzzles of a level made to measure that share."""
_HELD_OUT_STREAM = 0x6865_6C64  # keeps the held-out puzzles' seed apart from every training rank's


def held_out_rng(seed: int, *more: int) -> np.random.Generator:
    """The random stream that held-out puzzles are made from; with more numbers, one that chooses puzzles."""
    return np.random.default_rng([seed, _HELD_OUT_STREAM, *more])


def trained_levels(config: Config) -> list[str]:
    """Levels of all stages of the curriculum, in order of appearance."""
    stages = range(len(config.curriculum.stages))
    return list(dict.fromkeys(name for stage in stages for name in config.curriculum.weights(stage)))


def evaluated_levels(config: Config) -> list[str]:
    """Levels of which puzzles are generated and held out: those asked for, else those trained on."""
    return list(dict.fromkeys(config.data.eval_levels)) or trained_levels(config)


def generate_held_out(
    task: PuzzleTask,
    levels: list[str],
    puzzles: int,
    seed: int,
    progress: ReportProgress = lambda what, done, total: None,
) -> PuzzleBatch:
    """`puzzles` different generated puzzles, divided evenly among `levels`, fewer where a small board has
    no more. progress: told of levels that take long. Raises UserError for an unknown level."""
    rng = held_out_rng(seed)
    count = max(1, puzzles // len(levels))
    batches = []
    for level in levels:
        task.level_index(level)  # a task of the user's own need not check
        made = []
        for start in range(0, count, task.at_once or count):
            if task.at_once:
                progress(f"generating {level} held-out puzzles", start, count)
            made.append(task.generate(level, min(task.at_once or count, count - start), rng, held_out=True))
        batches.append(distinct(PuzzleBatch.concatenate(made)))
    return PuzzleBatch.concatenate(batches)


def prepare(task: PuzzleTask, levels: list[str], progress: ReportProgress) -> None:
    """Make what generating these levels draws on. Raises UserError for a level that is
    unknown or out of reach."""
    for level in levels:
        task.level_index(level)
    task.prepare(levels, progress)
    for level in levels:
        task.generate(level, 1, np.random.default_rng(_HELD_OUT_STREAM))


def refuse_small_boards(
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
                f"{share:.0%} of {level} {task.name} puzzles are held "
                f"out{' up to symmetry' if twins_too else ''}, which leaves too few to train on: hold out "
                f"fewer (--data.eval-puzzles){advice}"
            )


def refuse_leaks(
    task: PuzzleTask,
    config: Config,
    pool: Puzzles,
    keys: Keys,
    rows: NDArray[np.int64],
    held_out: PuzzleBatch,
) -> tuple[str, ...]:
    """Refuse held-out puzzles that are in the training set, `rows` of the pool, up to symmetry, or warn if
    the settings say so."""
    in_pool, in_held_out = twins(task, Selection(pool, rows), keys.family[rows], held_out)
    if not in_held_out.any():
        return ()
    where = config.data.eval_path or f"the test split of {config.data.path}"
    found = (
        f"{in_held_out.sum()} of the {len(held_out)} held-out puzzles of {where} are also in the training "
        f"set {config.data.path}, as they are or under a symmetry (the first: held-out puzzle "
        f"{np.argmax(in_held_out) + 1}, training puzzle {rows[np.argmax(in_pool)] + 1})"
    )
    if config.data.leaks == "refuse":
        raise UserError(f"{found}: remove them from one of the two, or train anyway with --data.leaks warn")
    return (f"warning: {found}; held-out accuracy will look too good",)


def without_doubles(puzzles: PuzzleBatch, what: str) -> tuple[PuzzleBatch, tuple[str, ...]]:
    """The puzzles, each once, and what to say of the others, which would make means look surer than they are.
    what: how the note calls the puzzles."""
    once = distinct(puzzles)
    if len(once) == len(puzzles):
        return puzzles, ()
    return once, (
        f"left out {len(puzzles) - len(once):,} of the {len(puzzles):,} {what}: they occur before, and each "
        "counts once",
    )


def without_secrets(
    rows: NDArray[np.int64], secret: NDArray[np.bool_], path: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The rows of a file that may be trained on, and what to say of the others. secret: (N,) of all its rows.
    Raises UserError where none is left."""
    kept = rows[~secret[rows]]
    if len(kept) == len(rows):
        return rows, ()
    if not len(kept):
        raise UserError(
            f"{path} holds nothing but held-out puzzles with their solutions, which are never trained on: "
            "evaluate on it (--data.eval-path) and train on something else"
        )
    return kept, (
        f"left out {len(rows) - len(kept):,} of the {len(rows):,} puzzles of {path}: they are held-out ones, "
        "in this or another form, with their solutions",
    )


def split(
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
            f"{config.data.path} holds {len(families)} puzzle up to symmetry: too few to train on and to "
            "hold one out; give held-out puzzles with --data.eval-path"
        )
    order = held_out_rng(config.seed, 1).permutation(len(families))
    chosen = families[np.sort(order[:count])]
    kept = ~np.isin(family[rows], family[chosen])
    if groups is not None:
        kept &= ~np.isin(groups[rows], groups[chosen])
    return chosen, rows[kept]


def subset(rows: NDArray[np.int64], groups: NDArray[np.int64] | None, config: Config) -> NDArray[np.int64]:
    """`data.max_puzzles` of the rows at random, with all symmetric versions that a
    folder's groups hold of each."""
    unit = rows if groups is None else groups[rows]
    units = np.unique(unit)
    order = held_out_rng(config.seed, 2).permutation(len(units))
    return rows[np.isin(unit, units[order[: config.data.max_puzzles]])]
