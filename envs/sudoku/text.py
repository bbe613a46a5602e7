"""Sudokus as people write and paste them: a board a line, or a line for each row, with frames, comments and
one of several marks for a blank.

Read is what can mean one thing only; everything else is named by its line and character.
Legend: n digits (also rows and columns), n*n cells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from envs.csv_files import Misfit
from envs.sudoku.board import BOX_SHAPES, board_of_size

MARKS = (".0", "_", "*", "Xx", "?", "-")
"""What a blank is written as; a board keeps to one of these."""

_BARS = str.maketrans("", "", "|!,│║┃¦ \t")
"""What may stand between the cells of a row, deleted."""
_FRAME = "-+*=:.|!│║┃¦ \t" + "".join(map(chr, range(0x2500, 0x2580)))
"""What a line between two rows consists of."""
_DOUBTFUL = "-*"
"""Marks of a blank that frames are drawn with as well."""
_COMMENT = ("#", ";", "//")
_OTHER_SIZES = {cells for size in BOX_SHAPES for cells in (size, size**2)}
"""Cells of rows and boards of any size: who has so many means another size, who has not has lost some."""
_TITLE = re.compile(r"(grid|puzzle|sudoku|board)\s{0,9}(no\.?|#)?\s{0,9}\d+\s*:?", re.IGNORECASE)
_SECTION = re.compile(r"\[([A-Za-z ]+)\]")
_REMARK = re.compile(r"(?<!\s)\s+[#;].*")
"""A comment behind a board."""


@dataclass(frozen=True)
class PastedBoard:
    """n*n cells and where they stand."""

    cells: str
    rows: tuple[tuple[int, str], ...]
    """Number and text of the lines that hold them."""

    @property
    def line(self) -> int:
        """The number of the first line."""
        return self.rows[0][0]

    @property
    def text(self) -> str:
        """The board alone, every row in the line that it has."""
        lines = [""] * self.rows[-1][0]
        for number, text in self.rows:
            lines[number - 1] = text
        return "\n".join([*lines, ""])

    def place(self, cell: int) -> tuple[int, int]:
        """Line and character, both from 1, of a cell."""
        for number, text in self.rows:
            columns = [i for i, character in enumerate(text) if character.translate(_BARS)]
            if cell < len(columns):
                return number, columns[cell] + 1
            cell -= len(columns)
        raise IndexError(f"the board has no cell {cell}")


@dataclass(frozen=True)
class _Line:
    number: int
    text: str
    cells: str
    doubtful: bool
    """Whether it may be a row of blanks or a part of a frame."""


def is_remark(line: str) -> bool:
    """Whether a line is empty or a comment."""
    return not line.strip() or line.strip().startswith(_COMMENT)


def boards(text: str, size: int) -> tuple[list[PastedBoard], dict[int, str]]:
    """The boards of a text, and what is wrong with other lines: number -> reason."""
    parts = _parts(text, size)
    lines = [line for part in parts for line in part]
    for chosen in (lines, [line for line in lines if not line.doubtful]):
        if sum(len(line.cells) for line in chosen) == size**2:
            return [_board(chosen)], {}  # however it is cut into lines
    if len(lines) == 1:
        (line,) = lines
        count = f"{len(line.cells)} character{'s' * (len(line.cells) != 1)}"
        return [], {line.number: Misfit(f"the puzzle has {count}, not {size**2}")}
    found: list[PastedBoard] = []
    wrong: dict[int, str] = {}
    bands: list[_Line] = []  # of a board whose bands empty lines separate
    band_rows = board_of_size(size).box_rows
    for part in parts:
        found += [_board([line]) for line in part if len(line.cells) == size**2]
        rows = _rows(part, size, wrong)
        if rows is None:  # its lines are named; whether bands before it belong to it is not known
            bands = []
            continue
        if bands and len(rows) != band_rows:
            wrong[bands[0].number] = _too_few(bands, size)
            bands = []
        if len(rows) == band_rows:
            bands += rows
            rows = []
            if len(bands) == size:
                rows, bands = bands, []
        if len(rows) % size:
            wrong[rows[0].number] = _too_few(rows, size)
        else:
            found += [_board(rows[first : first + size]) for first in range(0, len(rows), size)]
    if bands:
        wrong[bands[0].number] = _too_few(bands, size)
    return sorted(found, key=lambda board: board.line), wrong


def _parts(text: str, size: int) -> list[list[_Line]]:
    """The lines that hold cells, in the parts that empty lines and titles separate."""
    parts: list[list[_Line]] = [[]]
    elsewhere = False  # in a section of an .sdk file that is not the puzzle
    for number, raw in enumerate(text.splitlines(), 1):
        line = _REMARK.sub("", raw.rstrip())
        bare = line.strip()
        section = _SECTION.fullmatch(bare)
        if section is not None:
            elsewhere = section[1].lower() != "puzzle"
        if not bare or section is not None or _TITLE.fullmatch(bare):
            parts.append([])
        elif not elsewhere and not bare.startswith(_COMMENT):
            cells = bare.translate(_BARS)
            doubtful = len(cells) == size and len(set(cells)) == 1 and cells[0] in _DOUBTFUL
            if doubtful or not _is_frame(bare, cells):
                parts[-1].append(_Line(number, line, cells, doubtful))
    return [part for part in parts if part]


def _is_frame(bare: str, cells: str) -> bool:
    return not bare.strip(_FRAME) and set(cells) != {"."}


def _rows(part: Sequence[_Line], size: int, wrong: dict[int, str]) -> list[_Line] | None:
    """The lines of a part that are rows of boards. Lines that are neither rows nor boards go to `wrong`, and
    then it is None."""
    odd = [line for line in part if len(line.cells) not in (size, size**2)]
    for line in odd:
        kind = Misfit if len(line.cells) in _OTHER_SIZES else str
        wrong[line.number] = kind(f"has {len(line.cells)} cells; a row has {size}, a board {size**2}")
    rows = [line for line in part if len(line.cells) == size]
    sure = [line for line in rows if not line.doubtful]
    if odd or len(sure) == len(rows) or len(rows) == size:
        return None if odd else rows
    if len(sure) != size:
        first = next(line for line in rows if line.doubtful)
        wrong[first.number] = (
            f"'{first.cells}' may be a row of blanks or part of a frame: write blanks as '.' throughout"
        )
        return None
    return sure


def _too_few(rows: Sequence[_Line], size: int) -> str:
    if len(rows) == 1:
        return f"one row of {size} cells stands alone; a board has {size}"
    return f"{len(rows)} rows of {size} cells stand together; a board has {size}"


def _board(lines: Sequence[_Line]) -> PastedBoard:
    cells = "".join(line.cells for line in lines)
    return PastedBoard(cells, tuple((line.number, line.text) for line in lines))
