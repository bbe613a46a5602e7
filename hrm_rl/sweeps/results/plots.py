"""The pictures of a sweep: what accuracy costs, which settings matter, where they are best, how the trials
learned. Statuses differ in colour and in shape."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from hrm_rl.sweeps.results.importance import LEAST_TRIALS, importances, is_number, key, trials_with
from hrm_rl.sweeps.results.reading import SweepResults, Trial
from hrm_rl.sweeps.results.records import value_of
from hrm_rl.utils.console import is_share, shown
from hrm_rl.utils.files import write_atomically
from hrm_rl.utils.plots import BLUE, GREEN, GREY, ORANGE, RED, SKY, canvas, png, tidy

STATUS_STYLE = {
    "finished": (BLUE, "o"),
    "stopped": (ORANGE, "v"),
    "failed": (GREY, "X"),
    "running": (GREEN, "s"),
    "paused": (GREEN, "s"),
    "unknown": (GREY, "s"),
}
STATUS_WORD = {"stopped": "stopped early", "failed": "failed on the way", "unknown": "status unknown"}


def draw_all(sweep: SweepResults, folder: Path) -> tuple[list[Path], list[str]]:
    """Draw what there is to draw into `folder`. Returns the files and, for each picture that could not be
    drawn, a line that says why; its old file is deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn, missing = [], []
    for name, draw in PICTURES.items():
        path, figure = folder / f"{name}.png", draw(sweep)
        if isinstance(figure, str):
            path.unlink(missing_ok=True)
            missing.append(f"no picture {path.name}: {figure}")
        else:
            write_atomically(path, png(figure))
            drawn.append(path)
    return drawn, missing


def draw_front(sweep: SweepResults) -> Figure | str:
    """Each trial's score against what it cost, and the staircase of the Pareto front."""
    trials = [trial for trial in sweep.trials if trial.best and trial.best.cost is not None]
    if not trials:
        return f"no trial has been evaluated with {sweep.metric} and {sweep.cost} yet"
    figure, axis = canvas(7.5, 5)
    front = sweep.front
    points = [(_cost(trial), _score(sweep, trial)) for trial in front]
    costs = [_cost(trial) for trial in trials]
    right = max(costs) + 0.08 * ((max(costs) - min(costs)) or 1)
    axis.step(
        [*(x for x, _ in points), right],
        [*(y for _, y in points), points[-1][1]],
        where="post",
        color=RED,
        linewidth=1.5,
        zorder=1,
    )
    _scatter(axis, trials, [_cost(t) for t in trials], [_score(sweep, t) for t in trials])
    xs, ys = zip(*points, strict=True)
    axis.scatter(xs, ys, s=110, facecolors="none", edgecolors=RED, linewidths=1.5, zorder=3)
    _name_points(axis, front, points)
    title = f"{sweep.folder.name}: {_count(len(trials), 'evaluated trial')}"
    tidy(axis, f"{_cost_label(sweep)}, at the best evaluation", _metric_label(sweep), title)
    axis.margins(x=0.06, y=0.1)
    _widen(axis, sweep)
    rest = [Line2D([], [], color=RED, marker="o", markersize=9, markerfacecolor="none", label="Pareto front")]
    _legend(figure, trials, rest)
    return figure


