"""Draw docs/images/halting-curve.png, the README's picture of one run, from docs/data/halting-curve.json.

`python docs/draw_halting.py` draws the numbers that are there; `python docs/draw_halting.py runs/NAME` takes
those of another run of `sudoku4-quick` first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hrm_rl.runs.folder import read_metrics
from hrm_rl.utils.plots import BLUE, GREY, ORANGE, canvas, tidy

DOCS = Path(__file__).parent
NUMBERS = DOCS / "data" / "halting-curve.json"
PICTURE = DOCS / "images" / "halting-curve.png"
TAGS = ("train/solved", "halting/segments_mean", "eval/solved", "eval/segments_mean")


def main(args: list[str]) -> None:
    if args:
        records = read_metrics(Path(args[0]) / "metrics.jsonl")
        rows = [{tag: record[tag] for tag in ("update", *TAGS) if tag in record} for record in records]
        NUMBERS.write_text(json.dumps([row for row in rows if len(row) > 1], indent=0) + "\n")
    rows = json.loads(NUMBERS.read_text())

    figure, (above, below) = canvas(4.6, 2.7, rows=2, sharex=True)
    for axis, train, held_out, scale in (
        (above, "train/solved", "eval/solved", 100),
        (below, "halting/segments_mean", "eval/segments_mean", 1),
    ):
        for tag, colour, style in ((train, BLUE, "-"), (held_out, ORANGE, "o")):
            points = [(row["update"], scale * row[tag]) for row in rows if tag in row]
            label = "held-out puzzles" if tag == held_out else "while training"
            axis.plot(*zip(*points, strict=True), style, color=colour, label=label, markersize=4)
    tidy(above, y="solved, %").set_ylim(0, 105)
    tidy(below, x="update", y="segments").set_ylim(0, 8.5)
    below.axhline(8, color=GREY, linestyle=":", linewidth=1)
    above.legend(frameon=False, fontsize="small", loc="lower right")
    figure.savefig(PICTURE, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main(sys.argv[1:])
