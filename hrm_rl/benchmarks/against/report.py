"""The table and the figure of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hrm_rl.benchmarks.against.boards import CONTESTS, OURS, trainers
from hrm_rl.benchmarks.against.runs import Race
from hrm_rl.utils.files import write_atomically


def table(board: str, races: list[Race]) -> str:
    """A Markdown table: CPU seconds of each trainer to the goal, and how many times as fast ours is."""
    goal = CONTESTS[board].goal
    lines = [
        f"| {board} | seeds | reached {goal:.0%} | CPU seconds | ours is faster | best exact | ms/update |",
        "|---|---|---|---|---|---|---|",
    ]
    own = _times([r for r in races if r.board == board and r.trainer == OURS], goal)
    for trainer in trainers():
        runs = [r for r in races if r.board == board and r.trainer == trainer]
        if not runs:
            continue
        times = _times(runs, goal)
        reached = [seconds for seconds, ended in times if ended]
        cells = [
            f"`{trainer}`", str(len(runs)), str(len(reached)),
            _range(reached, "{:.0f}") if reached else f"more than {min(r.limit_s for r in runs):.0f}",
            "" if trainer == OURS else faster(own, times),
            _range([100 * r.best for r in runs], "{:.0f} %"),
            _range([r.update_ms for r in runs], "{:.0f}"),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _times(runs: list[Race], goal: float) -> list[tuple[float, bool]]:
    """CPU seconds to the goal, or all there were, and whether the goal was reached."""
    found = []
    for run in runs:
        seconds = run.reached(goal)
        found.append((run.curve[-1][1] if seconds is None else seconds, seconds is not None))
    return found


def faster(own: list[tuple[float, bool]], other: list[tuple[float, bool]]) -> str:
    """How many times as fast ours is: the ratio of the geometric means, and the range over all pairs of
    seeds; a lower bound where some of theirs did not reach the goal."""
    if not own or not other or not all(ended for _, ended in own):
        return "-"
    ratios = np.array([[theirs / ours for theirs, _ in other] for ours, _ in own])
    bound = "" if all(ended for _, ended in other) else "at least "
    mean = float(np.exp(np.log(ratios).mean()))
    return f"{bound}{mean:.1f} times ({ratios.min():.1f} to {ratios.max():.1f})"


def _range(values: Sequence[float], form: str) -> str:
    """`mean (least to most)`."""
    mean = form.format(sum(values) / len(values))
    if len(values) == 1:
        return mean
    return f"{mean} ({form.format(min(values))} to {form.format(max(values))})"


def draw(races: list[Race], path: Path) -> None:
    """Held-out accuracy against CPU seconds of training, a panel for each board, a line for each seed."""
    from hrm_rl.utils import plots

    boards = [board for board in CONTESTS if any(r.board == board for r in races)]
    figure, axes = plots.canvas(5 * len(boards), 4.2, 1, len(boards), squeeze=False)
    shown = {}
    for axis, board in zip(axes[0], boards, strict=True):
        for trainer, colour, marker in zip(trainers(), plots.CYCLE, plots.MARKERS, strict=False):
            for race in races:
                if race.board == board and race.trainer == trainer:
                    seconds = [0.0, *(point[1] for point in race.curve)]
                    exact = [0.0, *(100 * point[3] for point in race.curve)]
                    (line,) = axis.plot(
                        seconds, exact, color=colour, marker=marker, markersize=3,
                        markevery=max(1, len(exact) // 8), linewidth=2.0 if trainer == OURS else 1.0,
                    )  # fmt: skip
                    shown[trainer] = line
        axis.axhline(100 * CONTESTS[board].goal, color="0.6", linewidth=0.8)
        plots.tidy(axis, "training (CPU seconds, one thread)", title=f"Sudoku {board}")
    axes[0][0].set_ylabel("held-out boards exactly right (%)")
    order = [name for name in trainers() if name in shown]
    figure.legend([shown[n] for n in order], order, loc="outside lower center", ncols=3, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, plots.png(figure))