def draw_importance(sweep: SweepResults) -> Figure | str:
    """What each setting explains by itself, compared with chance."""
    found = importances(sweep)
    scored = sum(trial.best is not None for trial in sweep.trials)
    if not found:
        wanted = f"at least {LEAST_TRIALS} evaluated trials with different values of a setting"
        return f"it takes {wanted} ({scored} now)"
    figure, axis = canvas(7.5, 1.9 + 0.42 * len(found))
    for row, importance in enumerate(found):
        axis.barh(row, 100 * importance.explained, height=0.6, color=SKY)
        axis.plot([100 * importance.chance] * 2, [row - 0.4, row + 0.4], color="black", linewidth=2)
    names = [i.name + (f"\n({i.trials} trials have it)" if i.trials < scored else "") for i in found]
    axis.set_yticks(range(len(found)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, 100)
    tidy(axis, "explained by this setting alone (% of the variance of the trials' ranks)")
    axis.grid(False, axis="y")
    handles = [
        Line2D([], [], color=SKY, linewidth=8, label="explained"),
        Line2D([], [], color="black", linewidth=2, label="95 % of shuffled trials explain less"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    early = sum(trial.status == "stopped" for trial in sweep.trials if trial.best)
    about = (
        f"From {_count(scored, 'trial')} ranked by the best {_tag(sweep.metric)}"
        + (f" ({early} of them stopped early, which lowers theirs)" if early else "")
        + ". Numbers: a parabola over the ranks of the values; categories: the mean of each. A bar that "
        "ends left of its black line is no evidence."
    )
    figure.supxlabel(textwrap.fill(about, 110), fontsize=8, color="0.3")
    return figure


def draw_slices(sweep: SweepResults) -> Figure | str:
    """A panel for each setting: score against value."""
    names = [name for name in sweep.parameters if trials_with(sweep, name)]
    if not names:
        return "no trial has been evaluated yet"
    columns = 2 if len(names) == 4 else min(3, len(names))
    rows = math.ceil(len(names) / columns)
    size = max(5.5, 3.9 * columns), 0.8 + 3.1 * rows
    figure, axes = canvas(*size, rows, columns, sharey=True, squeeze=False)
    scored = sum(trial.best is not None for trial in sweep.trials)
    for axis, name in zip(axes.flat, names, strict=False):
        trials = trials_with(sweep, name)
        values = [trial.scored_params[name] for trial in trials]
        _scatter(axis, trials, _positions(axis, sweep, name, values), [_score(sweep, t) for t in trials])
        tidy(axis, name + (f" ({len(trials)} of {scored} trials)" if len(trials) < scored else ""))
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for row in axes:
        row[0].set_ylabel(_metric_label(sweep), fontsize=9)
    _legend(figure, [trial for trial in sweep.trials if trial.best])
    return figure


def draw_curves(sweep: SweepResults) -> Figure | str:
    """Every trial's evaluations; curves of stopped trials end where they were stopped."""
    trials = [trial for trial in sweep.trials if trial.curve]
    if not trials:
        return "no trial has been evaluated yet"
    figure, axis = canvas(8.5, 5)
    best = sweep.best
    for trial in sorted(trials, key=lambda t: t is best):
        colour, marker = STATUS_STYLE[trial.status]
        updates = [point.update for point in trial.curve]
        values = [_scaled(sweep, point.value) for point in trial.curve]
        if trial is best:
            axis.plot(updates, values, color=RED, linewidth=2.5, zorder=3)
        else:
            alpha = 0.8 if len(trials) <= 16 else 0.45
            axis.plot(updates, values, color=colour, linewidth=1, alpha=alpha, zorder=1)
        ends = "" if trial.status == "finished" and len(trials) > 16 and trial is not best else marker
        axis.plot(
            updates[-1:], values[-1:], ends, color=RED if trial is best else colour, markersize=5, zorder=4
        )
        changes = [c.update for c in trial.history[1:] if updates[0] <= c.update <= updates[-1]]
        axis.plot(changes, np.interp(changes, updates, values), "|", color="black", markersize=7, zorder=5)
    title = f"{sweep.folder.name}: {_count(len(trials), 'evaluated trial')}"
    tidy(axis, "update", _metric_label(sweep), title)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    rest = []
    if best:
        marker = STATUS_STYLE[best.status][1]
        rest = [Line2D([], [], color=RED, linewidth=2.5, marker=marker, label=f"best: {best.id}")]
    if any(len(trial.history) > 1 for trial in trials):
        rest.append(Line2D([], [], color="black", marker="|", linestyle="none", label="settings changed"))
    _legend(figure, [trial for trial in trials if trial is not best], rest, linewidth=1)
    return figure


PICTURES: dict[str, Callable[[SweepResults], Figure | str]] = {
    "front": draw_front,
    "importance": draw_importance,
    "slices": draw_slices,
    "curves": draw_curves,
}
"""Name of the file: what draws it, or says why it cannot."""


def _scatter(axis: Axes, trials: Sequence[Trial], xs: Sequence[float], ys: Sequence[float]) -> None:
    for trial, x, y in zip(trials, xs, ys, strict=True):
        colour, marker = STATUS_STYLE[trial.status]
        axis.scatter(x, y, s=32, color=colour, marker=marker, alpha=0.8, linewidths=0, zorder=2)


def _name_points(axis: Axes, trials: Sequence[Trial], points: Sequence[tuple[float, float]]) -> None:
    """Write the trials' names below their points, right of them: no member of the front lies there."""
    for trial, (x, y) in zip(trials, points, strict=True):
        axis.annotate(trial.id, (x, y), xytext=(6, -11), textcoords="offset points", fontsize=8, zorder=4)


def _legend(
    figure: Figure, trials: Sequence[Trial], rest: Sequence[Line2D] = (), linewidth: float = 0
) -> None:
    shown = [s for s in STATUS_STYLE if any(trial.status == s for trial in trials)]
    handles = [
        Line2D(
            [],
            [],
            color=STATUS_STYLE[s][0],
            marker=STATUS_STYLE[s][1],
            linewidth=linewidth,
            linestyle="-" if linewidth else "none",
            label=STATUS_WORD.get(s, s),
        )
        for s in shown
    ]
    figure.legend(handles=[*rest, *handles], loc="outside lower center", ncols=4, frameon=False, fontsize=9)


def _widen(axis: Axes, sweep: SweepResults) -> None:
    """Show at least half a unit of cost and, of a share, two percent: less is noise, or a single point."""
    left, right = axis.get_xlim()
    if right - left < 0.5:
        axis.set_xlim((left + right) / 2 - 0.25, (left + right) / 2 + 0.25)
    bottom, top = axis.get_ylim()
    if is_share(sweep.metric) and top - bottom < 2:
        axis.set_ylim((bottom + top) / 2 - 1, (bottom + top) / 2 + 1)


def _positions(axis: Axes, sweep: SweepResults, name: str, values: Sequence[Any]) -> list[float]:
    """Where on `axis` the values lie; sets its scale and ticks."""
    if not all(is_number(value) for value in values):
        kinds = list({key(value): value for value in sorted(values, key=key)}.values())
        axis.set_xticks(range(len(kinds)), [_tick(kind) for kind in kinds], fontsize=9 - (len(kinds) > 2))
        axis.set_xlim(-0.5, len(kinds) - 0.5)
        places = {key(kind): place for place, kind in enumerate(kinds)}
        return _jittered([places[key(value)] for value in values], 0.12)
    distinct = sorted(set(values))
    chosen = len(distinct) < len(values) or all(isinstance(value, int) for value in values)
    logarithmic = is_logarithmic(sweep.content, name, values)
    if len(distinct) == 1 or (len(distinct) <= 6 and chosen and not logarithmic):
        axis.set_xticks(distinct, [shown(value) for value in distinct])
        gap = min((b - a for a, b in itertools.pairwise(distinct)), default=abs(distinct[0]) or 1.0)
        axis.set_xlim(distinct[0] - 0.5 * gap, distinct[-1] + 0.5 * gap)
        return _jittered(values, 0.12 * gap)
    if logarithmic:
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
        if distinct[-1] < 30 * distinct[0]:  # too narrow for powers of ten to be ticks
            ticks = np.geomspace(distinct[0], distinct[-1], 4)
            axis.set_xticks([float(f"{tick:.1g}") for tick in ticks])
            axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    return [float(value) for value in values]


def _tick(kind: Any) -> str:
    """A category's value in lines short enough to stand next to others; of a list, a line for each part."""
    parts = [shown(part) for part in kind] if isinstance(kind, list) else [shown(kind)]
    lines = [line for part in parts for line in textwrap.wrap(part.replace(",", ", "), 16) or [""]]
    return "\n".join(lines if len(lines) <= 6 else [*lines[:5], "..."])


def _jittered(values: Sequence[float], width: float) -> list[float]:
    """Moved sideways by up to `width`, always alike, so that equal points do not hide each other."""
    if len(values) == len(set(values)):
        return [float(value) for value in values]
    offsets = np.random.default_rng(0).uniform(-width, width, len(values))
    return [float(value + offset) for value, offset in zip(values, offsets, strict=True)]


def is_logarithmic(content: dict[str, Any], name: str, values: Sequence[float]) -> bool:
    """Whether a setting with these values was drawn from a logarithmic distribution, by the sweep's file."""
    dimension = value_of(value_of(content, "space", dict, {}), name, dict, {})
    return min(values) > 0 and dimension.get("dist") == "loguniform"


def _scaled(sweep: SweepResults, value: float) -> float:
    return 100 * value if is_share(sweep.metric) else value


def _score(sweep: SweepResults, trial: Trial) -> float:
    return _scaled(sweep, trial.best.value) if trial.best else math.nan


def _cost(trial: Trial) -> float:
    return math.nan if trial.best is None or trial.best.cost is None else trial.best.cost


def _tag(tag: str) -> str:
    """`eval/solved` as `held-out solved`."""
    return tag.replace("eval/", "held-out ", 1).replace("_", " ").replace("/", " ")


def _metric_label(sweep: SweepResults) -> str:
    return _tag(sweep.metric) + (" (%)" if is_share(sweep.metric) else "")


def _cost_label(sweep: SweepResults) -> str:
    if sweep.cost == "eval/segments_mean":
        return "thinking time (mean segments a held-out puzzle)"
    return _tag(sweep.cost)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
