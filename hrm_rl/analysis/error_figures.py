"""Figures of what is wrong with wrong answers: the rules that they break, and the cells that they get wrong.

Legend: N puzzles, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs import PAD
from hrm_rl.analysis.figure import Exhibit, Group, basis, groups
from hrm_rl.analysis.study import Study
from hrm_rl.utils import plots

NONE_WRONG = "Every answer is right, so there is nothing to show."


def by_rule(studies: Sequence[Study]) -> Exhibit:
    """The share of wrong answers that break each rule of the task."""
    name, title, rules = "errors_by_rule", "What wrong answers break", studies[0].task.rules
    if not rules:
        return Exhibit(
            name,
            title,
            None,
            "This task names no rules (PuzzleTask.rules), so errors cannot be told apart by them.",
        )
    found = [group for group in groups(studies) if not group.study.solved[group.rows].all()]
    if not found:
        return Exhibit(name, title, None, NONE_WRONG)
    figure, axis = plots.canvas(7.6, 1.6 + 0.16 * len(rules) * (1 + len(found)))
    rows: list[tuple[object, ...]] = []
    height = 0.8 / len(found)
    for i, group in enumerate(found):
        counts, wrong = _broken(group)
        places = np.arange(len(rules)) + (i - (len(found) - 1) / 2) * height
        label = f"{group.label} ({wrong:,} wrong)"
        axis.barh(places, 100 * counts / wrong, height, label=label, **plots.bar_of(i))
        rows += [(group.label, rule, int(c), wrong) for rule, c in zip(rules, counts, strict=True)]
    axis.set_yticks(range(len(rules)), rules)
    axis.invert_yaxis()
    plots.tidy(axis, "wrong answers that break the rule (%)")
    axis.grid(False, axis="y")
    axis.grid(True, axis="x", color="0.9")
    axis.set_xlim(0, 100)
    axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Exhibit(
        name,
        title,
        figure,
        "Longer bars are the mistakes to work on. An answer may break several rules at once.",
        basis(
            studies,
            "answers with which the model halts, within the budget of training, that the rule rejects",
        ),
        ("puzzles", "rule", "answers", "wrong_answers"),
        rows,
    )


def _broken(group: Group) -> tuple[np.ndarray, int]:
    """How many wrong answers of a group break each rule, and how many wrong answers there are."""
    study, rows = group.study, group.rows[~group.study.solved[group.rows]]
    return study.task.broken(study.puzzles.inputs[rows], study.answer[rows]).sum(axis=0), len(rows)


def by_cell(study: Study) -> Exhibit:
    """How often each cell of the board is wrong in wrong answers."""
    name, title = "errors_by_cell", "Where wrong answers are wrong"
    wrong = np.flatnonzero(~study.solved)
    labelled = (study.puzzles.solution != PAD) & study.task.unknown(study.puzzles.inputs)
    asked = labelled[wrong].sum(axis=0)
    if not len(wrong) or not asked.any():
        return Exhibit(
            name,
            title,
            None,
            NONE_WRONG if not len(wrong) else "These puzzles have no labels to compare with.",
        )
    missed = ((study.answer != study.puzzles.solution) & labelled)[wrong].sum(axis=0)
    share = np.where(asked > 0, 100 * missed / np.maximum(asked, 1), np.nan).reshape(study.task.grid_shape)
    rows_, columns = study.task.grid_shape
    figure, axis = plots.canvas(min(9.0, 1.8 + 0.42 * max(6, columns)), min(8.0, 1.2 + 0.42 * max(3, rows_)))
    # What was never asked is not a number, and stays white.
    image = axis.imshow(share, cmap=plots.MAP, vmin=0)
    figure.colorbar(image, ax=axis, label="wrong (% of answers)")
    if columns <= 12:
        top = np.nanmax(share)
        for (y, x), value in np.ndenumerate(share):
            if np.isfinite(value):
                ink = "black" if value > 0.6 * top else "white"
                axis.text(x, y, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=7.5)
    axis.set_xlabel("column")
    axis.set_ylabel("row")
    for ticks, count in ((axis.set_xticks, columns), (axis.set_yticks, rows_)):
        step = max(1, -(-count // 12))
        ticks(range(0, count, step), range(1, count + 1, step))
    return Exhibit(
        name,
        title,
        figure,
        "An even picture is a model that treats all places alike; bright spots are places where it is weak. "
        "White cells were never to be found.",
        f"Computed from the {len(wrong):,} wrong answers with which the model halts within the "
        "budget of training; a cell is wrong if it differs from the label, of the cells that were not given.",
        ("row", "column", "wrong", "asked"),
        [(i // columns + 1, i % columns + 1, int(missed[i]), int(asked[i])) for i in range(len(asked))],
    )
