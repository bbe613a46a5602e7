"""Pictures of a maze: text for a terminal and an RGB image.

Both show the question and, on top of it, what an answer does. A marked cell is *answered* if it lies on
a shortest path, whichever, so that nothing in a right answer is wrong; else it is *off*, or *through a
wall*. A cell is *changed* if it is answered with something that cannot stand there. The cells of the
solution that an answer leaves free are shown as *shortest* path: what was to be found where the answer
is wrong, another way just as short where it is right. What is answered at padding never matters.
Neither picture relies on colour alone.

Legend: `size` rows and columns of the canvas, L = size * size cells, row by row; c pixels along a cell.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.drawing import DIM, paler
from envs.maze.grid import CHARACTERS, FREE, GOAL, PAD, PATH, START, WALL
from envs.maze.rule import distances, judge, label
from envs.puzzle import Tokens, View

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Kind(IntEnum):
    """What a cell is shown as; the first five are what the question has there, by token."""

    PADDING = PAD
    WALL = WALL
    FREE = FREE
    START = START
    GOAL = GOAL
    SHORTEST = 5
    """On the path of the solution, but answered as free."""
    ANSWERED = 6
    """Marked and on a shortest path."""
    OFF = 7
    """Marked and free, but on no shortest path."""
    THROUGH_WALL = 8
    """Marked, though a wall."""
    CHANGED = 9
    """Answered with anything else that cannot stand there."""


WRONG = (Kind.OFF, Kind.THROUGH_WALL, Kind.CHANGED)


def cell_kinds(view: View, size: int) -> Tokens:
    """(L,) the Kind of each cell of one maze. Without an answer that is the question alone."""
    inputs, answer, solution = view.inputs, view.answer, view.solution
    if answer is None:
        return inputs.astype(np.uint8)
    marked = answer == PATH
    kinds = inputs.astype(np.uint8)
    kinds[answer != inputs] = Kind.CHANGED
    if solution is not None:
        kinds[(inputs == FREE) & (solution == PATH) & (answer == FREE)] = Kind.SHORTEST
    kinds[(inputs == WALL) & marked] = Kind.THROUGH_WALL
    kinds[(inputs == FREE) & marked] = Kind.OFF
    kinds[(inputs == FREE) & marked & _on_a_shortest_path(inputs, size)] = Kind.ANSWERED
    kinds[inputs == PAD] = Kind.PADDING
    return kinds


def _on_a_shortest_path(inputs: Tokens, size: int) -> Mask:
    """(L,) the cells of a maze (L,) through which any shortest path goes."""
    from_start = inputs.copy()
    from_start[inputs == START], from_start[inputs == GOAL] = GOAL, START
    to_goal, to_start = distances(np.stack([inputs, from_start]), (size, size))
    steps = to_goal[inputs == START].max(initial=-1)
    return (to_goal >= 0) & (to_start >= 0) & (to_goal + to_start == steps)


def _verdict(inputs: Tokens, answer: Tokens, size: int) -> str:
    """One line on an answer (L,)."""
    shape = (size, size)
    solved, excess = judge(inputs[None], answer[None], shape)
    length = label(inputs[None], shape)[1][0]
    if solved[0]:
        return f"solved: a path of {length} cells, none is shorter"
    if np.isnan(excess[0]):
        return f"not solved: no path from S to G (the shortest has {length} cells)"
    return f"not solved: a path of {length + int(excess[0])} cells, the shortest has {length}"


_RESET, _UNDERLINED = "\033[0m", "\033[4m"
_STYLES = {
    Kind.WALL: "\033[38;5;240;48;5;240m",  # ink on ink: a solid block where there are colours
    Kind.START: "\033[1m",
    Kind.GOAL: "\033[1m",
    Kind.SHORTEST: "\033[36m",
    Kind.ANSWERED: "\033[1;34m",
} | dict.fromkeys(WRONG, "\033[30;48;5;215m")


def render_text(view: View, size: int) -> str:
    """One maze as lines of text with ANSI colours, two columns a cell, and the verdict on an answer below.

    Walls are ##, the answered path is o, the shortest path that it misses is a dot. A wrong cell is on
    orange and has two characters: what is answered (? for no token of a maze), then what stands in the
    question, or ! for a free cell. So o! is off every shortest path, o# goes through a wall, oS has
    overwritten the start. Cells that differ from the answer before are underlined, with a trailing * where
    there is room. Assumed ones are dimmed, with a ~ where there is room still. Padding around the maze is
    left out.
    """
    parts = (cell_kinds(view, size), view.shown, view.inputs, _changed_cells(view), view.dimmed)
    layers = [part.reshape(size, size) for part in parts]
    rows, columns = np.nonzero(layers[2] != PAD)
    height, width = int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1
    edge = f"+{'--' * width}+"
    lines = [edge]
    for row in range(height):
        cells = zip(*(layer[row, :width] for layer in layers), strict=True)
        lines.append("|" + "".join(_cell_text(Kind(kind), *rest) for kind, *rest in cells) + "|")
    lines.append(edge)
    if view.answer is not None:
        lines.append(_verdict(view.inputs, view.answer, size))
    return "\n".join(lines)


def _changed_cells(view: View) -> Mask:
    """(L,) the cells that differ from the answer before, none in the padding."""
    return view.changed & (view.inputs != PAD)


def _cell_text(kind: Kind, answered: int, asked: int, changed: bool, assumed: bool) -> str:
    """Two columns."""
    if kind in WRONG:
        text = _character(answered) + ("!" if asked == FREE else _character(asked))
    else:
        text = {Kind.WALL: "##", Kind.SHORTEST: ". ", Kind.ANSWERED: "o "}.get(kind, f"{_character(asked)} ")
    if changed:
        text = text.replace(" ", "*") if kind not in (Kind.WALL, Kind.FREE) else f"{text[0]}*"
    if assumed:
        text = text.replace(" ", "~")
    style = _STYLES.get(kind, "") + (_UNDERLINED if changed else "") + (DIM if assumed else "")
    return f"{style}{text}{_RESET}" if style else text


def _character(token: int) -> str:
    return CHARACTERS[token] if token <= PATH else "?"


# Five columns by seven rows a letter; S and G differ in eight cells, more than in rounder shapes.
_FONT = {
    "S": ".#### #.... #.... .###. ....# ....# ####.",
    "G": ".###. #...# #.... #.### #...# #...# .###.",
    "?": ".###. #...# ....# ...#. ..#.. ..... ..#..",
}
_GLYPHS = {key: np.array([[c == "#" for c in line] for line in rows.split()]) for key, rows in _FONT.items()}

# Okabe and Ito's palette, told apart with any kind of colour vision.
_WHITE, _BLACK, _WALL, _LINE = (255, 255, 255), (0, 0, 0), (60, 60, 60), (225, 225, 225)
_PADDING, _HATCH = (225, 225, 225), (190, 190, 190)
_YELLOW, _PURPLE, _BLUE, _ORANGE = (240, 228, 66), (204, 121, 167), (0, 114, 178), (230, 159, 0)
_GREEN = (0, 158, 115)

_FRAME = 4
"""Pixels of the frame around the canvas."""


def cell_pixels(size: int) -> int:
    """c: odd, so that a cell has a middle; 9 from 30x30 on, about 300 for the whole canvas below."""
    return max(9, (300 // size - 1) | 1)


def render_rgb(view: View, size: int) -> Image:
    """One maze as an image (height, width, 3), the same on every machine.

    The answered path is a blue line, the shortest path that it misses a row of blue rings. Wrong cells are
    orange: crossed out where they are off every shortest path, a cross on the wall that they go through, and
    a sign of what is answered where that cannot stand, within an edge in the colour of what the question has.
    The frame is blue and whole for a right answer, orange and broken for a wrong one, grey without an answer.
    Padding is hatched. Assumed cells are in paler colours. Cells that differ from the answer before have a
    green edge.
    """
    c = cell_pixels(size)
    layers = (cell_kinds(view, size), view.inputs, view.shown)
    numbers = _tile_numbers(*(layer.reshape(size, size) for layer in layers))
    tiles = _tiles(c)[numbers]  # (size, size, c, c, 3)
    assumed = view.dimmed.reshape(size, size)
    tiles[assumed] = paler(tiles[assumed])
    changed = _changed_cells(view).reshape(size, size)
    edge = _shapes(c)[0] > c // 2 - max(1, c // 9)
    tiles[changed[:, :, None, None] & edge] = _GREEN
    canvas = tiles.transpose(0, 2, 1, 3, 4).reshape(size * c, size * c, 3)
    image = np.empty((size * c + 2 * _FRAME, size * c + 2 * _FRAME, 3), np.uint8)
    image[:] = _HATCH
    if view.answer is not None:
        right = judge(view.inputs[None], view.answer[None], (size, size))[0][0]
        image[:] = _BLUE if right else _ORANGE
        if not right:
            along = np.arange(len(image))
            image[(along[:, None] + along) // 12 % 2 == 1] = _WHITE
    image[_FRAME:-_FRAME, _FRAME:-_FRAME] = canvas
    return image


# Indices into `_tiles`: first one tile a kind, then the variants of two kinds.
_SIGNS = PATH + 2
_FIRST_CHANGED = len(Kind)
_FIRST_ANSWERED = _FIRST_CHANGED + (PATH + 1) * _SIGNS


def _tile_numbers(kinds: Tokens, asked: Tokens, answered: Tokens) -> NDArray[np.int64]:
    """(size, size) index into `_tiles`: an answered cell by the neighbours that its line joins, a
    changed one by what is asked and answered (each (size, size)), any other by its kind."""
    joined = np.pad(np.isin(kinds, (Kind.ANSWERED, Kind.START, Kind.GOAL)), 1)
    up, down, left, right = joined[:-2, 1:-1], joined[2:, 1:-1], joined[1:-1, :-2], joined[1:-1, 2:]
    variants = {
        Kind.ANSWERED: _FIRST_ANSWERED + up + 2 * down + 4 * left + 8 * right,
        Kind.CHANGED: _FIRST_CHANGED + asked.astype(np.int64) * _SIGNS + np.minimum(answered, _SIGNS - 1),
    }
    numbers = kinds.astype(np.int64)
    for kind, variant in variants.items():
        numbers[kinds == kind] = variant[kinds == kind]
    return numbers


@cache
def _tiles(c: int) -> Image:
    """(tiles, c, c, 3) the pictures of all cells there can be."""
    _, distance, cross = _shapes(c)
    background, hatched, wall = _tile(c, _WHITE), _tile(c, _PADDING), _tile(c, _WALL)
    background[0], background[:, 0] = _LINE, _LINE
    hatched[(np.arange(c)[:, None] + np.arange(c)) % 4 == 0] = _HATCH
    start, goal = _lettered("S", c, _YELLOW), _lettered("G", c, _PURPLE)

    shortest, off, through_wall = background.copy(), _crossed_out(c, background), wall.copy()
    shortest[(distance <= 0.3 * c) & (distance > 0.3 * c - max(1.2, c / 9))] = _BLUE
    through_wall[cross] = _ORANGE
    # The two kinds that have variants keep their places with a background.
    kinds = [hatched, wall, background, start, goal, shortest, background, off, through_wall, background]
    changed = [_changed(c, asked, sign) for asked in range(PATH + 1) for sign in range(_SIGNS)]
    answered = [_line(c, background, *(bool(bits >> i & 1) for i in range(4))) for bits in range(16)]
    return np.stack(kinds + changed + answered)


def _shapes(c: int) -> tuple[NDArray[np.int64], NDArray[np.float64], Mask]:
    """(c, c) distance from the middle of a cell: along the farther axis, and as the crow flies; and a
    cross."""
    across = np.abs(np.arange(c) - c // 2)
    radius = np.maximum(across, across[:, None])
    cross = np.abs(across[:, None] - across) <= 0.75 * (max(1, c // 9) - 1)
    return radius, np.hypot(across, across[:, None]), cross & (radius <= 0.4 * c)


def _crossed_out(c: int, background: Image) -> Image:
    radius, _, cross = _shapes(c)
    tile = background.copy()
    tile[radius <= 0.4 * c] = _ORANGE
    tile[cross & (radius <= 0.33 * c)] = _BLACK
    return tile


def _changed(c: int, asked: int, sign: int) -> Image:
    """What is answered, as a sign on orange, within an edge in the colour of what the question asked."""
    radius, distance, _ = _shapes(c)
    tile = _lettered({START: "S", GOAL: "G"}.get(sign, "?"), c, _ORANGE)
    if sign in (WALL, FREE, PATH):
        tile[:] = _ORANGE
        tile[distance <= 0.3 * c if sign == PATH else radius <= 0.2 * c] = {
            WALL: _WALL,
            FREE: _WHITE,
            PATH: _BLUE,
        }[sign]
    edge = {WALL: _WALL, START: _YELLOW, GOAL: _PURPLE}.get(asked, _WHITE)
    tile[radius > c // 2 - max(1, c // 9)] = edge
    return tile


def _line(c: int, background: Image, up: bool, down: bool, left: bool, right: bool) -> Image:
    """A dot in the middle with lines to the sides of the cell."""
    middle, half = c // 2, max(1, round(0.2 * c))
    band = slice(middle - half, middle + half + 1)
    line = _shapes(c)[1] <= half + 0.5
    line[: middle + 1, band] |= up
    line[middle:, band] |= down
    line[band, : middle + 1] |= left
    line[band, middle:] |= right
    tile = background.copy()
    tile[line] = _BLUE
    return tile


def _tile(c: int, colour: tuple[int, int, int]) -> Image:
    return np.full((c, c, 3), colour, np.uint8)


def _lettered(letter: str, c: int, colour: tuple[int, int, int]) -> Image:
    tile = _tile(c, colour)
    glyph = np.kron(_GLYPHS[letter], np.ones((max(1, c // 9),) * 2, np.bool_))
    top, left = (c - glyph.shape[0]) // 2, (c - glyph.shape[1]) // 2
    tile[top : top + glyph.shape[0], left : left + glyph.shape[1]][glyph] = _BLACK
    return tile
