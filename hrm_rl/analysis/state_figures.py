"""Figures of what goes on inside: convergence, dimension, trajectories and attention.

Legend: K segments, U updates a segment, N puzzles, S positions, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hrm_rl.analysis import measures
from hrm_rl.analysis.figure import Exhibit, basis
from hrm_rl.analysis.study import Study
from hrm_rl.utils import plots

NAMES = {"h": "z_h", "l": "z_l"}
LARGEST_MAP = 144
"""Positions up to which whole attention maps go into the CSV file."""
MOST_ROWS = 32
"""Rows of maps in one picture."""


def levels_of(studies: Sequence[Study]) -> list[str]:
    """`h`, and `l` where any run has it."""
    return [
        level for level in NAMES if any(place.level == level for study in studies for place in study.places)
    ]


def convergence(studies: Sequence[Study]) -> Exhibit:
    """By how much each update of a cycle changes its state, segment by segment."""
    levels = levels_of(studies)
    figure, axes = plots.canvas(4.6 * len(levels) + 0.6, 3.8, 1, len(levels), sharey=True, squeeze=False)
    rows: list[tuple[object, ...]] = []
    for axis, level in zip(axes[0], levels, strict=True):
        drawn = 0
        for study in studies:
            mine = [u for u, place in enumerate(study.places) if place.level == level]
            numbers = np.arange(1, study.budget + 1)
            for u in mine:
                place, change = study.places[u], study.change[:, u].astype(np.float64)
                mean = change.mean(axis=1)
                rows += [
                    (study.name, NAMES[level], place.cycle, place.step, k, m, *np.quantile(c, (0.1, 0.9)))
                    for k, m, c in zip(numbers, mean, change, strict=True)
                ]
                if len(studies) > 1 and u != mine[-1]:
                    continue
                label = study.name if len(studies) > 1 else f"cycle {place.cycle}, update {place.step}"
                axis.plot(numbers, mean, **plots.line_of(drawn), label=label)
                drawn += 1
        axis.set_yscale("log")
        plots.tidy(
            axis, "segment", "change of the state (share of its norm)" * (axis is axes[0][0]), NAMES[level]
        )
        plots.whole_numbers(axis, studies[0].budget)
        axis.legend(frameon=False, fontsize="small", loc="upper right")
    shown = "the last update of each segment" if len(studies) > 1 else "one line for each update of a segment"
    return Exhibit(
        "convergence",
        "Does the state come to rest?",
        figure,
        "Each point says by how much an update moves the state: norm of the difference over norm of the new "
        "state; 0.01 is a move by one percent. A line that falls converges; one that stays up keeps "
        "computing or goes round in circles.",
        basis(studies, f"{shown}, means over the puzzles, halted or not (CSV: 10 % and 90 % quantiles)"),
        ("run", "state", "cycle", "update", "segment", "mean", "quantile_10", "quantile_90"),
        rows,
    )


def dimension(studies: Sequence[Study]) -> Exhibit:
    """Participation ratio of z_h and z_l after each segment."""
    figure, axis = plots.canvas(7.2, 3.6)
    rows: list[tuple[object, ...]] = []
    findings, drawn = [], 0
    for study in studies:
        numbers = np.arange(1, study.budget + 1)
        width = study.config.model.hidden_size
        for level, ratio in study.participation.items():
            prefix = f"{study.name}, " if len(studies) > 1 else ""
            label = prefix + NAMES[level]
            axis.plot(numbers, ratio, **plots.line_of(drawn), label=label)
            rows += [(study.name, NAMES[level], k, value) for k, value in zip(numbers, ratio, strict=True)]
            drawn += 1
        last = {level: ratio[-1] for level, ratio in study.participation.items()}
        words = ", ".join(f"{NAMES[level]} {value:.1f}" for level, value in last.items())
        findings.append(f"{study.name}: {words} of {width} after {study.budget} segments.")
    plots.tidy(axis, "segment", "participation ratio (dimensions)")
    axis.set_ylim(0, 1.05 * axis.dataLim.ymax)
    plots.whole_numbers(axis, studies[0].budget)
    axis.legend(frameon=False, fontsize="small", loc="lower right")
    return Exhibit(
        "dimension",
        "How many dimensions the states use",
        figure,
        "The participation ratio, (sum of the variances)^2 / sum of their squares along the principal axes, "
        "is about the number of directions that share the variance. The HRM paper finds more of them in z_h "
        "than in z_l after training.",
        basis(studies, "states of all cells of all puzzles at the end of each segment"),
        ("run", "state", "segment", "participation_ratio"),
        rows,
        " ".join(findings),
    )


def trajectories(study: Study) -> Exhibit:
    """The way of z_h through its first two principal components, for a few puzzles."""
    count = len(study.paths)
    columns = min(4, count)
    figure, axes = plots.canvas(2.9 * columns + 0.9, 3.4, 1, columns, squeeze=False)
    each = sum(place.level == "h" for place in study.places)
    rows: list[tuple[object, ...]] = []
    image: Any = None
    names = [*study.task.levels, "other"]
    for axis, n, path in zip(axes[0], study.followed, study.paths, strict=False):
        segment = np.arange(len(path)) // each + 1
        points, shares = measures.principal_components(path, 3)
        axis.plot(points[:, 0], points[:, 1], color="0.6", linewidth=0.8, zorder=1)
        image = axis.scatter(
            points[:, 0],
            points[:, 1],
            c=segment,
            cmap=plots.MAP,
            s=22,
            zorder=2,
            edgecolors="0.3",
            linewidths=0.4,
        )
        halted = int(study.halted[n])
        right = study.recording.solved[:, n]
        _mark(axis, points[halted * each - 1], "s", "halts")
        if right.any():
            _mark(axis, points[(int(right.argmax()) + 1) * each - 1], "o", "first right")
        outcome = "solved" if study.solved[n] else "not solved"
        share = [f"{100 * value:.0f} %" for value in shares]
        plots.tidy(
            axis,
            f"1st component ({share[0]})",
            f"2nd ({share[1] if len(share) > 1 else '0 %'})",
            f"{names[study.puzzles.level[n]]}, {outcome}",
        )
        rows += [(int(n), int(k), *point) for k, point in zip(segment, points, strict=True)]
    handles, labels = axes[0][0].get_legend_handles_labels()
    for axis in axes[0][1:]:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    figure.colorbar(image, ax=list(axes[0]), label="segment", pad=0.01)
    return Exhibit(
        "trajectories",
        "The way through z_h",
        figure,
        "One panel a puzzle, one point an update of z_h, from dark to light. Points that pile up have come "
        "to rest; a way that turns round or jumps has given up a partial answer. Axes are the directions in "
        "which this puzzle's state varies most, in the units of the state; the percentages say how much of "
        "it they show.",
        f"Computed from {count} of the puzzles, evenly spaced, by principal components of the whole state "
        "(all cells).",
        ("puzzle", "segment", *[f"component_{i + 1}" for i in range(3)]),
        rows,
    )


def _mark(axis: Any, point: Any, marker: str, label: str) -> None:
    size = 110 if marker == "s" else 170
    colour = plots.RED if marker == "s" else plots.BLUE
    axis.scatter(
        *point[:2],
        s=size,
        marker=marker,
        facecolors="none",
        edgecolors=colour,
        linewidths=1.6,
        zorder=3,
        label=label,
    )


def attention(study: Study) -> Exhibit:
    """Attention maps of one puzzle by cycle, level, layer and head, in the segment in which it halts."""
    if not study.attention:
        why = "This network mixes positions with an MLP (model.mixer mlp): it has no attention to look at."
        return Exhibit("attention", "Attention", None, why)
    last = max(study.attention)
    maps = [
        (place, layer, weights)
        for place, layers in study.attention[last]
        for layer, weights in enumerate(layers, start=1)
    ]
    final = {(place.level, place.cycle): place.step for place, _, _ in maps}
    shown = [m for m in maps if final[m[0].level, m[0].cycle] == m[0].step][:MOST_ROWS]
    heads, positions = shown[0][2].shape[:2]
    figure, axes = plots.canvas(1.25 * heads + 1.9, 1.25 * len(shown) + 0.9, len(shown), heads, squeeze=False)
    image: Any = None
    brightest = _brightest(shown)
    for i, (row, (place, layer, weights)) in enumerate(zip(axes, shown, strict=True)):
        for head, axis in enumerate(row):
            image = axis.imshow(weights[head].astype(np.float32), cmap=plots.MAP, vmin=0, vmax=brightest)
            axis.set_xticks([])
            axis.set_yticks([])
            if i == 0:
                axis.set_title(f"head {head + 1}", fontsize="small")
            if head == 0:
                axis.set_ylabel(f"{NAMES[place.level]} cycle {place.cycle}\nlayer {layer}", fontsize="small")
    extend = "max" if brightest < 1 else "neither"
    figure.colorbar(image, ax=axes, label="weight", shrink=min(1.0, 4 / len(shown)), extend=extend)
    figure.supxlabel(f"looked at: positions 1 to {positions}", fontsize="small")
    figure.supylabel("looking", fontsize="small")
    header, rows = _attention_rows(study, positions)
    spread = {
        level: np.mean(
            [
                measures.effective_number(w.astype(np.float64)).mean()
                for place, _, w in maps
                if place.level == level
            ]
        )
        for level in {place.level for place, _, _ in maps}
    }
    words = ", ".join(f"{NAMES[level]} {value:.1f}" for level, value in sorted(spread.items()))
    before = study.config.model.prefix_positions
    return Exhibit(
        "attention",
        "Where it looks",
        figure,
        "A row of a small picture is a cell that looks, a column one that is looked at, both in the order of "
        "the board"
        + (f" after {before} positions of the puzzle's prefix" if before else "")
        + ". A diagonal is a cell looking at itself, blocks and parallel lines are rows, columns or boxes, "
        "an upright line is a cell that all look at.",
        f"Computed from one puzzle, in segment {last}, the one in which it halts; of each cycle the last "
        "update of each state, all layers and heads"
        + (f" (the first {MOST_ROWS} rows)" if len(shown) == MOST_ROWS else "")
        + ". The CSV file has every update, and segment 1 too.",
        header,
        rows,
        f"Positions looked at on average (exp of the entropy): {words} of {positions}.",
    )


def _brightest(shown: Sequence[Any]) -> float:
    """Where the colours end: a few weights may be larger."""
    return max(0.02, float(np.quantile(np.stack([w.astype(np.float32) for _, _, w in shown]), 0.995)))


def _attention_rows(study: Study, positions: int) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Whole maps where they are small, else how many positions are looked at."""
    whole = positions <= LARGEST_MAP
    columns = tuple(f"to_{j + 1}" for j in range(positions)) if whole else ("positions_looked_at",)
    rows: list[tuple[object, ...]] = []
    for segment, updates in sorted(study.attention.items()):
        for place, layers in updates:
            for layer, weights in enumerate(layers, start=1):
                for head, weight in enumerate(weights.astype(np.float64), start=1):
                    values = weight if whole else measures.effective_number(weight)[:, None]
                    rows += [
                        (
                            segment,
                            NAMES[place.level],
                            place.cycle,
                            place.step,
                            layer,
                            head,
                            i + 1,
                            *np.round(line, 4),
                        )
                        for i, line in enumerate(values)
                    ]
    return ("segment", "state", "cycle", "update", "layer", "head", "from", *columns), rows
