"""Some rows of a CSV file of puzzles, without reading all the others.

Collections have millions of rows and tasks read, and check, whole files; so the wanted rows go to a task as
small files of their own, and faults are reported by their place in the original.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from envs.csv_files import QUESTION_COLUMNS
from envs.errors import DataError
from envs.puzzle import PuzzleBatch
from envs.task import PuzzleTask

CHUNK = 20_000
"""Rows that a task reads at a time."""

RATING_COLUMN = "rating"

_DAMAGE = (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error)


class PuzzleFile:
    """A file of puzzles, by row."""

    def __init__(self, task: PuzzleTask, path: Path, min_rating: float | None = None) -> None:
        """
        path: a CSV with a header line; any other file that the task reads is read whole.
        min_rating: offer only rows whose column `rating` is at least that.
        Raises DataError.
        """
        self.path = path
        self._task = task
        self._whole: PuzzleBatch | None = None
        header = next(self._records(), ([], []))[0]
        columns = [name.strip().lower() for name in header]
        if min_rating is not None and RATING_COLUMN not in columns:
            raise DataError(
                f"{path} has no column {RATING_COLUMN}, which --min-rating looks at (it has "
                f"{', '.join(columns) or 'no header'})"
            )
        if not set(columns) & set(QUESTION_COLUMNS):
            self._whole = task.read(path)
            self.rows = np.arange(len(self._whole))
        else:
            self.rows = self._rows_from(min_rating, columns)
        if not len(self.rows):
            rated = "" if min_rating is None else f" rated {min_rating:g} or more"
            raise DataError(f"{path}: has a header but no rows{rated}")

    @property
    def is_whole(self) -> bool:
        """Whether the file had to be read whole."""
        return self._whole is not None

    rows: NDArray[np.int64]
    """(N,) numbers of the rows on offer, ascending; row 0 is the first after the header."""

    def read(self, rows: NDArray[np.int64]) -> Iterator[PuzzleBatch]:
        """The puzzles of `rows` (ascending), at most CHUNK at a time. Raises DataError naming line and
        reason."""
        if self._whole is not None:
            yield self._whole.take(rows)
            return
        records = self._records()
        header_lines = next(records)[1]
        at = 0  # place in `rows`
        line = len(header_lines) + 1
        excerpt = _Excerpt(header_lines)
        for number, (_, lines) in enumerate(records):
            if at == len(rows):
                break
            if number == rows[at]:
                excerpt.add(lines, line)
                at += 1
                if excerpt.rows == CHUNK or at == len(rows):
                    yield excerpt.read(self._task, self.path)
                    excerpt = _Excerpt(header_lines)
            line += len(lines)

    def _rows_from(self, min_rating: float | None, columns: list[str]) -> NDArray[np.int64]:
        records = self._records()
        next(records)
        if min_rating is None:
            return np.arange(sum(1 for _ in records))
        place = columns.index(RATING_COLUMN)
        kept = []
        for number, (fields, _) in enumerate(records):
            try:
                rating = float(fields[place])
            except (ValueError, IndexError):
                found = repr(fields[place]) if place < len(fields) else "missing"
                raise DataError(
                    f"{self.path}: row {number + 1} after the header: the rating is {found}, not a number"
                ) from None
            if rating >= min_rating:
                kept.append(number)
        return np.array(kept, np.int64)

    def _records(self) -> Iterator[tuple[list[str], list[str]]]:
        """Fields and lines of every row that is not empty, the header first; an empty line belongs to the row
        after it."""
        lines: list[str] = []
        try:
            with _open_text(self.path) as file:
                for fields in csv.reader(_recorded(file, lines)):
                    if fields:
                        yield fields, lines.copy()
                        lines.clear()
        except _DAMAGE as error:
            self._task.read(self.path)  # says what is wrong with the file in the usual words
            raise DataError(f"{self.path}: cannot be read ({error})") from None


class _Excerpt:
    """Rows on their way to a task."""

    def __init__(self, header_lines: list[str]) -> None:
        self.rows = 0
        self._lines = list(header_lines)
        self._origin = list(range(1, len(header_lines) + 1))  # the original number of each line

    def add(self, lines: list[str], first_line: int) -> None:
        self.rows += 1
        self._lines += lines
        self._origin += range(first_line, first_line + len(lines))

    def read(self, task: PuzzleTask, path: Path) -> PuzzleBatch:
        """Raises DataError as if the task had read `path`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.csv"
            file.write_text("".join(self._lines), encoding="utf-8", newline="")
            try:
                return task.read(file)
            except DataError as error:
                reason = re.sub(r"\bline (\d+)", self._original, str(error).removeprefix(str(file)))
                raise type(error)(f"{path}{reason}") from None

    def _original(self, match: re.Match[str]) -> str:
        number = int(match[1])
        return f"line {self._origin[number - 1]}" if 0 < number <= len(self._origin) else match[0]


def _open_text(path: Path) -> IO[str]:
    binary: IO[bytes] = path.open("rb")
    if binary.read(2) == b"\x1f\x8b":
        binary.close()
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    binary.seek(0)
    return io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")


def _recorded(file: IO[str], lines: list[str]) -> Iterator[str]:
    for line in file:
        # The last line may lack its end, and another row may follow it in an excerpt.
        whole = line if line.endswith(("\n", "\r")) else line + "\n"
        lines.append(whole)
        yield whole
