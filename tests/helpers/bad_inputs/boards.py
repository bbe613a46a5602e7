"""Bad inputs: puzzles and mazes as pasted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.helpers.bad_inputs.kinds import BadInput, bad

GOOD = "1..4..1..3..2..3"
NINE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


def sudoku(puzzle: str, about: str = "") -> BadInput:
    return bad(f"solve --checkpoint runs/r --puzzle '{puzzle}'", about)


def file(content: str | bytes, about: str = "", more: str = "") -> BadInput:
    """A Sudoku in a file."""
    return bad(f"solve --checkpoint runs/r --file p.txt{more}", about, {"p.txt": content})


def maze(content: str, about: str = "") -> BadInput:
    return bad("solve --checkpoint runs/maze --file m.txt", about, {"m.txt": content})


def solve(flags: str, about: str = "", **kinds: Any) -> BadInput:
    return bad(f"solve --checkpoint runs/r {flags}", about, **kinds)


BOARDS = (
    solve(f"--puzzle {GOOD} --file p.txt"),
    solve(f"--random easy --puzzle {GOOD}"),
    sudoku(""),
    sudoku("1..4..1..3..2.."),
    sudoku("1..4..1..3..2..3."),
    sudoku(NINE),
    sudoku("1..4..1..3..2..5"),
    sudoku("1..4..1..3..2..A"),
    sudoku("1..1..1..3..2..3"),
    sudoku("................"),
    sudoku("1234341221434312"),
    sudoku("S #  #   # G"),
    sudoku("puzzles.csv"),
    sudoku("\uff11..4..1..3..2..3", "the first 1 is a full-width one"),
    sudoku("[[1,0,0,4],[0,0,1,0],[0,3,0,0],[2,0,0]]"),
    solve("--file missing.txt"),
    solve("--file data"),
    solve("--file -", "standard input is empty", stdin=""),
    solve("--file -", "standard input is `no puzzle`", stdin="no puzzle\n"),
    solve("--file puzzles.csv --number 13"),
    solve("--file puzzles.csv --number 0"),
    solve("--number 2 --random easy"),
    solve("--random nightmare"),
    solve("--random easy --seed -3"),
    file("", "`p.txt` is empty"),
    file("\n\n \n", "`p.txt` is some empty lines"),
    file("1..4\n..1.\n.3..\n", ""),
    file("1..4\n..1.\n.3.\n2..3\n", ""),
    file("1..4\n..1.\n.3..\n2..3\n\n1..4\n", "", " --number 2"),
    file("puzzle,solution\n", ""),
    file("#A Ada\n[Puzzle]\n", ""),
    file(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(128, 200)), "`p.txt` is a screenshot, a PNG"),
    file(b"PK\x03\x04" + bytes(60), "`p.txt` is an Excel sheet"),
    file("<html><body>404: Not Found</body></html>\n", ""),
    maze("#####\n#S..#\n", ""),
    maze("S    \n ### \n   # \n## # \n     \n", ""),
    maze("SS   \n ### \n   # \n## # \n    G\n", ""),
    maze("S    \n#####\n   # \n## # \n    G\n", ""),
    maze("S    \n ###\n   # \n## # \n    G\n  x  \n", ""),
    maze("S    \n ?## \n   # \n## # \n    G\n", ""),
    maze("S  #  \n ###  \n   #  \n## #  \n    # \n     G\n", "a maze of 6x6, the model is for 5x5"),
    bad(f"solve --checkpoint runs/maze --puzzle {GOOD}"),
    bad("solve --checkpoint runs/maze --puzzle S...G"),
    bad(f"solve --puzzle {NINE[1:]}", "no model is named"),
    bad(f"solve --puzzle 55{NINE[2:]}", "no model is named"),
    bad("solve --file m.txt", "no model is named", {"m.txt": "S  \n###\n  #\n"}),
    bad(
        "solve --checkpoint runs/r --file loop.txt",
        "`loop.txt` is a link to itself",
        make=lambda: Path("loop.txt").symlink_to("loop.txt"),
    ),
)
