"""What tests of Sudoku count."""

from __future__ import annotations

from math import factorial

from envs.sudoku.board import board_of_size


def group_order(size: int) -> int:
    """The number of different symmetries of a board; 1,218,998,108,160 for 9x9."""
    board = board_of_size(size)
    bands, stacks = size // board.box_rows, size // board.box_columns
    return (
        factorial(size)
        * factorial(bands)
        * factorial(board.box_rows) ** bands
        * factorial(stacks)
        * factorial(board.box_columns) ** stacks
        * (2 if board.box_rows == board.box_columns else 1)
    )
