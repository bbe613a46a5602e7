"""Data sets for training: puzzles from a generator or a file, split so that nothing held out is
trained on, and written as folders.

A *base* puzzle is one as it was made or read; two puzzles are *twins* if a symmetry turns one into the other.
Everything is a function of the arguments, seed included, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch, PuzzleTask, ReportProgress, distinct, fingerprint
from envs.folders.rows import PuzzleFile
from envs.folders.writer import new_folder, write_identifiers, write_json, write_split
from envs.puzzle import Collection
from hrm_rl.data.leaks import family_of, twins
from hrm_rl.utils.errors import UserError

# What the random numbers are for.
_TRAIN, _TEST, _ORDER, _AUGMENT = range(4)

GENERATED_AT_ONCE = 8192
LEAST_GENERATED = 1024
"""Even if few puzzles are missing: most of what a small board gives is known already."""
FRUITLESS_ROUNDS = 20
"""Rounds of generation without a new puzzle after which there are taken to be no more."""

WRITTEN_AT_ONCE = 16_384
"""Examples in memory at a time while versions are made."""
VERSION_ROUNDS, LEAST_VERSIONS = 12, 16
"""How often versions are drawn for puzzles that lack some, and how many at least each time: 192 draws miss
one of the eight versions of a maze once in 10^10."""

Chunks = Iterable[tuple[PuzzleBatch, NDArray[np.int64]]]
"""Examples, and the number of examples of each group among them."""

DEFAULT_TEST_SHARE, DEFAULT_TEST_MOST = 10, 1000
"""Held out of a file if nothing else is said: one in 10 puzzles, at most 1000."""


@dataclass(frozen=True)
class Base:
    """The base puzzles of a data set."""

    train: PuzzleBatch
    test: PuzzleBatch
    """No twin of any training puzzle; may be empty."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


def generate(
    task: PuzzleTask,
    weights: Mapping[str, float],
    puzzles: int,
    test_puzzles: int,
    seed: int,
    progress: ReportProgress,
) -> Base:
    """`puzzles` and `test_puzzles` new puzzles with levels in the proportions of `weights`.

    No two are twins, unless the generator has too few that are not: then training puzzles are at least
    different. Raises UserError where it has too few of those.
    """
    levels = list(weights)
    task.prepare(levels, progress)
    parts: dict[int, list[PuzzleBatch]] = {_TEST: [], _TRAIN: []}
    taken: set[int] = set()  # canonical forms
    twin_count = 0
    for purpose, total in ((_TEST, test_puzzles), (_TRAIN, puzzles)):
        test_forms = set() if purpose == _TEST else set(taken)
        for level, count in shares(weights, total).items():
            rng = np.random.default_rng([seed, purpose, task.levels.index(level)])
            found, extra = _different(task, level, count, rng, purpose == _TEST, taken, test_forms, progress)
            if len(found) < count:
                raise UserError(
                    f"only {len(found):,} of {count:,} different "
                    f"{'test' if purpose == _TEST else 'training'} puzzles of level '{level}' could be "
                    "made, and none may be a symmetric version of a test puzzle: ask for fewer, or for "
                    "another level (a task that keeps rare puzzles on disk may be told to keep more: "
                    "--options cache N)"
                )
            parts[purpose].append(found)
            twin_count += extra
    batches = {
        purpose: _shuffled(pieces, np.random.default_rng([seed, _ORDER, purpose]))
        for purpose, pieces in parts.items()
    }
    notes = []
    if twin_count:
        notes.append(
            f"{twin_count:,} of the training puzzles are symmetric versions of others: there are no more"
        )
    return Base(batches[_TRAIN], batches[_TEST], tuple(notes))


def shares(weights: Mapping[str, float], total: int) -> dict[str, int]:
    """`total` in whole numbers in these proportions (largest remainders)."""
    exact = {level: total * weight / sum(weights.values()) for level, weight in weights.items()}
    whole = {level: int(value) for level, value in exact.items()}
    by_remainder = sorted(exact, key=lambda level: whole[level] - exact[level])
    for level in by_remainder[: total - sum(whole.values())]:
        whole[level] += 1
    return whole


