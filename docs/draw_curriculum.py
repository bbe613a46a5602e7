"""Draw docs/images/curriculum-curve.png, the graduation curve of a run, from docs/data/curriculum-curve.json.

`python docs/draw_curriculum.py` draws the numbers that are there; `python docs/draw_curriculum.py runs/NAME`
takes those of another run of `sudoku9-curriculum-cpu` first.
"""

from __future__ import annotations

import json
import math
import sys
from itertools import pairwise
from pathlib import Path

from hrm_rl.runs.folder import read_metrics
from hrm_rl.utils.plots import BLUE, GREY, canvas, tidy

DOCS = Path(__file__).parent
NUMBERS = DOCS / "data" / "curriculum-curve.json"
PICTURE = DOCS / "images" / "curriculum-curve.png"
TAGS = ("curriculum/stage", "curriculum/rolling_accuracy", "perf/update_ms")


def main(args: list[str]) -> None:
    if args:
        records = [r for r in read_metrics(Path(args[0]) / "metrics.jsonl") if all(tag in r for tag in TAGS)]
        rows = [{tag: record[tag] for tag in ("update", *TAGS)} for record in records]
        NUMBERS.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    rows = json.loads(NUMBERS.read_text())

    minutes, spent, last = [], 0.0, 0
    for row in rows:
        spent += (row["update"] - last) * row["perf/update_ms"] / 60_000
        last = row["update"]
        minutes.append(spent)
    # The window is emptied where a stage begins: nothing is known of it yet.
    accuracy = [100 * row["curriculum/rolling_accuracy"] or math.nan for row in rows]
    stages = [int(row["curriculum/stage"]) + 1 for row in rows]
    figure, axis = canvas(6.4, 2.4)
    axis.plot(minutes, accuracy, color=BLUE)
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(stages), start=1) if a != b)]
    for start in starts:
        axis.axvline(minutes[start], color=GREY, linestyle=":", linewidth=1)
        axis.text(minutes[start], 101, f" {stages[start]}", fontsize="small", color=GREY)
    axis.axhline(85, color=GREY, linestyle="--", linewidth=1)
    tidy(axis, x="minutes of updates", y="rolling accuracy, %", title="stage").set_ylim(0, 102)
    figure.savefig(PICTURE, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main(sys.argv[1:])
