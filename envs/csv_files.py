"""Reading puzzle files: text, gzipped or not, with every fault reported as one DataError line.

What a row must hold is the task's business; a task collects the faults of its rows and hands them to
`refuse_bad_rows`.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from envs.errors import DataError, MisfitError
from envs.puzzle import Tokens

QUESTION_COLUMNS = ("question", "puzzle", "quizzes")
ANSWER_COLUMNS = ("answer", "solution", "solutions")

SHOWN_ROWS = 5
SHOWN_COLUMNS, SHOWN_OF_NAME = 10, 30

BINARY = {
    b"PK\x03\x04": "a zip file, as sheets of Excel are", b"PAR1": "a Parquet file", b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture", b"%PDF": "a PDF", b"\x93NUMPY": "an array of NumPy",
    b"\xff\xfe": "text in UTF-16", b"\xfe\xff": "text in UTF-16",
}  # fmt: skip
"""How files begin that people take for text, and what they are."""

Place = Callable[[int, int], tuple[int, str]]
"""The line in which a character (from 0) of a row (from 0) stands, and what messages call it."""


class Misfit(str):
    """A reason to refuse a row that lies in its size: it may be meant for another task."""


def read_text(path: Path) -> str:
    """The text of a file, decompressed if its name ends in .gz or it starts like a gzip file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: is a damaged gzip file ({error})") from None
    elif path.suffix == ".gz":
        raise DataError(f"{path}: is named .gz but is no gzip file")
    for start, kind in BINARY.items():
        if data.startswith(start):
            raise DataError(f"{path}: is {kind}; save it as CSV or text in UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no text file (not UTF-8); save it as one in UTF-8") from None
    if not text.strip():
        raise DataError(f"{path}: is empty")
    first = text.split(maxsplit=0)[0].splitlines()[0].lower()
    if first.startswith(("{", "[[", "[{")):
        raise DataError(f"{path}: is JSON; save it as CSV with columns question,answer")
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if "," not in first and {part.strip() for part in first.split(mark)[:-1]} & set(QUESTION_COLUMNS):
            raise DataError(f"{path}: has {name} between its columns; save it with commas")
    return text


def read_columns(
    path: Path, text: str, names: Sequence[Sequence[str]]
) -> tuple[list[int], list[list[str] | None]]:
    """Columns of a CSV text with a header line.

    names: for each wanted column its accepted names; the first column is required, the others may be missing.
    Returns the line number of each row and, for each wanted column, its values as they stand, or None.
    """
    lines: list[int] = []
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            if row:
                lines.append(reader.line_num)
                rows.append(row)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is no CSV ({error})") from None
    header = [name.strip().lower() for name in rows.pop(0)]
    del lines[0]
    places = [next((header.index(name) for name in accepted if name in header), None) for accepted in names]
    if places[0] is None:
        raise DataError(f"{path}: {no_column(header, names[0])}")
    return lines, [
        None if place is None else [row[place] if place < len(row) else "" for row in rows]
        for place in places
    ]


def no_column(header: Sequence[str], names: Sequence[str]) -> str:
    """The reason to refuse a header line without any of these names."""
    shown = ", ".join(" ".join(name.split())[:SHOWN_OF_NAME] for name in header[:SHOWN_COLUMNS])
    more = f" and {len(header) - SHOWN_COLUMNS:,} more" if len(header) > SHOWN_COLUMNS else ""
    return f"has columns {shown}{more}; one of them must be {' or '.join(names)}"


