"""Levels by length."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.puzzle import NO_LEVEL

STEPS = 8
"""Levels of a task, if no others are given."""
SMALLEST, LARGEST = 4, 200
"""Sizes: the length of the longest string."""

_LEVEL = re.compile(r"([\w-]+)=(\d+)-(\d+)")


class LengthRange(NamedTuple):
    """Strings of a range of lengths."""

    name: str
    fewest: int
    most: int


def default_levels(size: int) -> tuple[LengthRange, ...]:
    """Equal ranges up to `size`, at most STEPS, of two lengths or more: n4 (1 to 4), n8 (5 to 8), ..."""
    count = min(STEPS, size // 2)
    ends = [size * i // count for i in range(count + 1)]
    return tuple(LengthRange(f"n{b}", a + 1, b) for a, b in pairwise(ends))


def parse_levels(text: str, size: int) -> tuple[LengthRange, ...]:
    """`short=1-8,long=9-32` as levels. Raises UserError."""
    found: list[LengthRange] = []
    for part in text.split(","):
        match = _LEVEL.fullmatch(part.strip())
        if not match:
            raise UserError(f"level '{part.strip()}' is not of the form NAME=FEWEST-MOST, as in short=1-8")
        level = LengthRange(match[1], int(match[2]), int(match[3]))
        if not 1 <= level.fewest <= level.most <= size:
            raise UserError(f"level '{part.strip()}': lengths must rise, from 1 or more to {size} (size)")
        if level.name in [other.name for other in found]:
            raise UserError(f"level '{level.name}' is there twice")
        found.append(level)
    return tuple(found)


def level_of(levels: tuple[LengthRange, ...], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) index of the first level that has strings of these lengths (N,), or NO_LEVEL."""
    inside = [(lengths >= level.fewest) & (lengths <= level.most) for level in levels]
    return np.select(inside, np.arange(len(levels)), NO_LEVEL).astype(np.int64)