def _different(
    task: PuzzleTask,
    level: str,
    count: int,
    rng: np.random.Generator,
    held_out: bool,
    taken: set[int],
    test_forms: set[int],
    progress: ReportProgress,
) -> tuple[PuzzleBatch, int]:
    """At most `count` puzzles of a level and how many of them are twins of others.

    taken: canonical forms that there are already; grows. test_forms: those that not even a twin may have.
    """
    pieces: list[PuzzleBatch] = []
    reserve: list[PuzzleBatch] = []  # twins of training puzzles, in case there is nothing else
    exact: set[int] = set()  # fingerprints of the puzzles in both
    have = spare = fruitless = 0
    what = f"generating {level} {'test' if held_out else 'training'} puzzles"
    while have < count and fruitless < FRUITLESS_ROUNDS:
        size = min(task.at_once or GENERATED_AT_ONCE, max(LEAST_GENERATED, count - have))
        batch = task.generate(level, size, rng, held_out)
        forms = fingerprint(task.canonical(batch.inputs)).tolist()
        prints = fingerprint(batch.inputs).tolist()
        new: list[int] = []
        twin: list[int] = []
        for row, (form, one) in enumerate(zip(forms, prints, strict=True)):
            if form not in taken and have + len(new) < count:
                new.append(row)
                taken.add(form)
                exact.add(one)
            elif not held_out and form not in test_forms and one not in exact and spare + len(twin) < count:
                twin.append(row)
                exact.add(one)
        pieces.append(batch.take(np.array(new, np.int64)))
        reserve.append(batch.take(np.array(twin, np.int64)))
        have, spare = have + len(new), spare + len(twin)
        fruitless = 0 if new else fruitless + 1
        progress(what, have, count)
    extra = min(count - have, spare)
    if not pieces:
        return empty(task), 0
    return PuzzleBatch.concatenate([*pieces, PuzzleBatch.concatenate(reserve).take(slice(extra))]), extra


