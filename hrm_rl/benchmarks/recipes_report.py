"""Tables and pictures of the comparison of recipes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hrm_rl.benchmarks.recipes import (
    BOARDS,
    CHANGES,
    GRADIENTS,
    NETWORKS,
    Q_TARGETS,
    Measurement,
)
from hrm_rl.utils.files import write_atomically


def table(board: str, measurements: list[Measurement]) -> str:
    """A Markdown table: for each recipe the updates and seconds to the goal, or what was reached."""
    goal = BOARDS[board].goal
    by_recipe: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        by_recipe[measurement.recipe].append(measurement)
    lines = [
        f"| recipe | seeds | reached {goal:.0%} | updates | seconds | best exact | segments at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for recipe in sorted(by_recipe, key=lambda name: _order(by_recipe[name], goal)):
        runs = by_recipe[recipe]
        reached = [point for run in runs if (point := run.reached(goal)) is not None]
        best = [100 * run.best for run in runs]
        segments = [run.curve[-1][3] for run in runs if run.curve]
        cells = [
            f"`{recipe}`", str(len(runs)), str(len(reached)), _range([u for u, _ in reached], "{:.0f}"),
            _range([s for _, s in reached], "{:.0f}"), _range(best, "{:.0f} %"), _range(segments, "{:.1f}"),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ablation_table(measurements: list[Measurement]) -> str:
    """A Markdown table: held-out accuracy after each change, for the same number of segments."""
    rows = ["| change | seeds | updates | exact at the end | CPU seconds |", "|---|---|---|---|---|"]
    for change in CHANGES:
        runs = [m for m in measurements if m.ablation == change and m.curve]
        if runs:
            ends = [m.curve[-1] for m in runs]
            cells = [
                change, str(len(runs)), _range([u for u, *_ in ends], "{:.0f}"),
                _range([100 * accuracy for _, _, accuracy, _ in ends], "{:.0f} %"),
                _range([s for _, s, *_ in ends], "{:.0f}"),
            ]  # fmt: skip
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _order(runs: list[Measurement], goal: float) -> tuple[float, float]:
    """The most successful recipes first, then the fastest."""
    reached = [point[1] for run in runs if (point := run.reached(goal)) is not None]
    mean = sum(reached) / len(reached) if reached else 0.0
    return -len(reached) / len(runs), mean or -sum(run.best for run in runs) / len(runs)


def _range(values: Sequence[float], form: str) -> str:
    """`mean (least-most)`."""
    if not values:
        return "-"
    mean = form.format(sum(values) / len(values))
    if len(set(values)) == 1:
        return mean
    return f"{mean} ({form.format(min(values))} to {form.format(max(values))})"


def draw(
    board: str, measurements: list[Measurement], path: Path, shown: Literal["exact", "segments"]
) -> None:
    """Held-out accuracy, or segments spent on a held-out puzzle, against training time, a panel for each
    model: mean and range over the seeds."""
    from hrm_rl.utils import plots

    colours = dict(zip(Q_TARGETS, plots.CYCLE, strict=False))
    figure, axes = plots.canvas(15, 4, 1, len(NETWORKS), sharex=True, sharey=True)
    lines: dict[str, Any] = {}
    for axis, model in zip(axes, NETWORKS, strict=True):
        for target in Q_TARGETS:
            for gradient in GRADIENTS:
                runs = [m for m in measurements if m.recipe == f"{model}/{gradient}/{target}" and m.curve]
                if not runs:
                    continue
                seconds, curves = _on_common_times(runs, shown)
                style = "-" if gradient == "last_cycle" else "--"
                (line,) = axis.plot(seconds, curves.mean(0), style, color=colours[target])
                lines[f"{target}, {gradient}"] = line
                axis.fill_between(seconds, curves.min(0), curves.max(0), color=colours[target], alpha=0.12)
        if shown == "exact":
            axis.axhline(100 * BOARDS[board].goal, color="0.6", linewidth=0.8)
        plots.tidy(axis, "training (CPU seconds, one thread)", title=model)
    what = {"exact": "exactly right (%)", "segments": "segments, of 8"}[shown]
    axes[0].set_ylabel(f"held-out {board}: {what}")
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, plots.png(figure))


def _on_common_times(
    runs: list[Measurement], shown: Literal["exact", "segments"]
) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,) and the accuracy in %, or the segments, of each run (R, T); a run that
    ended at its goal stays where it was."""
    column, factor, start = {"exact": (2, 100.0, [0.0]), "segments": (3, 1.0, [8.0])}[shown]
    times = np.linspace(0, max(run.curve[-1][1] for run in runs), 100)
    curves = [
        np.interp(times, [0.0, *[p[1] for p in run.curve]], start + [factor * p[column] for p in run.curve])
        for run in runs
    ]
    return times, np.stack(curves)
