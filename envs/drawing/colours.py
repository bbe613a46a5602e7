"""A grid of colours, in the ten public ones of ARC. Token t is colour c where its character is the digit c;
any other token is a mark, such as the end of a row, or a cell that is not there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.drawing.boards import patches
from envs.drawing.marks import DIM, RESET, UNDERLINED, marks_of, paler, wrong_cells
from envs.puzzle import PAD, Tokens, View

COLOURS = (
    (0, 0, 0), (0, 116, 217), (255, 65, 54), (46, 204, 64), (255, 220, 0),
    (170, 170, 170), (240, 18, 190), (255, 133, 27), (127, 219, 255), (135, 12, 37),
)  # fmt: skip
"""Black, blue, red, green, yellow, grey, magenta, orange, light blue and maroon, as arcprize.org shows
them."""
OUTSIDE, MARK = (255, 255, 255), (228, 228, 228)
_LINE = (85, 85, 85)


def window(characters: str, grid_shape: tuple[int, int], board: Tokens) -> tuple[slice, slice]:
    """The rows and columns in which a board (L,) has a colour; all if it has none."""
    coloured = _coloured(characters, grid_shape, board)
    rows, columns = (np.flatnonzero(coloured.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, grid_shape[0]), slice(0, grid_shape[1])
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def answered(
    characters: str, grid_shape: tuple[int, int], board: Tokens, top: int, left: int
) -> tuple[slice, slice]:
    """The rows and columns of an answer's grid: the largest rectangle of colours with this upper left corner,
    one cell at least. What lies outside was never taught, and means nothing."""
    coloured = _coloured(characters, grid_shape, board)[top:, left:]
    widths = np.minimum.accumulate(np.cumprod(coloured, axis=1).sum(axis=1))
    last = int(np.argmax(widths * np.arange(1, len(widths) + 1)))
    return slice(top, top + last + 1), slice(left, left + max(1, int(widths[last])))


def _coloured(characters: str, grid_shape: tuple[int, int], board: Tokens) -> NDArray[np.bool_]:
    found = np.array([character in "0123456789" for character in characters])[board]
    return found.reshape(grid_shape)


def _seen(characters: str, grid_shape: tuple[int, int], view: View) -> tuple[slice, slice]:
    """What there is to see: the question, or the answer's grid and that of its label."""
    rows, columns = window(characters, grid_shape, view.inputs)
    if view.answer is None:
        return rows, columns
    there = answered(characters, grid_shape, view.answer, rows.start, columns.start)
    if view.solution is None or not _coloured(characters, grid_shape, view.solution).any():
        return there
    label = window(characters, grid_shape, view.solution)
    seen = [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(there, label, strict=True)]
    return seen[0], seen[1]


def render_text(characters: str, grid_shape: tuple[int, int], view: View) -> str:
    """One grid row by row, two columns a cell on its colour: the digit, and ! where it is wrong or * where it
    differs from the answer before. A dot is a mark."""
    cells = []
    for token, mark, new, assumed in zip(view.shown, marks_of(view), view.changed, view.dimmed, strict=True):
        character = characters[token]
        if character in "0123456789":
            red, green, blue = COLOURS[int(character)]
            ink = 0 if red * 3 + green * 6 + blue > 1280 else 255
            style = f"\033[38;2;{ink};{ink};{ink};48;2;{red};{green};{blue}m"
            style += UNDERLINED * bool(new) + DIM * bool(assumed)
            cells.append(f"{style}{character}{mark}{RESET}")
        else:
            cells.append((" " if token == PAD else "·") + mark)
    rows, columns = _seen(characters, grid_shape, view)
    lines = np.array(cells, object).reshape(grid_shape)[rows, columns]
    return "\n".join("".join(line) for line in lines)


def render_rgb(characters: str, grid_shape: tuple[int, int], view: View) -> NDArray[np.uint8]:
    """One grid as an image (height, width, 3), cropped to its colours, with thin lines between cells; marks
    are light grey. A wrong cell is crossed out, one that differs from the answer before has a green edge."""
    palette = np.array([_colour(token, character) for token, character in enumerate(characters)], np.uint8)
    colour = palette[view.shown]
    colour[view.dimmed] = paler(colour[view.dimmed])
    at = _seen(characters, grid_shape, view)
    wrong, changed = (cells.reshape(grid_shape)[at] for cells in (wrong_cells(view), view.changed))
    image = patches(colour.reshape(*grid_shape, 3)[at], wrong, changed)
    step = len(image) // len(wrong)
    image[::step] = image[:, ::step] = _LINE
    return np.pad(image, ((0, 1), (0, 1), (0, 0)), constant_values=_LINE[0])


def _colour(token: int, character: str) -> tuple[int, int, int]:
    if character in "0123456789":
        return COLOURS[int(character)]
    return OUTSIDE if token == PAD else MARK
