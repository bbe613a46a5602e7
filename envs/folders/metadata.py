"""What dataset.json says of a split, and how the rows of its arrays become the tokens of a task."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError
from envs.puzzle import PAD, Tokens
from envs.task import PuzzleTask

METADATA_FILE = "dataset.json"

DEFAULT_SETS = ["all"]
"""Where dataset.json names no sets."""

NANO_TRM_NO_LABEL = -100
END_MARK = 1
"""nano-trm's token behind a board on a larger canvas; its tokens of Sudoku are one higher than here."""


@dataclass(frozen=True)
class Metadata:
    """What dataset.json says. Keys that are not here are ignored."""

    seq_len: int
    """L."""
    vocab_size: int
    """V."""
    sets: tuple[str, ...]
    """Prefixes of the .npy files."""
    ignore_label_id: int | None
    """Labels of this value are no labels; None if every cell has one."""
    num_puzzle_identifiers: int | None
    """Rows of the puzzle-embedding table; None if not stated."""
    total_groups: int | None
    """Groups of all sets; None if not stated."""
    board: int | None = None
    """Rows and columns of the board that lies at the top left of a square canvas of L cells, as nano-trm's
    builders have it; None in the layout of sapientinc/HRM, where a row is a board."""


def read_metadata(folder: Path | str) -> Metadata:
    """dataset.json of a split folder. Raises DataError."""
    file = Path(folder) / METADATA_FILE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise DataError(f"{file}: is no JSON object")

    def number(key: str, least: int | None, required: bool = False) -> int | None:
        value = values.get(key)
        if value is None and not required:
            return None
        if type(value) is not int or (least is not None and value < least):
            found = f"is {value!r}" if key in values else "is missing"
            at_least = "" if least is None else f" of at least {least}"
            raise DataError(f"{file}: {key} {found}; it must be a whole number{at_least}")
        return value

    if values.get("mixed_size"):
        raise DataError(
            f"{file}: mixes boards of sizes {values.get('grid_sizes')}, and a task has one size: build a "
            "folder of one size (nano-trm's --grid-size in place of --mixed-size)"
        )
    sets = values.get("sets", DEFAULT_SETS)
    if not isinstance(sets, list) or not sets or not all(_is_set_name(name) for name in sets):
        raise DataError(f'{file}: sets is {sets!r}; it must be a list of file prefixes such as ["all"]')
    if len(set(sets)) < len(sets):
        raise DataError(f"{file}: sets is {sets!r}; no set may come twice")
    if number("pad_id", None) not in (None, PAD):
        raise DataError(f"{file}: pad_id is {values['pad_id']}; only {PAD} is supported")
    seq_len, vocab_size = number("seq_len", 1, required=True), number("vocab_size", 1, required=True)
    assert seq_len is not None
    assert vocab_size is not None
    board, canvas = number("grid_size", 1), number("max_grid_size", 1)
    if board is not None:
        canvas = board if canvas is None else canvas
        if canvas < board or canvas**2 != seq_len:
            raise DataError(
                f"{file}: grid_size {board} and max_grid_size {canvas} do not go with seq_len {seq_len}; the "
                "canvas has max_grid_size rows and columns, and the board lies on it"
            )
    return Metadata(
        seq_len,
        vocab_size,
        tuple(sets),
        number("ignore_label_id", None) if board is None else NANO_TRM_NO_LABEL,
        number("num_puzzle_identifiers", 1),
        number("total_groups", 0),
        board,
    )


def _is_set_name(name: Any) -> bool:
    """A set's name starts a file's name: it must not lead out of the folder."""
    return isinstance(name, str) and bool(name) and not set(name) & set("/\\\0")


_FOREIGN = 255


@dataclass(frozen=True)
class Encoding:
    """How a row of an array becomes the tokens of a task."""

    cells: NDArray[np.int64]
    """(L,) the cells of the row that are the board."""
    tokens: Tokens
    """The task's token for each token of the row; _FOREIGN for one that has none."""
    known: str
    """The tokens that have one, in words."""

    def decode(self, rows: NDArray[Any]) -> tuple[Tokens, NDArray[np.bool_]]:
        """Tokens (n, L) of the board's cells of rows (n, L), and which of them are foreign to the task."""
        inside = (rows >= 0) & (rows < len(self.tokens))
        found = self.tokens[np.where(inside, rows, 0)]
        return found, ~inside | (found == _FOREIGN)


def encoding_of(metadata: Metadata, task: PuzzleTask) -> Encoding | None:
    """How the rows of a split become puzzles of `task`; None if they are no puzzles of it.

    Rows and tokens are the task's own, or those of a Sudoku of nano-trm: a board on a canvas, whose tokens
    from 2 on are one higher than the task's, with an end mark of 1 behind it.
    """
    V = task.vocab_size
    if (metadata.seq_len, metadata.vocab_size) == (task.length, V):
        return Encoding(np.arange(task.length), np.arange(V, dtype=np.uint8), f"0 to {V - 1}")
    board = metadata.board
    is_sudoku = board is not None and task.grid_shape == (board, board) and board + 2 == V
    if not is_sudoku or metadata.vocab_size <= V:
        return None
    assert board is not None
    canvas = math.isqrt(metadata.seq_len)
    tokens = np.full(metadata.vocab_size, _FOREIGN, np.uint8)
    tokens[PAD] = PAD
    tokens[END_MARK + 1 : V + 1] = np.arange(1, V)
    cells = (np.arange(board)[:, None] * canvas + np.arange(board)).ravel()
    return Encoding(cells, tokens, f"0 and {END_MARK + 1} to {V}")


def misfit(metadata: Metadata, task: PuzzleTask) -> str:
    """Why the rows of a split are no puzzles of `task`, and what to choose instead."""
    side, size = metadata.board or math.isqrt(metadata.seq_len), getattr(task, "size", None)
    square = metadata.board is not None or side * side == metadata.seq_len
    other = "another task (the command dataset --check names what fits)"
    fix = f"choose {other}"
    if size is not None and side != size and square:
        fix = f"choose size {side} instead of {size}, or {other}"
    on = "" if metadata.board is None else f" (boards of {side}x{side})"
    return (
        f"seq_len is {metadata.seq_len}{on} and vocab_size {metadata.vocab_size}, but task '{task.name}' has "
        f"{task.length} and {task.vocab_size}: {fix}"
    )
