"""Draw docs/images/search.png, solved against segments, from docs/data/search.json.

The numbers are those of `hrm-rl evaluate --json`; `python docs/draw_search.py LABEL=FILE.json ...` takes them
from new files first: LABEL is `SET: CURVE`, for example `17 clues: search`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hrm_rl.utils.plots import CYCLE, LINES, MARKERS, canvas, tidy

DOCS = Path(__file__).parent
NUMBERS = DOCS / "data" / "search.json"
PICTURE = DOCS / "images" / "search.png"


def points(found: dict) -> list[list[float]]:
    """[budget, solved, low, high] for each budget of a report."""
    if "by_budget" in found:
        return [[row["budget"], row["solved"], *row["solved_interval"]] for row in found["by_budget"]]
    return [
        [row["segments"], row["solved"], *row["interval"]] for row in found["all"]["search"]["solved_within"]
    ]


def main(args: list[str]) -> None:
    if args:
        curves = {}
        for arg in args:
            label, _, path = arg.partition("=")
            curves[label] = points(json.loads(Path(path).read_text()))
        NUMBERS.write_text(
            "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in curves.items()) + "\n}\n"
        )
    curves = json.loads(NUMBERS.read_text())
    sets = list(dict.fromkeys(label.split(": ")[0] for label in curves))
    names = list(dict.fromkeys(label.split(": ")[1] for label in curves))
    figure, axes = canvas(9.0, 3.2, columns=len(sets), sharey=True)
    for axis, title in zip(axes, sets, strict=True):
        for i, name in enumerate(names):
            if (rows := curves.get(f"{title}: {name}")) is None:
                continue
            segments, solved, low, high = zip(*(row for row in rows if row[0] >= 4), strict=True)
            axis.plot(
                segments, [100 * s for s in solved], LINES[i % 4], marker=MARKERS[i], color=CYCLE[i],
                label=name, markersize=4,
            )  # fmt: skip
            axis.fill_between(
                segments, [100 * x for x in low], [100 * x for x in high], color=CYCLE[i], alpha=0.15
            )
        axis.set_xscale("log", base=2)
        axis.set_xticks([4, 8, 16, 32, 64, 128, 256], ["4", "8", "16", "32", "64", "128", "256"])
        tidy(axis, x="segments", y="solved, %" if axis is axes[0] else "", title=title).set_ylim(0, 101)
    most = max(axes, key=lambda axis: len(axis.lines))
    most.legend(frameon=False, fontsize="small", loc="lower right")
    figure.savefig(PICTURE, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main(sys.argv[1:])
