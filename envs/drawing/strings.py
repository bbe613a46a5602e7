"""A string: one wrapping line of characters for each row of the grid, without the padding at its end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.drawing.marks import CHANGED_FRAME, DIM, ON_ORANGE, RESET, UNDERLINED, marks_of, paler, wrong_cells
from envs.puzzle import PAD, View

WIDTH = 32
"""Characters in a line."""
_CELL = (24, 15)
"""Pixels of a character."""
_INK, _ASKED, _WRONG = (0, 80, 160), (20, 20, 20), (255, 214, 140)


def visible(character: str) -> str:
    """A character as it is shown: itself, or a stand-in for what has no look of its own."""
    return {"\n": "↵", "\t": "→"}.get(character, character if character.isprintable() else "·")


def lines(grid_shape: tuple[int, int], view: View) -> Iterator[NDArray[np.int64]]:
    """The cells of each line of the question, at least one. An answer is no longer: what lies behind the
    question was never taught, and means nothing."""
    columns = grid_shape[1]
    there = (view.inputs != PAD).reshape(grid_shape)
    if not there.any():
        yield np.zeros(1, np.int64)
        return
    left = int(np.argmax(there.any(axis=0)))
    for row in np.flatnonzero(there.any(axis=1)):
        end = int(np.flatnonzero(there[row])[-1]) + 1
        for start in range(left, end, WIDTH):
            yield row * columns + np.arange(start, min(start + WIDTH, end))


def _character(characters: str, view: View, cell: int) -> str:
    """What is shown in a cell; nothing where the question has none."""
    return " " if view.inputs[cell] == PAD else visible(characters[view.shown[cell]])


def render_text(characters: str, grid_shape: tuple[int, int], view: View) -> str:
    """Lines of characters, one column each. Under each is another, with ! below what is wrong (which is on
    orange, too), * below what differs from the answer before, ~ below what is assumed."""
    marks, text = marks_of(view), []
    for line in lines(grid_shape, view):
        cells = []
        for cell in line:
            style = ON_ORANGE * (marks[cell] == "!") + UNDERLINED * bool(view.changed[cell])
            style += DIM * bool(view.dimmed[cell])
            character = _character(characters, view, cell)
            cells.append(f"{style}{character}{RESET}" if style else character)
        text += ["".join(cells), "".join(marks[cell] for cell in line)]
    return "\n".join(text)


def render_rgb(characters: str, grid_shape: tuple[int, int], view: View) -> NDArray[np.uint8]:
    """The same as an image (height, width, 3), always as wide as its longest line may be. The question is
    black, an answer blue, an assumed character paler; a wrong one stands on orange and is underlined twice,
    one that differs from the answer before has a green edge."""
    height, width = _CELL
    found = list(lines(grid_shape, view))
    image = np.full((len(found) * height, min(WIDTH, grid_shape[1]) * width, 3), 255, np.uint8)
    wrong = wrong_cells(view)
    for row, line in enumerate(found):
        for column, cell in enumerate(line):
            part = image[row * height : (row + 1) * height, column * width : (column + 1) * width]
            if wrong[cell]:
                part[:] = _WRONG
                part[-6:-5, 2:-2] = part[-3:-2, 2:-2] = _ASKED
            ink = np.array(_ASKED if view.answer is None else _INK, np.uint8)
            ink = paler(ink) if view.dimmed[cell] else ink
            share = _glyph(_character(characters, view, cell))[..., None]
            part[:] = (share * ink + (1 - share) * part).astype(np.uint8)
            if view.changed[cell]:
                part[[0, -1]] = CHANGED_FRAME
                part[:, [0, -1]] = CHANGED_FRAME
    return image


@cache
def _glyph(character: str) -> NDArray[np.float32]:
    """The ink of a character, (height, width) shares from 0 to 1."""
    from PIL import Image, ImageDraw, ImageFont  # only pictures of strings need it

    height, width = _CELL
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text(
        (width / 2, height / 2 - 2), character, fill=255, font=ImageFont.load_default(17), anchor="mm"
    )
    share: NDArray[np.float32] = np.asarray(image, np.float32) / np.float32(255)
    return share
