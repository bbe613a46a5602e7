"""Pictures of a Sudoku: text for a terminal and an RGB image.

A cell is *given* (a clue), *right* or *wrong*. With a solution, wrong is what differs from it; without one,
what breaks a rule: a digit twice in a unit, no digit at all, or a clue that was changed. Neither picture
relies on colour alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.drawing import DIM
from envs.puzzle import View
from envs.sudoku.board import BLANK, Board, board_of
from envs.sudoku.solver import conflicting_cells

# Five columns by seven rows a digit; '?' for a token that is no digit.
_FONT = {
    "1": "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
    "2": ".###. #...# ....# ...#. ..#.. .#... #####",
    "3": ".###. #...# ....# ..##. ....# #...# .###.",
    "4": "...#. ..##. .#.#. #..#. ##### ...#. ...#.",
    "5": "##### #.... ####. ....# ....# #...# .###.",
    "6": "..##. .#... #.... ####. #...# #...# .###.",
    "7": "##### ....# ...#. ..#.. .#... .#... .#...",
    "8": ".###. #...# #...# .###. #...# #...# .###.",
    "9": ".###. #...# #...# .#### ....# ...#. .##..",
    "?": ".###. #...# ....# ...#. ..#.. ..... ..#..",
}
_GLYPHS = {
    key: np.kron(np.array([[c == "#" for c in line] for line in rows.split()]), np.ones((3, 3), np.bool_))
    for key, rows in _FONT.items()
}

_CELL = 33
"""Pixels along a cell, its left and upper line included."""

# Okabe and Ito's palette, told apart with any kind of colour vision.
_WHITE, _GIVEN_BACKGROUND, _WRONG_BACKGROUND = (255, 255, 255), (235, 235, 235), (255, 214, 140)
_GIVEN_INK, _ANSWER_INK, _WRONG_MARK = (20, 20, 20), (0, 114, 178), (170, 70, 0)
_ASSUMED_INK = (110, 180, 220)
_THIN_LINE, _THICK_LINE = (170, 170, 170), (20, 20, 20)

_CHANGED_FRAME = (0, 158, 115)

_BOLD, _BLUE, _ON_ORANGE, _RESET = "\033[1m", "\033[34m", "\033[30;48;5;215m", "\033[0m"
_GREEN = "\033[1;32m"


def _examine(view: View) -> tuple[Board, NDArray[np.bool_], NDArray[np.bool_]]:
    """The board, and which cells are given (L,) and wrong (L,)."""
    inputs, answer, solution = view.inputs, view.answer, view.solution
    board = board_of(inputs[None])
    clue = inputs > BLANK
    if answer is None:
        return board, clue, np.zeros_like(clue)
    changed = clue & (answer != inputs)
    if solution is not None:
        wrong = answer != solution
    else:
        no_digit = (answer <= BLANK) | (answer > board.size + 1)
        # A conflict is the fault of the answered cell, not of the clue it meets.
        wrong = changed | no_digit | (conflicting_cells(answer[None])[0] & ~clue)
    return board, clue & ~changed, wrong


def render_text(view: View) -> str:
    """One puzzle as lines of text with ANSI colours.

    A clue stands alone and bold, an answered digit has a trailing ' and is blue, a wrong one has a trailing !
    on orange, a blank is a dot, and ? is a token that is no digit. An assumed digit is dimmed, with a
    trailing ~ where it is not wrong. A * follows where the answer before was another.
    """
    board, given, wrong = _examine(view)
    rule = "+".join(["-" * (3 * board.box_columns + 1)] * (board.size // board.box_columns))
    lines = []
    for row in range(board.size):
        if row and row % board.box_rows == 0:
            lines.append(rule)
        groups = []
        for start in range(0, board.size, board.box_columns):
            group = slice(row * board.size + start, row * board.size + start + board.box_columns)
            parts = (view.shown, given, wrong, view.changed, view.dimmed)
            cells = zip(*(part[group] for part in parts), strict=True)
            groups.append(" " + "".join(_cell_text(board, *cell) for cell in cells))
        lines.append("|".join(groups))
    return "\n".join(lines)


def _cell_text(board: Board, token: int, given: bool, wrong: bool, changed: bool, assumed: bool) -> str:
    """Three columns: a digit, its mark, and a space or a star."""
    digit = _character(board, token)
    end = f"{_GREEN}*{_RESET}" if changed else " "
    dim, mark = (DIM, "~") if assumed else ("", "'")
    if wrong:
        return f"{_ON_ORANGE}{dim}{digit}!{_RESET}{end}"
    if given:
        return f"{_BOLD}{digit}{_RESET} {end}"
    return f". {end}" if digit == "." else f"{_BLUE}{dim}{digit}{mark}{_RESET}{end}"


def _character(board: Board, token: int) -> str:
    if token == BLANK:
        return "."
    return str(token - BLANK) if BLANK < token <= board.size + 1 else "?"


def render_rgb(view: View) -> NDArray[np.uint8]:
    """One puzzle as an image (height, width, 3), the same on every machine.

    Clues are dark on grey, answered digits blue on white, wrong ones blue on orange with a triangle in the
    corner. Assumed digits are in a paler ink. Cells that differ from the answer before have a green frame.
    """
    board, given, wrong = _examine(view)
    shown, changed, assumed = view.shown, view.changed, view.dimmed
    side = board.size * _CELL + 2
    image = np.full((side, side, 3), _WHITE, np.uint8)
    triangle = np.tri(9, dtype=np.bool_)[::-1]
    for cell in range(board.size**2):
        row, column = divmod(cell, board.size)
        top, left = row * _CELL, column * _CELL
        area = image[top : top + _CELL, left : left + _CELL]
        if wrong[cell]:
            area[:] = _WRONG_BACKGROUND
            area[3:12, 3:12][triangle] = _WRONG_MARK
        elif given[cell]:
            area[:] = _GIVEN_BACKGROUND
        if changed[cell]:
            for edge in (area[2:5, 2:-1], area[-4:-1, 2:-1], area[2:-1, 2:5], area[2:-1, -4:-1]):
                edge[:] = _CHANGED_FRAME
        character = _character(board, shown[cell])
        if character != ".":
            ink = _GIVEN_INK if given[cell] else _ASSUMED_INK if assumed[cell] else _ANSWER_INK
            area[7:28, 10:25][_GLYPHS[character]] = ink
    for line in range(board.size + 1):  # thin lines first, so that thick ones cross them
        _draw_line(image, line * _CELL, horizontal=True, thick=False)
        _draw_line(image, line * _CELL, horizontal=False, thick=False)
    for line in range(0, board.size + 1, board.box_rows):
        _draw_line(image, line * _CELL, horizontal=True, thick=True)
    for line in range(0, board.size + 1, board.box_columns):
        _draw_line(image, line * _CELL, horizontal=False, thick=True)
    return image


def _draw_line(image: NDArray[np.uint8], at: int, horizontal: bool, thick: bool) -> None:
    extent = slice(max(at - 1, 0), at + 2) if thick else slice(at, at + 1)
    colour = _THICK_LINE if thick else _THIN_LINE
    if horizontal:
        image[extent] = colour
    else:
        image[:, extent] = colour
