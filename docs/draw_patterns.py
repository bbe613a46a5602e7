"""Draw docs/images/patterns-length.png, solved by length and by budget of thinking, from
docs/data/patterns-length.json.

The numbers are those of `hrm-rl evaluate --by length --json` with a budget larger than the one in training;
`python docs/draw_patterns.py PATTERN=TRAINED=FILE.json ...` takes them from new files first. TRAINED is the
longest length of training.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hrm_rl.utils.plots import CYCLE, LINES, MARKERS, canvas, tidy

DOCS = Path(__file__).parent
NUMBERS = DOCS / "data" / "patterns-length.json"
PICTURE = DOCS / "images" / "patterns-length.png"
COLUMNS = 5
BUDGETS = (1, 2, 4, 16, 64)
"""Segments; training has 16."""


def numbers_of(trained: int, report: dict[str, Any]) -> dict[str, Any]:
    """What the picture needs of a report: for each range of lengths its puzzles, and solved by budget."""
    rows = {
        name: {"puzzles": row["puzzles"], "solved_within": row["solved_within"]}
        for name, row in report["length"].items()
    }
    return {"trained": trained, "lengths": rows}


def middle(name: str) -> float:
    """Of a range such as 5-8 or 31+."""
    ends = [int(end) for end in name.rstrip("+").split("-")]
    return sum(ends) / len(ends)


def main(args: list[str]) -> None:
    if args:
        found = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
        for arg in args:
            pattern, trained, path = arg.split("=", 2)
            found[pattern] = numbers_of(int(trained), json.loads(Path(path).read_text()))
        lines = (f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found))
        NUMBERS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    found = json.loads(NUMBERS.read_text())
    rows = -(-len(found) // COLUMNS)
    figure, axes = canvas(11.0, 2.5 * rows, rows=rows, columns=COLUMNS, sharey=True, squeeze=False)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for number, (axis, (pattern, numbers)) in enumerate(zip(axes.flat, found.items(), strict=False)):
        lengths = [middle(name) for name in numbers["lengths"]]
        for i, budget in enumerate(BUDGETS):
            solved = [100 * row["solved_within"][str(budget)] for row in numbers["lengths"].values()]
            axis.plot(
                lengths, solved, LINES[i % 4], marker=MARKERS[i], color=CYCLE[i], markersize=3.5,
                label=f"within {budget} segment{'s' * (budget > 1)}",
            )  # fmt: skip
        axis.axvspan(0, numbers["trained"] + 0.5, color="0.93", zorder=0, label="lengths of training")
        axis.set_xlim(0, max(lengths) + 1)
        tidy(axis, x="length", y="solved, %" if number % COLUMNS == 0 else "", title=pattern)
        axis.set_ylim(-3, 103)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=6, frameon=False, fontsize="small", loc="outside lower center")
    figure.savefig(PICTURE, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main(sys.argv[1:])
