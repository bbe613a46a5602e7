"""Mazes of rare levels, made once and kept on disk.

A pool holds `count` mazes and a tenth more that are held out. It is a function of what its file name says,
whoever makes it with however many threads: maze i comes from a seed of its own, and goes to the held-out part
or to the other by a hash that its symmetries share, so that no maze of one part is symmetric to one of the
other.

Files lie in the folder that HRM_RL_CACHE names, else in $XDG_CACHE_HOME/hrm_rl, else in ~/.cache/hrm_rl. They
may be deleted at any time; one that is damaged is made again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

try:
    import fcntl
except ImportError:  # Windows: two processes may make the same mazes, and both keep them
    fcntl = None  # type: ignore[assignment]

from envs.cores import usable_cpus
from envs.maze.generator import CHUNK, advance
from envs.maze.grid import GOAL, WALL
from envs.maze.levels import Level
from envs.maze.rule import label
from envs.maze.symmetries import canonical
from envs.puzzle import Tokens, fingerprint
from envs.task import ReportProgress

VERSION = 1
"""To be raised when the same seeds begin to give other mazes."""

_HELD_OUT_ONE_IN = 11
_SAVE_EVERY = 20.0
"""Seconds between saves of an unfinished pool, which a later call resumes from."""


class Pool(NamedTuple):
    """Mazes of one level, as tokens (N, n*n) each."""

    training: Tokens
    held_out: Tokens

    def part(self, held_out: bool) -> Tokens:
        return self.held_out if held_out else self.training


class Pools:
    """The pools of one task: each is made or read when it is first asked for."""

    def __init__(self, count: int, seed: int) -> None:
        """count: mazes of the part that is not held out.  seed: makes other mazes."""
        self.count = count
        self.seed = seed
        self._loaded: dict[Level, Pool] = {}

    def of(self, level: Level, progress: ReportProgress) -> Pool:
        """The pool of a level, from memory, from disk or made now. Of several processes that ask at once one
        makes it and the others wait. Where the folder cannot be written to, the pool is kept in memory alone.

        Raises UserError for a level that is too rare.
        """
        if level not in self._loaded:
            self._loaded[level] = self._read_or_make(level, progress)
        return self._loaded[level]

    def __getstate__(self) -> dict[str, object]:
        """What a copy has: a dictionary of its own, since a background thread may be adding to this one."""
        return {**self.__dict__, "_loaded": dict(self._loaded)}

    def path(self, level: Level) -> Path:
        """The file of a level's pool."""
        kind = f"{level.size}x{level.size}-{level.fewest}-{level.most}-unbiased"
        name = f"maze-{kind}-{self.count}-seed{self.seed}-v{VERSION}.npz"
        return cache_folder() / name

    def _read_or_make(self, level: Level, progress: ReportProgress) -> Pool:
        path = self.path(level)
        parts = (self.count, -(-self.count // 10))
        pool = _read(path, level, parts)
        if pool is not None:
            return pool
        making = _Making(level, self.seed, parts, path.with_suffix(".unfinished.npz"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lock(path.with_suffix(".lock"), making.what, progress):
                pool = _read(path, level, parts)  # another process may have made it meanwhile
                if pool is None:
                    pool = making.run(progress)
                    _write(path, pool._asdict())
                    making.partial.unlink(missing_ok=True)
                return pool
        except OSError as error:
            print(f"warning: {path} cannot be kept ({error.strerror})", file=sys.stderr)
            return making.run(progress)


class _Making:
    """The work of making one pool."""

    def __init__(self, level: Level, seed: int, parts: tuple[int, int], partial: Path) -> None:
        self.level = level
        self.key = [seed, level.size, level.fewest, level.most, 0]  # 0: the rule, when there were two
        self.parts = parts
        self.partial = partial
        self.what = f"{level.size}x{level.size} mazes with paths of {level.fewest} or more cells"
        self.mazes: list[Tokens] = []  # those made so far, from the seeds 0, 1, 2, ...
        self.counts = [0, 0]  # how many of them belong to each part

    def run(self, progress: ReportProgress) -> Pool:
        """Make the mazes on all cores. They are saved from time to time, and when this is interrupted."""
        for maze in [] if self.mazes else _read_partial(self.partial, self.level):
            self._keep(maze)
        threads = usable_cpus()
        stop = Event()
        running: dict[int, Future[Tokens | None]] = {}
        saved = time.monotonic()
        with ThreadPoolExecutor(threads) as executor:
            try:
                self._report(progress)
                while not self._complete():
                    for index in range(len(self.mazes), len(self.mazes) + 16 * threads):
                        if index not in running:
                            running[index] = executor.submit(self._make, index, stop)
                    unfinished = [future for future in running.values() if not future.done()]
                    wait(unfinished, timeout=0.5, return_when=FIRST_COMPLETED)
                    while not self._complete() and running[len(self.mazes)].done():
                        maze = running.pop(len(self.mazes)).result()
                        assert maze is not None  # only `stop` ends the work on a maze early
                        self._keep(maze)
                        if len(self.mazes) not in running:
                            break
                    self._report(progress)
                    if time.monotonic() > saved + _SAVE_EVERY:
                        self._save()
                        saved = time.monotonic()
            finally:
                stop.set()
                self._save()
        mazes = np.stack(self.mazes)
        held_out = _is_held_out(mazes, self.level.size)
        return Pool(mazes[~held_out][: self.parts[0]], mazes[held_out][: self.parts[1]])

    def _make(self, index: int, stop: Event) -> Tokens | None:
        """The maze (n*n,) of one seed."""
        seeds = np.random.SeedSequence([*self.key, index]).generate_state(1, np.uint64).astype(np.uint64)
        tries, maze = np.zeros(1, np.int64), np.empty((1, self.level.size**2), np.uint8)
        while not stop.is_set():
            if advance(self.level, seeds, tries, maze, CHUNK):
                return maze[0]
        return None

    def _keep(self, maze: Tokens) -> None:
        self.mazes.append(maze)
        self.counts[int(_is_held_out(maze[None], self.level.size)[0])] += 1

    def _report(self, progress: ReportProgress) -> None:
        progress(self.what, sum(map(min, self.counts, self.parts)), sum(self.parts))

    def _complete(self) -> bool:
        return self.counts[0] >= self.parts[0] and self.counts[1] >= self.parts[1]

    def _save(self) -> None:
        if self.mazes:
            with suppress(OSError):  # what cannot be kept is only made again
                _write(self.partial, {"mazes": np.stack(self.mazes)})


def cache_folder() -> Path:
    """Where things that took long to make are kept. A user without a home folder has it in the temporary
    one."""
    named = os.environ.get("HRM_RL_CACHE")
    if named:
        return Path(os.path.expanduser(named))
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "hrm_rl"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "hrm_rl"


def stderr_progress(what: str, done: int, total: int) -> None:
    """A line on stderr, rewritten in place; off a terminal only the first and the last."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rmaking {what}: {done:,} of {total:,}", end=end, file=sys.stderr, flush=True)
    elif done in (0, total):
        print(f"making {what}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def _is_held_out(mazes: Tokens, size: int) -> NDArray[np.bool_]:
    """(N,) the part of each maze (N, n*n)."""
    return fingerprint(canonical(mazes, size)) % np.uint64(_HELD_OUT_ONE_IN) == 0


def _read(path: Path, level: Level, parts: tuple[int, int]) -> Pool | None:
    """The pool in a file; None if it is not there or not what its name says."""
    arrays = _read_arrays(path, level, ("training", "held_out"))
    if arrays is None:
        return None
    pool = Pool(*arrays)
    right = tuple(map(len, pool)) == parts and [
        bool((_is_held_out(mazes, level.size) == held_out).all()) for held_out, mazes in enumerate(pool)
    ] == [True, True]
    return pool if right else None


def _read_partial(path: Path, level: Level) -> Tokens:
    """The mazes (N, n*n) of an unfinished pool; none if there is no such file or it is damaged."""
    arrays = _read_arrays(path, level, ("mazes",))
    return np.empty((0, level.size**2), np.uint8) if arrays is None else arrays[0]


def _read_arrays(path: Path, level: Level, names: tuple[str, ...]) -> list[Tokens] | None:
    """Arrays of mazes (N, n*n) of a level from an .npz file; None where it does not hold such."""
    try:
        with np.load(path) as file:
            arrays = [file[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    for mazes in arrays:
        if mazes.ndim != 2 or mazes.shape[1] != level.size**2 or mazes.dtype != np.uint8:
            return None
        _, lengths = label(mazes, (level.size, level.size))
        if ((mazes < WALL) | (mazes > GOAL)).any() or (lengths < level.fewest).any():
            return None
        if (lengths > level.most).any():
            return None
    return arrays


def _write(path: Path, arrays: dict[str, Any]) -> None:
    """Write an .npz file under another name first, so that it is never seen half-written."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _lock(path: Path, what: str, progress: ReportProgress) -> Iterator[None]:
    """Hold a lock that only one process, or thread, has at a time. It ends with the process, so that none is
    left behind by one that was killed."""
    with path.open("w") as file:
        told = False
        while fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress(f"{what} (by another process)", 0, 1)
                    told = True
                time.sleep(0.1)
        yield
