"""What all pictures mark a cell with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import PAD, View

ON_ORANGE, UNDERLINED, RESET = "\033[30;48;5;215m", "\033[4m", "\033[0m"
DIM = "\033[22;2m"
"""Not bold, but dim: how a terminal shows what is assumed."""
CHANGED_FRAME = (0, 158, 115)


def wrong_cells(view: View) -> NDArray[np.bool_]:
    """(L,) the cells of an answer that differ from the label."""
    if view.answer is None or view.solution is None:
        return np.zeros(len(view.inputs), np.bool_)
    return (view.answer != view.solution) & (view.solution != PAD)


def marks_of(view: View) -> list[str]:
    """For each cell ! where it is wrong, * where it differs from the answer before, ~ where it is assumed, a
    blank for none of these."""
    cells = zip(wrong_cells(view), view.changed, view.dimmed, strict=True)
    return ["!" if bad else "*" if new else "~" if assumed else " " for bad, new, assumed in cells]


def paler(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours (..., 3) half-way to white, for what is assumed."""
    return colour // 2 + 128