def from_file(
    file: PuzzleFile,
    test_file: PuzzleFile | None,
    task: PuzzleTask,
    subsample: int | None,
    test_puzzles: int | None,
    seed: int,
    progress: ReportProgress,
) -> Base:
    """Base puzzles from files.

    test_file: where held-out puzzles come from; without it some are taken from `file`.
    subsample: training puzzles to take at random; None for all.
    test_puzzles: held-out ones to take at random; None for all of `test_file`, else for a tenth, at most
    1000. Equal puzzles are taken once, training puzzles that are twins of held-out ones not at all. Raises
    DataError for bad rows, UserError for too few puzzles.
    """
    order = np.random.default_rng([seed, _TRAIN]).permutation(file.rows)
    if test_file is not None:
        test_order = np.random.default_rng([seed, _TEST]).permutation(test_file.rows)
        wanted = len(test_order) if test_puzzles is None else min(test_puzzles, len(test_order))
        test, _ = _collect(task, test_file, test_order, wanted, "reading test puzzles", progress)
    else:
        if test_puzzles is None:
            test_puzzles = min(DEFAULT_TEST_MOST, len(order) // DEFAULT_TEST_SHARE)
        if test_puzzles >= len(order):
            raise UserError(
                f"{file.path} has {len(order):,} puzzles: {test_puzzles:,} cannot be held out of them "
                "(--test-puzzles)"
            )
        test, used = _collect(task, file, order, test_puzzles, "reading test puzzles", progress)
        order = order[used:]

    test_family = family_of(task, test)
    twin_count = 0

    def no_twins(batch: PuzzleBatch) -> NDArray[np.bool_]:
        nonlocal twin_count
        family = family_of(task, batch)
        suspects = np.flatnonzero(np.isin(family, test_family))
        accepted = ~task.secret(batch)
        if len(suspects):
            similar = test.take(np.isin(test_family, family[suspects]))
            leaked, _ = twins(task, batch.take(suspects), family[suspects], similar)
            accepted[suspects] &= ~leaked
            twin_count += int(leaked.sum())
        return accepted

    wanted = len(order) if subsample is None else subsample
    train, _ = _collect(task, file, order, wanted, "reading training puzzles", progress, no_twins)
    notes = []
    if twin_count:
        notes.append(f"left out {twin_count:,} training puzzles that match a held-out one up to symmetry")
    if not len(train) or (subsample is not None and len(train) < subsample):
        raise UserError(
            f"{file.path} has {len(train):,} different training puzzles besides the {len(test):,} held out, "
            f"not {wanted:,}{'; ' + notes[0] if notes else ''} (--subsample, --test-puzzles)"
        )
    return Base(train, test, tuple(notes))


def _collect(
    task: PuzzleTask,
    file: PuzzleFile,
    order: NDArray[np.int64],
    wanted: int,
    what: str,
    progress: ReportProgress,
    accept: Callable[[PuzzleBatch], NDArray[np.bool_]] | None = None,
) -> tuple[PuzzleBatch, int]:
    """The first `wanted` different accepted puzzles of the rows `order`, fewer where there are no more, and
    how many rows that took. They come in the order of the file."""
    batch, used = empty(task), 0
    while len(batch) < wanted and used < len(order):
        rows = np.sort(order[used : used + wanted - len(batch)])
        used += len(rows)
        pieces, read = [batch], 0
        for piece in file.read(rows):
            read += len(piece)
            pieces.append(piece if accept is None else piece.take(accept(piece)))
            progress(what, read, len(rows))
        batch = distinct(PuzzleBatch.concatenate(pieces))
    return batch, used


def write(task: PuzzleTask, base: Base, num_aug: int, seed: int, out: Path, progress: ReportProgress) -> int:
    """Write the folder `out`; each training puzzle is a group with `num_aug` further versions. Returns the
    number of training examples. Raises DataError where there is something at `out`."""
    written = 0

    def counted() -> Iterator[tuple[PuzzleBatch, NDArray[np.int64]]]:
        nonlocal written
        done = 0
        rng = np.random.default_rng([seed, _AUGMENT])
        for batch, sizes in versions(task, base.train, num_aug, rng):
            yield batch, sizes
            written += len(batch)
            done += len(sizes)
            progress("writing training puzzles", done, len(base.train))

    with new_folder(out) as folder:
        known = 1 + max(int(b.identifier.max(initial=0)) for b in (base.train, base.test))
        identifiers = max(task.identifiers, known)
        write_split(folder / "train", task, counted(), identifiers)
        if len(base.test):
            groups = np.ones(len(base.test), np.int64)
            write_split(folder / "test", task, [(base.test, groups)], identifiers)
        write_identifiers(folder, task.identity_names())
    return written


def write_collection(collection: Collection, task: PuzzleTask, out: Path, progress: ReportProgress) -> None:
    """Write all of a task's data as the folder `out`. Raises DataError where there is something at `out`."""

    def counted(what: str, chunks: Chunks) -> Chunks:
        done = 0
        for batch, sizes in chunks:
            yield batch, sizes
            done += len(batch)
            progress(f"writing {what} examples", done, done)

    with new_folder(out) as folder:
        write_split(folder / "train", task, counted("training", collection.train))
        write_split(folder / "test", task, counted("test", collection.test))
        write_identifiers(folder, task.identity_names())
        write_json(folder, collection.files)


def versions(
    task: PuzzleTask, puzzles: PuzzleBatch, num_aug: int, rng: np.random.Generator
) -> Iterator[tuple[PuzzleBatch, NDArray[np.int64]]]:
    """Each puzzle followed by at most `num_aug` different versions of it under symmetries, chunk
    by chunk, with the number of examples of each puzzle. There are fewer only where hardly any
    more exist: a maze has eight in all."""
    step = max(1, WRITTEN_AT_ONCE // (num_aug + 1))
    for start in range(0, len(puzzles), step):
        yield _with_versions(task, puzzles.take(slice(start, start + step)), num_aug, rng)


def _with_versions(
    task: PuzzleTask, puzzles: PuzzleBatch, num_aug: int, rng: np.random.Generator
) -> tuple[PuzzleBatch, NDArray[np.int64]]:
    count = len(puzzles)
    batch, owner = puzzles, np.arange(count)  # the puzzle that each example is a version of
    sizes = np.ones(count, np.int64)
    for _ in range(VERSION_ROUNDS):
        lacking = np.flatnonzero(sizes <= num_aug)
        if not len(lacking):
            break
        drawn_owner = np.repeat(lacking, np.maximum(num_aug + 1 - sizes[lacking], LEAST_VERSIONS))
        drawn = task.augment(puzzles.take(drawn_owner), rng)
        batch, owner = PuzzleBatch.concatenate([batch, drawn]), np.concatenate([owner, drawn_owner])
        # Of equal versions of a puzzle the first, which keeps the puzzle itself; then the first num_aug + 1.
        keys = np.stack([owner.astype(np.uint64), fingerprint(batch.inputs)], axis=1)
        first = np.sort(np.unique(keys, axis=0, return_index=True)[1])
        first = first[np.argsort(owner[first], kind="stable")]
        held = np.bincount(owner[first], minlength=count)
        place = np.arange(len(first)) - np.repeat(np.cumsum(held) - held, held)
        first = first[place <= num_aug]
        batch, owner = batch.take(first), owner[first]
        sizes = np.bincount(owner, minlength=count)
    return batch, sizes


def empty(task: PuzzleTask) -> PuzzleBatch:
    """No puzzles."""
    tokens = np.zeros((0, task.length), np.uint8)
    return PuzzleBatch(tokens, tokens, np.zeros(0, np.int64), np.zeros(0, np.int64))


def _shuffled(pieces: list[PuzzleBatch], rng: np.random.Generator) -> PuzzleBatch:
    batch = PuzzleBatch.concatenate(pieces)
    return batch.take(rng.permutation(len(batch)))
