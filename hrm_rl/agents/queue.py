"""The puzzles that wait for a slot, for every loop that runs a model over puzzles (act/engine.py,
search/search.py)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch


class PuzzleQueue:
    """Puzzles of an iterator of batches, handed out in any number."""

    def __init__(self, batches: Iterable[PuzzleBatch]):
        self._batches = (batch for batch in batches if len(batch))
        self._rest: PuzzleBatch | None = None
        self._taken = 0

    def take(self, count: int) -> tuple[NDArray[np.int64], PuzzleBatch | None]:
        """The next `count` puzzles and their places in the queue; fewer at its end, None behind it."""
        parts: list[PuzzleBatch] = []
        missing = count
        while missing:
            self._rest = self._rest or next(self._batches, None)
            if self._rest is None:
                break
            part = self._rest.take(slice(missing))
            self._rest = self._rest.take(slice(missing, None))
            parts.append(part)
            missing -= len(part)
        first, self._taken = self._taken, self._taken + count - missing
        return np.arange(first, self._taken), PuzzleBatch.concatenate(parts) if parts else None
