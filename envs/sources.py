"""Where puzzles come from: a generator with a background thread, a pool in memory, a mixture by level.

Every source is an endless stream that depends on its seed and rank alone. Each random number has its place in
that stream: blocks, epochs and mixtures take theirs from a `SeedSequence` of (seed, purpose, ...), so neither
the sizes of draws nor the speed of a thread can change what comes next. A copy of a source (`copy.deepcopy`,
`pickle`) goes on where the source stands, with a thread of its own.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.copies import Background
from envs.errors import UserError, unknown
from envs.puzzle import PuzzleBatch, Puzzles, PuzzleSource, Tokens, fingerprint
from envs.task import PuzzleTask

# First entry of a spawn key: what the random numbers are for.
_GENERATE, _PERMUTE, _AUGMENT, _MIX = range(4)

FIRST_BLOCK = 32
"""Puzzles in the first block of a generated stream; the blocks double from there, so that the first draw does
not wait for a big one."""

EMPTY_BLOCKS = 20
"""Blocks in a row that may be excluded whole before a generated stream gives up."""


def _rng(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _check_seed(seed: int, rank: int) -> None:
    if seed < 0 or rank < 0:
        raise ValueError(f"seed is {seed} and rank is {rank}; neither may be negative")


def _check_count(count: int) -> None:
    if count < 1:
        raise ValueError(f"cannot draw {count} puzzles; draw at least 1")


def _check_weights(weights: Mapping[str, float], known: tuple[str, ...]) -> None:
    for level, weight in weights.items():
        if level not in known:
            raise unknown("level", level, known)
        if not (np.isfinite(weight) and weight >= 0):
            raise UserError(f"the weight of level {level!r} is {weight}; it must be 0 or more")
    if not any(weight > 0 for weight in weights.values()):
        raise UserError("all level weights are 0; at least one level must have a positive weight")


class GeneratedSource:
    """New puzzles of one level, made ahead by a background thread.

    Block k of the stream is a pure function of (seed, rank, level, held_out, k).
    """

    def __init__(
        self,
        task: PuzzleTask,
        level: str,
        seed: int,
        rank: int = 0,
        exclude: NDArray[np.uint64] | None = None,
        exclude_by: Callable[[Tokens], NDArray[np.uint64]] = fingerprint,
        held_out: bool = False,
        block_size: int = 1024,
        prefetch: int = 2,
        background: Background | None = None,
    ) -> None:
        """
        exclude: keys of inputs that must not occur, such as those of an evaluation set.
        exclude_by: makes the keys: `fingerprint` keeps out these puzzles alone, `task.invariant` all their
        symmetric versions too.
        held_out: passed on to `task.generate`; the two values also give different streams.
        block_size: puzzles in a block once the stream is under way.
        prefetch: blocks made ahead of the one being drawn from.
        background: makes the blocks. Without it the source has a thread of its own.
        """
        number = task.level_index(level)
        if block_size < 1 or prefetch < 1:
            raise ValueError(f"block_size is {block_size} and prefetch {prefetch}; both must be at least 1")
        _check_seed(seed, rank)
        self.task = task
        self.level = level
        self.data_wait_seconds = 0.0
        self._seed = seed
        self._key = (rank, number, int(held_out))
        self._exclude_by = exclude_by
        self._held_out = held_out
        self._exclude = None if exclude is None else np.unique(np.asarray(exclude, np.uint64))
        self._block_size = block_size
        self._prefetch = prefetch
        self._background = background or Background()
        self._owns_background = background is None
        self._closed = False
        self._pending: deque[Future[PuzzleBatch]] = deque()  # blocks from number `_block` on
        self._block = 0  # the block being drawn from ...
        self._offset = 0  # ... and how many of its puzzles are gone

    def use_background(self, background: Background) -> None:
        """Let `background` make the blocks unless the source was given one."""
        if self._owns_background:
            self._background, self._owns_background = background, False

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: all but the blocks in the making, which it makes again."""
        return {**self.__dict__, "_pending": deque()}

    def draw(self, count: int) -> PuzzleBatch:
        """The next `count` puzzles. Raises what `task.generate` raised in the thread, and UserError if all
        puzzles are excluded."""
        _check_count(count)
        parts: list[PuzzleBatch] = []
        needed, empty = count, 0
        while needed:
            block = self._current_block()
            part = block.take(slice(self._offset, self._offset + needed))
            parts.append(part)
            needed -= len(part)
            self._offset += len(part)
            if self._offset == len(block):
                empty = empty + 1 if len(block) == 0 else 0
                if empty == EMPTY_BLOCKS:
                    raise UserError(
                        f"{EMPTY_BLOCKS} blocks of {self.level} {self.task.name} puzzles held only excluded "
                        "ones; the level has too few puzzles: exclude fewer or choose another level"
                    )
                self._pending.popleft()
                self._block += 1
                self._offset = 0
        return PuzzleBatch.concatenate(parts)

    def reseed(self, seed: int) -> None:
        _check_seed(seed, 0)
        self._go_to(seed, 0, 0)

    def set_level_weights(self, weights: Mapping[str, float]) -> None:
        """There is but one level: accepts a positive weight for it and refuses any other level."""
        _check_weights(weights, (self.level,))

    def state_dict(self) -> dict[str, Any]:
        return {"seed": int(self._seed), "block": self._block, "offset": self._offset}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._go_to(state["seed"], state["block"], state["offset"])

    def close(self) -> None:
        self._cancel()
        self._closed = True
        if self._owns_background:
            self._background.close()

    def _current_block(self) -> PuzzleBatch:
        """The block being drawn from, waited for if it is not ready; keeps the next ones in the making."""
        if self._closed:
            raise RuntimeError("the source is closed")
        while len(self._pending) <= self._prefetch:
            number = self._block + len(self._pending)
            self._pending.append(self._background.submit(self._make_block, self._seed, number))
        start = time.perf_counter()
        block = self._pending[0].result()
        self.data_wait_seconds += time.perf_counter() - start
        return block

    def _make_block(self, seed: int, number: int) -> PuzzleBatch:
        """Runs in the thread; touches nothing that changes."""
        size = min(FIRST_BLOCK << min(number, 32), self._block_size)
        batch = self.task.generate(
            self.level, size, _rng(seed, _GENERATE, *self._key, number), self._held_out
        )
        if self._exclude is None:
            return batch
        return batch.take(~np.isin(self._exclude_by(batch.inputs), self._exclude))

    def _go_to(self, seed: int, block: int, offset: int) -> None:
        self._cancel()
        self._seed, self._block, self._offset = seed, block, offset

    def _cancel(self) -> None:
        for future in self._pending:
            future.cancel()
        self._pending.clear()


