"""What a solved puzzle costs: solved against mean segments, a curve for each way to spend more of them (depth
and other stopping rules, votes, rollouts, retries, search)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hrm_rl.evaluation.intervals import Interval, bootstrap
from hrm_rl.evaluation.report import Report, letters
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.evaluation.tradeoff import Point
from hrm_rl.evaluation.votes import MultiPass
from hrm_rl.utils import plots
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import write_atomically


@dataclass(frozen=True)
class CostCurve:
    """One way to spend segments; its points are in the order in which it spends more."""

    name: str
    segments: Sequence[float]
    """Mean over the puzzles, of each point."""
    solved: Sequence[float]
    intervals: Sequence[Interval] | None = None
    """95 % intervals of `solved`, where there are any."""


def curves_of(report: Report) -> list[CostCurve]:
    """The depths of a report, or of its search, and its passes beside the single one, which all begin with
    that."""
    rows = report.depths
    found = [
        CostCurve(
            "depth" if report.search is None else "search",
            [row.segments_mean for row in rows],
            [row.solved for row in rows],
            [row.solved_interval for row in rows],
        )
    ]
    for kind in dict.fromkeys(passes.kind for passes in report.extra.values()):
        points: list[Evaluation | MultiPass] = [report.result]
        points += [passes for passes in report.extra.values() if passes.kind == kind]
        found.append(
            CostCurve(
                kind,
                [float(point.segments.mean()) for point in points],
                [float(point.solved.mean()) for point in points],
                [bootstrap(point.solved, report.seed) for point in points],
            )
        )
    return found


def curves_of_sweep(points: Sequence[Point]) -> list[CostCurve]:
    """A curve for each stopping rule: of all its thresholds and budgets, those that solve more than any that
    costs less."""
    found = []
    for halting in dict.fromkeys(point.halting for point in points):
        best: list[Point] = []
        for point in sorted(points, key=lambda point: (point.segments_mean, -point.solved)):
            if point.halting == halting and (not best or point.solved > best[-1].solved):
                best.append(point)
        found.append(CostCurve(halting, [p.segments_mean for p in best], [p.solved for p in best]))
    return found


def cost_figure(curves: Sequence[CostCurve], title: str = "") -> Figure:
    """Solved against mean segments, both as measured, segments in powers of two."""
    figure, axis = plots.canvas(7.6, 4.4)
    for i, curve in enumerate(curves):
        solved = 100 * np.array(curve.solved)
        axis.plot(curve.segments, solved, label=curve.name, **plots.line_of(i))
        if curve.intervals is not None:
            low, high = 100 * np.array(curve.intervals).T
            color = plots.line_of(i)["color"]
            axis.vlines(curve.segments, low, high, color=color, linewidth=0.8, alpha=0.6)
    plots.tidy(axis, "mean segments a puzzle, all passes together", "puzzles solved, %", title)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.legend(frameon=False, fontsize="small")
    return figure


def write_figure(path: Path, models: Sequence[Sequence[CostCurve]], title: str = "") -> None:
    """The curves of one or several models as a PNG; of several, each with its letter. Raises UserError."""
    marks = [f"{letter}  " for letter in letters(models)] if len(models) > 1 else [""]
    curves = [
        replace(curve, name=mark + curve.name)
        for mark, mine in zip(marks, models, strict=True)
        for curve in mine
    ]
    try:
        write_atomically(path, plots.png(cost_figure(curves, title)))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
