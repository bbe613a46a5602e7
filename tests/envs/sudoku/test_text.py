"""Boards as people paste them: read where they can mean one thing only, else named by line and character."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import DataError, make_task
from envs.errors import MisfitError

NINE, FOUR, SIX = make_task("sudoku"), make_task("sudoku", size=4), make_task("sudoku", size=6)
EASY = NINE.generate("easy", 3, np.random.default_rng(0))
LINES = [NINE.write_text(row) for row in EASY.inputs]
ROWS = [LINES[0][i : i + 9] for i in range(0, 81, 9)]


def barred(rows: list[str], bar: str = "|", blank: str = ".") -> list[str]:
    return [
        bar.join(("", *(row[i : i + 3].replace(".", blank) for i in (0, 3, 6)), "")).strip(" ")
        for row in rows
    ]


def framed(outer: str, inner: str, rows: list[str]) -> str:
    bands = [rows[0:3], rows[3:6], rows[6:9]]
    return "\n".join([outer, *f"\n{inner}\n".join("\n".join(band) for band in bands).split("\n"), outer])


SDK = "#AHodoku\n#DA random board\n#CTo be solved\n#B2025-01-01\n#SFrom a newspaper\n#LEasy\n"
ONE_BOARD = {
    "sdk": SDK + "\n".join(ROWS) + "\n",
    "sdk with sections": f"{SDK}[Puzzle]\n" + "\n".join(ROWS) + "\n[State]\n" + "\n".join(["123456789"] * 9),
    "frame of stars": framed("*-----------*", "|---+---+---|", barred(ROWS)),
    "frame of stars and bars": framed("*---*---*---*", "*---*---*---*", barred(ROWS)),
    "frame of plus": framed("+-------+-------+-------+", "+-------+-------+-------+", barred(ROWS, " | ")),
    "inner frame only": "\n".join(
        [*barred(ROWS[:3]), "---+---+---", *barred(ROWS[3:6]), "---+---+---", *barred(ROWS[6:])]
    ),
    "frame of dashes as long as a row": framed("---------", "---------", ROWS),
    "frame of dashes and bars": framed("---|---|---", "---|---|---", barred(ROWS)),
    "drawn frame": framed("╔═══╦═══╦═══╗", "╠═══╬═══╬═══╣", barred(ROWS, "║")),
    "bands apart": "\n\n".join("\n".join(ROWS[i : i + 3]) for i in (0, 3, 6)) + "\n",
    "every row apart": "\n\n".join(ROWS),
    "blanks between cells": "\n".join(" ".join(row) for row in ROWS),
    "commas between cells": "\n".join(",".join(row.replace(".", "0")) for row in ROWS),
    "comments": "# mine\n; of today\n" + "\n".join(ROWS) + "\n// end\n",
    "comment behind a line": f"{LINES[0]}  # rated 1.2",
    "wrapped anywhere": "\n".join(LINES[0][i : i + 40] for i in (0, 40, 80)),
    "a title": "Grid 01\n" + "\n".join(ROWS),
    "bars between rows of dashes": "\n".join(barred(ROWS, " | ", "-")),
    **{f"blank {blank}": "\n".join(ROWS).replace(".", blank) for blank in "0_*Xx?-"},
    **{f"one line, blank {blank}": LINES[0].replace(".", blank) for blank in "0_*Xx?-"},
}


@pytest.mark.parametrize("name", ONE_BOARD)
def test_a_pasted_board_is_read_alike_as_text_and_as_a_file(name: str, tmp_path: Path) -> None:
    text = ONE_BOARD[name]
    for ends in ("\n", "\r\n"):
        found = NINE.parse(text.replace("\n", ends))
        assert NINE.write_text(found.inputs[0]) == LINES[0]
        path = tmp_path / "board.sdk"
        path.write_text(text.replace("\n", ends), encoding="utf-8", newline="")
        read = NINE.read(path)
        assert np.array_equal(read.inputs, found.inputs)
        assert np.array_equal(read.solution, EASY.solution[:1])
        (split,) = NINE.split(text)
        assert np.array_equal(NINE.parse(split).inputs, found.inputs)


def test_rows_of_dashes_are_blanks_where_they_are_needed_for_a_board() -> None:
    task = make_task("sudoku", size=4)
    found = task.parse("1234\n----\n2143\n43-1\n")
    assert task.write_text(found.inputs[0]) == "1234....214343.1"
    with pytest.raises(DataError, match=r"line 2: '----' may be a row of blanks or part of a frame"):
        task.parse("1234\n----\n2143\n----\n----\n")


SEVERAL = {
    "a line each": "\n".join(LINES),
    "with comments": f"# three boards\n{LINES[0]}\n\n; the second\n{LINES[1]}  ; hard\n//\n{LINES[2]}\n",
    "blocks": "\n\n".join("\n".join(line[i : i + 9] for i in range(0, 81, 9)) for line in LINES),
    "blocks with titles": "".join(
        f"Grid {n:02}\n" + "\n".join(line[i : i + 9] for i in range(0, 81, 9)) + "\n"
        for n, line in enumerate(LINES, 1)
    ),
    "one below the other": "\n".join(line[i : i + 9] for line in LINES for i in range(0, 81, 9)),
    "both kinds": f"{LINES[0]}\n" + "\n".join(LINES[1][i : i + 9] for i in range(0, 81, 9)) + f"\n{LINES[2]}",
    "framed": "\n".join(
        framed("*-----------*", "|---+---+---|", barred([line[i : i + 9] for i in range(0, 81, 9)]))
        for line in LINES
    ),
    "Kaggle's columns": "quizzes,solutions\n"
    + "\n".join(
        f"{line.replace('.', '0')},{NINE.write_text(answer)}"
        for line, answer in zip(LINES, EASY.solution, strict=True)
    ),
    "a comment before the header": "# mine\n\nid,puzzle\n"
    + "\n".join(f"{i},{x}" for i, x in enumerate(LINES)),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_files_of_several_boards_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "boards.txt"
    path.write_text(SEVERAL[name])
    read = NINE.read(path)
    assert [NINE.write_text(row) for row in read.inputs] == LINES
    assert np.array_equal(read.solution, EASY.solution)


def test_boards_whose_bands_are_apart_follow_one_another() -> None:
    texts = ["12..\n34..\n\n2...\n4...\n", "12..\n34..\n\n2...\n4...\n"]
    assert len(FOUR.split("\n".join(texts))) == 2
    assert len(SIX.split("\n\n".join(["123456\n4....."] * 6))) == 2


HARD_TO_READ = [
    (
        [*ROWS[:3], ROWS[3][:4] + "Q" + ROWS[3][5:], *ROWS[4:]],
        DataError,
        "line 4: character 5 is 'Q', not one of",
    ),
    ([f"  {ROWS[0]}", "---+---+---", "é" + ROWS[1][1:], *ROWS[2:]], DataError, "line 3: character 1 is 'é'"),
    (
        ["| " + " ".join(ROWS[0]) + " |", *ROWS[1:8], "A" + ROWS[8][1:]],
        DataError,
        "line 9: character 1 is 'A'",
    ),
    ([*ROWS[:4], ROWS[4][:8], *ROWS[5:]], DataError, "line 5: has 8 cells; a row has 9, a board 81"),
    (ROWS[:8], DataError, "line 1: 8 rows of 9 cells stand together; a board has 9"),
    ([*ROWS[:3], "", *ROWS[3:6], ""], DataError, "line 1: 6 rows of 9 cells stand together; a board has 9"),
    ([*ROWS, ROWS[0]], DataError, "line 1: 10 rows of 9 cells stand together; a board has 9"),
    ([LINES[0], LINES[1][:80]], DataError, "line 2: has 80 cells; a row has 9, a board 81"),
    ([LINES[0].replace(".", "?", 1)], DataError, "but a blank was '?' before: write all alike"),
    ([f"[{','.join(row)}]" for row in ROWS], DataError, "line 1: has 11 cells; a row has 9, a board 81"),
    (["1..4", ".2..", "..1.", "3..2", "1..."], MisfitError, "line 1: has 4 cells; a row has 9, a board 81"),
]


@pytest.mark.parametrize(("lines", "kind", "reason"), HARD_TO_READ)
def test_what_is_not_clear_is_named_by_line_and_character(
    lines: list[str], kind: type[DataError], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "board.txt"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError) as error:
        NINE.read(path)
    assert type(error.value) is kind
    assert reason in str(error.value)
    assert re.match(rf"{re.escape(str(path))}: \d bad rows?; ", str(error.value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["csv", "text"])
def test_a_character_beyond_latin_1_is_no_question_mark(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    text = "\uff11" + LINES[0][1:]
    path.write_text(f"puzzle\n{text}\n" if kind == "csv" else f"{text}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"character 1 (of the puzzle )?is '\uff11', not one of '123456789"):
        NINE.read(path)


def test_a_text_without_a_board_is_said_to_hold_none(tmp_path: Path) -> None:
    path = tmp_path / "a.sdk"
    path.write_text("#A nobody\n+---+\n")
    with pytest.raises(DataError, match="holds no puzzles"):
        NINE.read(path)
    with pytest.raises(DataError, match="no line of the text is a row of a board"):
        NINE.parse("#A nobody\n")
    with pytest.raises(DataError, match="there are 3 puzzles in the text; give one"):
        NINE.parse("\n".join(LINES))


@given(st.text(alphabet="12345.0_*-X?|+=# ;[],Qé\n\r\t"))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for task in (FOUR, NINE):
        for read in (task.parse, task.split):
            reason = ""
            try:
                read(text)
            except DataError as error:
                reason = str(error)
            assert "\n" not in reason


LINE_KINDS = ["12..", "3412", "....", "----", "*---*", "|12|34|", "", "# x", "1234341221434321"]


@given(st.lists(st.sampled_from(LINE_KINDS)))
def test_a_text_of_sound_lines_gives_no_board_that_is_not_in_it(lines: list[str]) -> None:
    try:
        found = FOUR.split("\n".join(lines))
    except DataError:
        return
    cells = "".join(line for line in lines if not line.startswith("#"))
    for board in found:
        assert len("".join(board.split()).replace("|", "")) == 16
        assert sum(map(board.count, "1234")) <= sum(map(cells.count, "1234"))