class PoolSource:
    """Given puzzles, all once per epoch in a new order, shared out among the ranks."""

    data_wait_seconds = 0.0
    """Nothing is waited for."""

    _epoch: int
    _offset: int  # of this rank's share of the epoch, how many are drawn
    _order: NDArray[np.int64]  # this rank's share of the epoch, as indices of puzzles
    _augment_rng: np.random.Generator

    def __init__(
        self,
        task: PuzzleTask,
        puzzles: Puzzles,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        augment: bool = False,
        exclude: NDArray[np.uint64] | None = None,
    ) -> None:
        """
        rank, world_size: of each epoch's order, this source takes elements rank, rank + world_size, ...
        augment: give every puzzle under a random symmetry of the task, a new one each time.
        exclude: fingerprints of puzzles that no symmetry may lead to; the puzzle itself is given instead.
        """
        _check_seed(seed, rank)
        if not rank < world_size:
            raise ValueError(f"rank is {rank}; with world_size {world_size} it must be below that")
        if len(puzzles) < world_size:
            raise UserError(f"{len(puzzles)} puzzles cannot be shared by {world_size} workers")
        self.task = task
        self._puzzles = puzzles
        self._rank = rank
        self._world_size = world_size
        self._augment = augment
        self._exclude = np.zeros(0, np.uint64) if exclude is None else exclude
        self._start(seed)

    def draw(self, count: int) -> PuzzleBatch:
        _check_count(count)
        parts: list[NDArray[np.int64]] = []
        needed = count
        while needed:
            part = self._order[self._offset : self._offset + needed]
            parts.append(part)
            needed -= len(part)
            self._offset += len(part)
            if self._offset == len(self._order):
                self._epoch += 1
                self._offset = 0
                self._order = self._order_of(self._epoch)
        batch = self._puzzles.take(np.concatenate(parts))
        if not self._augment:
            return batch
        augmented = self.task.augment(batch, self._augment_rng)
        excluded = np.isin(fingerprint(augmented.inputs), self._exclude)
        if not excluded.any():
            return augmented
        both = PuzzleBatch.concatenate([augmented, batch])
        return both.take(np.arange(count) + count * excluded)

    def reseed(self, seed: int) -> None:
        _check_seed(seed, self._rank)
        self._start(seed)

    def set_level_weights(self, weights: Mapping[str, float]) -> None:
        """Refused: a pool gives its puzzles as they come."""
        raise ValueError("a pool has no level weights; make one pool per level and mix them with MixedSource")

    def state_dict(self) -> dict[str, Any]:
        return {
            "seed": int(self._seed),
            "epoch": self._epoch,
            "offset": self._offset,
            "augment_rng": self._augment_rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._start(state["seed"])
        self._epoch, self._offset = state["epoch"], state["offset"]
        self._order = self._order_of(self._epoch)
        self._augment_rng.bit_generator.state = state["augment_rng"]

    def close(self) -> None:
        pass

    def _start(self, seed: int) -> None:
        self._seed = seed
        self._epoch, self._offset = 0, 0
        self._order = self._order_of(0)
        self._augment_rng = _rng(seed, _AUGMENT, self._rank)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        """This rank's share of the epoch's order, which is the same on all ranks."""
        return _rng(self._seed, _PERMUTE, epoch).permutation(len(self._puzzles))[
            self._rank :: self._world_size
        ]


class MixedSource:
    """Puzzles of several levels, the level of each drawn by weight."""

    def __init__(
        self, children: Mapping[str, PuzzleSource], weights: Mapping[str, float], seed: int, rank: int = 0
    ) -> None:
        """
        children: a source for each level. Those that generate share one background thread.
        weights: proportions of the levels; they need not sum to 1, and a level left out has 0. A child with
            weight 0 is never drawn from and does no work.
        """
        _check_seed(seed, rank)
        self.children = dict(children)
        self._rank = rank
        self._background = Background()
        for child in self.children.values():
            if isinstance(child, GeneratedSource):
                child.use_background(self._background)
        self.set_level_weights(weights)
        self._start(seed)

    @property
    def data_wait_seconds(self) -> float:
        """Seconds that draws have waited for background threads, in total."""
        return sum(getattr(child, "data_wait_seconds", 0.0) for child in self.children.values())

    def draw(self, count: int) -> PuzzleBatch:
        _check_count(count)
        chosen = np.searchsorted(self._cumulative, self._rng.random(count), side="right")
        parts: list[PuzzleBatch] = []
        for index, child in enumerate(self.children.values()):
            wanted = int(np.count_nonzero(chosen == index))
            if wanted:
                parts.append(child.draw(wanted))
        # The parts hold the puzzles level by level; put each where its level was drawn.
        place = np.empty(count, np.int64)
        place[np.argsort(chosen, kind="stable")] = np.arange(count)
        return PuzzleBatch.concatenate(parts).take(place)

    def reseed(self, seed: int) -> None:
        _check_seed(seed, self._rank)
        for child in self.children.values():
            child.reseed(seed)
        self._start(seed)

    def set_level_weights(self, weights: Mapping[str, float]) -> None:
        _check_weights(weights, tuple(self.children))
        self._weights = {level: float(weights.get(level, 0.0)) for level in self.children}
        cumulative = np.cumsum(list(self._weights.values()))
        self._cumulative = cumulative / cumulative[-1]

    def state_dict(self) -> dict[str, Any]:
        return {
            "seed": int(self._seed),
            "rng": self._rng.bit_generator.state,
            "weights": dict(self._weights),
            "children": {level: child.state_dict() for level, child in self.children.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if set(state["children"]) != set(self.children):
            raise ValueError(
                f"the saved source has levels {', '.join(state['children'])}; this one has "
                f"{', '.join(self.children)}"
            )
        for level, child in self.children.items():
            child.load_state_dict(state["children"][level])
        self.set_level_weights(state["weights"])
        self._start(state["seed"])
        self._rng.bit_generator.state = state["rng"]

    def close(self) -> None:
        for child in self.children.values():
            child.close()
        self._background.close()

    def _start(self, seed: int) -> None:
        self._seed = seed
        self._rng = _rng(seed, _MIX, self._rank)
