"""Bad inputs: files of puzzles."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from tests.helpers.bad_inputs.kinds import BadInput, bad

GOOD = "1..4..1..3..2..3"
ANSWER = "1324241331424213"
HEADER = "puzzle,solution\n"
MADE = "dataset --task sudoku --size 4 --csv p.csv --out data/new"


def evaluated(content: str | bytes, about: str = "") -> BadInput:
    return bad("evaluate --checkpoint runs/r --data p.csv", about, {"p.csv": content})


def trained(flags: str, about: str = "", **kinds: Any) -> BadInput:
    return bad(f"train --preset sudoku4-quick --num-workers 0 {flags}", about, **kinds)


def rows(*lines: str) -> str:
    return HEADER + "".join(f"{line}\n" for line in lines)


def first_row() -> str:
    return Path("puzzles.csv").read_text().splitlines()[1] + "\n"


TABLES = (
    bad("evaluate --checkpoint runs/r --data missing.csv"),
    bad("evaluate --checkpoint runs/r --data notes.txt"),
    bad("evaluate --checkpoint runs/maze --data puzzles.csv"),
    bad("evaluate --checkpoint runs/r --data puzzles.csv --level easy"),
    evaluated("", "`p.csv` is empty"),
    evaluated(HEADER),
    evaluated("quiz,answer\n1..4,1324\n"),
    evaluated(f"puzzle;solution\n{GOOD};{ANSWER}\n"),
    evaluated(f"puzzle\tsolution\n{GOOD}\t{ANSWER}\n"),
    evaluated(rows(f"{ANSWER},{GOOD}"), "question and answer are swapped"),
    evaluated(rows(f"{GOOD},{GOOD}")),
    evaluated(rows(f"{GOOD},{ANSWER[:-1]}")),
    evaluated(rows(f"{GOOD},1324241331424231"), "the solution has two equal digits in a column"),
    evaluated(rows(f"{GOOD},2413132442313142"), "the solution is another puzzle's"),
    evaluated(rows(f"{GOOD[:-1]},{ANSWER}")),
    evaluated(rows(f"{GOOD},{ANSWER}", "", "1..4..1..3..2..9,"), "line 4 has a 9 in a 4x4 board"),
    evaluated(rows(f'"{GOOD},{ANSWER}')),
    evaluated(rows("1..1..1..3..2..3,")),
    evaluated(rows("................,")),
    evaluated(f'{{"puzzle": "{GOOD}", "solution": "{ANSWER}"}}\n'),
    evaluated(rows(f"{GOOD},{ANSWER}").encode("utf-16"), "`p.csv` is in UTF-16, as Excel's Unicode text is"),
    evaluated(b"PAR1" + bytes(range(128, 250)) + b"PAR1", "`p.csv` is a Parquet file"),
    evaluated(b"PK\x03\x04" + bytes(60), "`p.csv` is a zip file"),
    evaluated(gzip.compress(rows(GOOD).encode(), mtime=0)[:-9], "`p.csv` is the first half of a gzip file"),
    bad("evaluate --checkpoint runs/r --data p.csv.gz", "", {"p.csv.gz": f"{HEADER}{GOOD},{ANSWER}"}),
    evaluated(rows(f"{GOOD}\0,{ANSWER}"), "`p.csv` has a NUL byte in it"),
    trained("--data.path missing.csv"),
    trained("--data.path notes.txt"),
    trained("--data.path p.csv", "", files={"p.csv": rows(f"{GOOD},{ANSWER}")}),
    trained("--data.path puzzles.csv --curriculum.stages easy=1 extreme=1"),
    trained("--data.path puzzles.csv --data.eval-path puzzles.csv"),
    trained(
        "--data.path puzzles.csv --data.eval-path e.csv",
        "`e.csv` has the first row of `puzzles.csv`",
        make=lambda: Path("e.csv").write_text(HEADER + first_row()),
    ),
    trained("--data.path puzzles.csv --data.eval-path missing.csv"),
    trained("--data.path puzzles.csv --data.max-puzzles 0"),
    trained("--data.path puzzles.csv --data.max-puzzles 1000"),
    trained("--data.path puzzles.csv --env.size 9"),
    trained("--data.path http://example.org/puzzles.csv"),
    bad("train --preset sudoku9-extreme-1k --num-workers 0"),
    bad(MADE),
    bad("dataset --task sudoku --csv puzzles.csv --out data/new"),
    bad("dataset --task sudoku --size 4 --csv puzzles.csv --min-rating 5 --out data/new"),
    bad(
        f"{MADE} --min-rating 5", "a rating in `p.csv` is `hard`", {"p.csv": f"puzzle,rating\n{GOOD},hard\n"}
    ),
    bad(f"{MADE} --min-rating 5", "no rating in `p.csv` is above 3", {"p.csv": f"puzzle,rating\n{GOOD},3\n"}),
    bad("dataset --task sudoku --size 4 --csv puzzles.csv --test-csv puzzles.csv --out data/new"),
    bad("dataset --task sudoku --size 4 --csv puzzles.csv --test-csv missing.csv --out data/new"),
    bad("dataset --task sudoku --size 4 --csv puzzles.csv --subsample 500 --out data/new"),
    bad("dataset --task sudoku --size 4 --csv puzzles.csv --test-puzzles 12 --out data/new"),
    bad("dataset --task sudoku --size 4 --csv data --out data/new"),
)