def tokens_of(
    texts: Sequence[str],
    lines: Sequence[int],
    length: int,
    codes: Mapping[str, int],
    what: str,
    bad: dict[int, str],
    filler: int,
    place: Place | None = None,
) -> Tokens:
    """Rows of `length` characters as tokens (N, length).

    codes: the token of each character. lines: the line number of each row. Faults go to `bad`, by line, and
    leave a row of `filler`; what: how they call the row. place: where a character of a row stands, if that is
    not the row's line.
    """
    place = place or (lambda row, character: (lines[row], f"character {character + 1} of the {what}"))
    table = np.full(256, 255, np.uint8)
    for character, token in codes.items():
        table[ord(character)] = token
    tokens = np.full((len(texts), length), filler, np.uint8)
    whole = [i for i, text in enumerate(texts) if len(text) == length]
    for i in set(range(len(texts))) - set(whole):
        bad.setdefault(lines[i], Misfit(f"the {what} has {len(texts[i])} characters, not {length}"))
    joined = "".join(texts[i] for i in whole).encode("utf-32-le", "surrogatepass")
    found = table[np.minimum(np.frombuffer(joined, np.uint32), 255)].reshape(len(whole), length)
    foreign = found == 255
    for row in np.flatnonzero(foreign.any(axis=1)):
        i, number = whole[row], int(np.argmax(foreign[row]))
        line, name = place(i, number)
        bad.setdefault(line, f"{name} is {texts[i][number]!r}, not one of '{''.join(codes)}'")
        found[row] = filler
    tokens[whole] = found
    return tokens


def read_csv(path: Path, characters: str, length: int) -> tuple[list[int], Tokens, Tokens]:
    """Line numbers, questions (N, length) and answers (N, length) of a CSV file with columns question,answer
    (or puzzle,solution), token t written as characters[t]. Raises DataError."""
    codes = {character: token for token, character in enumerate(characters) if token}
    lines, (questions, answers) = read_columns(path, read_text(path), (QUESTION_COLUMNS, ANSWER_COLUMNS))
    if not lines:
        raise DataError(f"{path}: has a header but no rows")
    if questions is None or answers is None:
        raise DataError(f"{path}: has no column {' or '.join(ANSWER_COLUMNS)}")
    bad: dict[int, str] = {}
    inputs = tokens_of(questions, lines, length, codes, "question", bad, filler=1)
    solution = tokens_of(answers, lines, length, codes, "answer", bad, filler=1)
    refuse_bad_rows(path, bad)
    return lines, inputs, solution


def parse_cells(text: str, characters: str, length: int) -> Tokens:
    """One puzzle as tokens (1, length), token t written as characters[t], PAD only where a task has no blank
    of its own. Line ends do not count. Raises DataError."""
    lines = text.splitlines()
    ends = np.cumsum([len(line) for line in lines])
    bad: dict[int, str] = {}
    codes = {character: token for token, character in enumerate(characters)}

    def place(_: int, character: int) -> tuple[int, str]:
        line = int(np.searchsorted(ends, character, side="right"))
        before = int(ends[line - 1]) if line else 0
        return line + 1, f"{f'line {line + 1}, ' * (len(lines) > 1)}character {character - before + 1}"

    tokens = tokens_of(["".join(lines)], [1], length, codes, "puzzle", bad, filler=1, place=place)
    refuse_first(bad)
    return tokens


def refuse_first(reasons: Mapping[int, str]) -> None:
    """Raise DataError for the first of the faults of one puzzle, if there are any."""
    for line in sorted(reasons)[:1]:
        raise _error_for(reasons.values())(reasons[line])


def _error_for(reasons: Iterable[str]) -> type[DataError]:
    return MisfitError if any(isinstance(reason, Misfit) for reason in reasons) else DataError


def refuse_bad_rows(path: Path, reasons: Mapping[int, str]) -> None:
    """Raise DataError if there are faults: a mapping of line number to what is wrong with that line."""
    if not reasons:
        return
    shown = [f"line {line}: {reasons[line]}" for line in sorted(reasons)[:SHOWN_ROWS]]
    if len(reasons) > SHOWN_ROWS:
        shown.append(f"and {len(reasons) - SHOWN_ROWS:,} more")
    rows = "1 bad row" if len(reasons) == 1 else f"{len(reasons):,} bad rows"
    raise _error_for(reasons.values())(f"{path}: {rows}; " + "; ".join(shown))
