"""Draw docs/images/arc-mini.png: a public pair of each rule of `mini`.

`PYTHONPATH=. python docs/draw_arc.py`
"""

from __future__ import annotations

from pathlib import Path

from envs import View, make_task
from envs.arc.pairs import painted
from envs.arc.rules import BY_NAME
from hrm_rl.utils.plots import canvas, png

PICTURE = Path(__file__).parent / "images" / "arc-mini.png"
COLUMNS = 4


def main() -> None:
    task = make_task("arc")
    rows = -(-len(task.puzzles) // COLUMNS)
    figure, axes = canvas(10, 5.0, rows, 3 * COLUMNS, width_ratios=[1, 1, 0.25] * COLUMNS)
    for axis in axes.flat:
        axis.axis("off")
    for number, puzzle in enumerate(task.puzzles):
        row, column = divmod(number, COLUMNS)
        pair = next(pair for pair in puzzle.train if max(pair.input.shape) <= task.size)
        for axis, tokens in zip(axes[row, 3 * column :], painted(pair, task.size), strict=False):
            axis.imshow(task.render_rgb(View(tokens)), interpolation="nearest")
        title = f"{puzzle.name}\n{BY_NAME[puzzle.name].title}"
        axes[row, 3 * column].set_title(title, fontsize=7, loc="left")
    PICTURE.write_bytes(png(figure))


if __name__ == "__main__":
    main()
