"""Figures of what a model answers and when it stops: training, halting, calibration, accuracy, regret.

Each takes the studies of one run, or of several to overlay. Legend: N puzzles, K segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hrm_rl.analysis import measures
from hrm_rl.analysis.figure import Exhibit, basis, groups
from hrm_rl.analysis.study import Study
from hrm_rl.utils import plots

CURVES = (
    ("train/lm_loss", "loss of the answer", "nats a cell", "log"),
    ("eval/solved", "held-out puzzles solved", "%", "linear"),
    ("halting/segments_mean", "thinking in training", "segments an episode", "linear"),
    ("halting/q_halt_accuracy", "q_halt right about the answer", "% of episodes", "linear"),
)


def training(studies: Sequence[Study]) -> Exhibit:
    """Four curves of metrics.jsonl."""
    known = [study for study in studies if study.records]
    if not known:
        why = "This model lies in no run with a metrics.jsonl, so there are no training curves to draw."
        return Exhibit("training", "Training", None, why)
    figure, axes = plots.canvas(8.2, 5.2, 2, 2)
    rows: list[tuple[object, ...]] = []
    for axis, (tag, title, unit, scale) in zip(axes.flat, CURVES, strict=True):
        for i, study in enumerate(known):
            points = [(r["update"], r[tag]) for r in study.records if r.get(tag) is not None]
            rows += [(study.name, tag, update, value) for update, value in points]
            if points:
                updates, values = np.array(points, np.float64).T
                line = plots.line_of(i) | ({} if len(points) < 15 else {"marker": ""})
                axis.plot(updates, values * (100 if "%" in unit else 1), **line, label=study.name)
        plots.tidy(axis, "update", unit, title)
        axis.set_yscale(scale)
        if "%" in unit:
            axis.set_ylim(-3, 103)
    if len(known) > 1:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return Exhibit(
        "training",
        "Training",
        figure,
        "Loss should fall and the share of solved puzzles rise. Segments begin at the budget, fall once the "
        "model dares to halt, and q_halt should come to say rightly, by its sign, whether an answer is "
        "right.",
        "Read from metrics.jsonl of the run: training episodes since the last point, and evaluations on "
        "held-out puzzles.",
        ("run", "tag", "update", "value"),
        rows,
    )


def halting(studies: Sequence[Study]) -> Exhibit:
    """When puzzles are left: by solved or not, and by level."""
    if len(studies) > 1:
        return _halting_of_several(studies)
    study = studies[0]
    halted, solved = study.halted, study.solved
    budget = study.trained_budget
    numbers = np.arange(1, budget + 1)
    figure, (left, right) = plots.canvas(9.0, 3.6, 1, 2, width_ratios=(1.15, 1))
    below = np.zeros(budget)
    rows: list[tuple[object, ...]] = []
    kinds = (("solved", solved, plots.SOLVED, 0), ("not solved", ~solved, plots.UNSOLVED, 1))
    for label, mask, colour, hatch in kinds:
        counts = np.bincount(halted[mask], minlength=budget + 1)[1:]
        left.bar(
            numbers,
            counts,
            bottom=below,
            color=colour,
            hatch=plots.HATCHES[hatch],
            edgecolor="white",
            width=0.85,
            label=f"{label} ({mask.sum():,})",
        )
        below = below + counts
        rows += [("all", label, k, int(c)) for k, c in zip(numbers, counts, strict=True)]
    plots.tidy(left, "segment after which it halts", "puzzles", "by outcome")
    plots.whole_numbers(left, budget)
    left.set_ylim(top=1.25 * below.max())
    left.legend(frameon=False, fontsize="small", loc="upper left", ncols=2)

    levels = study.level_rows()
    shares = np.stack([np.bincount(halted[r], minlength=budget + 1)[1:] / len(r) for r in levels.values()])
    for (name, found), share in zip(levels.items(), shares, strict=True):
        rows += [(name, "both", k, round(float(s) * len(found))) for k, s in zip(numbers, share, strict=True)]
    names = [f"{name} ({halted[found].mean():.1f})" for name, found in levels.items()]
    heat(right, 100 * shares, "puzzles of the level (%)", list(numbers), names, annotate=budget <= 8)
    right.set_xlabel("segment after which it halts")
    right.set_title("by level (mean segments)", fontsize="medium", loc="left")
    forced = float((~study.recording.wants[:budget].any(axis=0)).mean())
    return Exhibit(
        "halting",
        "When it halts",
        figure,
        "Bars far left are puzzles answered at once. Easy levels should lie left of hard ones, and unsolved "
        "puzzles should take longer than solved ones; a pile at the last segment are puzzles that the "
        "budget cut off.",
        basis(studies, f"halting is adaptive, with the budget of {budget} segments of training"),
        ("level", "outcome", "segment", "puzzles"),
        rows,
        f"Mean {halted.mean():.2f} segments; {forced:.1%} of the puzzles were cut off by the budget.",
    )


def heat(axis: Any, table: Any, label: str, columns: Any, rows: Sequence[str], annotate: bool) -> None:
    """A table of numbers as a picture with its colour bar."""
    image = axis.imshow(table, aspect="auto", cmap=plots.MAP, vmin=0)
    axis.get_figure().colorbar(image, ax=axis, label=label)
    axis.set_yticks(range(len(rows)), rows)
    step = max(1, -(-len(columns) // 12))
    axis.set_xticks(range(0, len(columns), step), columns[::step])
    if annotate:
        for (y, x), value in np.ndenumerate(table):
            ink = "black" if value > 0.6 * np.max(table) else "white"
            axis.text(x, y, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=7.5)


def _halting_of_several(studies: Sequence[Study]) -> Exhibit:
    figure, axis = plots.canvas(7.2, 3.6)
    rows: list[tuple[object, ...]] = []
    for i, study in enumerate(studies):
        halted = study.halted
        counts = np.bincount(halted)[1:]
        numbers = np.arange(1, len(counts) + 1)
        axis.plot(
            numbers,
            100 * counts / len(halted),
            **plots.line_of(i),
            label=f"{study.name} ({halted.mean():.2f})",
        )
        rows += [(study.name, k, int(c)) for k, c in zip(numbers, counts, strict=True)]
    plots.tidy(axis, "segment after which it halts", "puzzles (%)")
    plots.whole_numbers(axis, max(study.budget for study in studies))
    axis.legend(
        frameon=False, fontsize="small", title="mean segments", title_fontsize="small", loc="upper left"
    )
    return Exhibit(
        "halting",
        "When it halts",
        figure,
        "Curves further left are runs that spend less on a puzzle.",
        basis(studies, "halting is adaptive, with the budget of training"),
        ("run", "segment", "puzzles"),
        rows,
    )


def calibration(studies: Sequence[Study]) -> Exhibit:
    """Does q_halt know? Reliability diagram, Brier score and area under the ROC curve."""
    figure, (top, bottom) = plots.canvas(5.6, 5.2, 2, 1, height_ratios=(3, 1), sharex=True)
    top.plot([0, 1], [0, 1], color=plots.GREY, linewidth=0.8, linestyle=":", label="perfect")
    rows: list[tuple[object, ...]] = []
    findings = []
    for i, study in enumerate(studies):
        recording, budget = study.recording, study.trained_budget
        said = measures.sigmoid(recording.q[:budget, :, 0]).ravel()
        right = recording.solved[:budget].ravel()
        found = measures.reliability(said, right)
        score, area = measures.brier(said, right), measures.auc(said, right)
        label = f"{study.name}: " if len(studies) > 1 else ""
        top.plot(
            found.predicted,
            found.observed,
            **plots.line_of(i),
            label=f"{label}Brier {score:.3f}, AUC {area:.3f}",
        )
        width = 0.8 / 10 / len(studies)
        bottom.bar(found.predicted + i * width, 100 * found.count / len(said), width=width, **plots.bar_of(i))
        rows += [(study.name, *row) for row in zip(found.predicted, found.observed, found.count, strict=True)]
        base = float(right.mean())
        q_halt = recording.at(recording.q, study.halted)[:, 0]
        at_halt = measures.brier(measures.sigmoid(q_halt), study.solved)
        findings.append(
            f"{label}Brier score {score:.4f} ({base * (1 - base):.4f} for always saying the base rate of "
            f"{base:.1%}), AUC {area:.4f}, mean distance from the diagonal {found.error:.4f}; where it "
            f"halts, Brier {at_halt:.4f}."
        )
    plots.tidy(top, "", "answers that are right (share)")
    plots.tidy(bottom, "q_halt as a probability", "predictions (%)")
    top.legend(frameon=False, fontsize="small", loc="upper left")
    top.set_ylim(-0.03, 1.03)
    return Exhibit(
        "calibration",
        "Does q_halt know?",
        figure,
        "Points on the diagonal are honest: of the answers that q_halt gives 80 %, 80 % are right. Below it "
        "the model trusts itself too much, above too little. The bars show how often it says what. Brier "
        "score: 0 is best; AUC: how often a right answer has the larger q_halt, 1 is best and 0.5 is chance.",
        basis(
            studies,
            "every segment of the training budget is one prediction, halted or not; right is what the "
            "task's rule or label says",
        ),
        ("run", "predicted", "observed", "predictions"),
        rows,
        " ".join(findings),
    )


def accuracy(studies: Sequence[Study]) -> Exhibit:
    """Accuracy after each segment, beyond the budget too."""
    figure, axis = plots.canvas(7.6, 4.0)
    rows: list[tuple[object, ...]] = []
    findings = []
    found = groups(studies)
    for i, group in enumerate(found):
        recording = group.study.recording
        solved, exact = group.mean(recording.solved), group.mean(recording.exact)
        numbers = np.arange(1, recording.budget + 1)
        axis.plot(numbers, 100 * solved, **plots.line_of(i), label=group.label)
        halted, right = group.mean(group.study.halted), group.mean(group.study.solved)
        axis.plot(
            halted,
            100 * right,
            "*",
            color=plots.CYCLE[i % len(plots.CYCLE)],
            markersize=13,
            markeredgecolor="black",
            markeredgewidth=0.6,
        )
        rows += [(group.label, *row) for row in zip(numbers, solved, exact, strict=True)]
        if i == 0 or len(studies) > 1:
            findings.append(
                f"{group.label}: halting by itself {right:.1%} after {halted:.2f} segments on average, at "
                f"the end of {recording.budget} segments {solved[-1]:.1%} (best {solved.max():.1%})."
            )
    for budget in {study.trained_budget for study in studies}:
        if budget < studies[0].budget:
            axis.axvline(budget + 0.5, color=plots.GREY, linestyle=":", linewidth=1.2)
            axis.text(
                budget + 0.6,
                0.02,
                "beyond the budget of training",
                color=plots.GREY,
                fontsize=8,
                transform=axis.get_xaxis_transform(),
            )
    plots.tidy(axis, "segments", "puzzles solved (%)")
    plots.whole_numbers(axis, studies[0].budget)
    axis.plot([], [], "*", color="0.7", markeredgecolor="black", markersize=11, label="halting by itself")
    axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Exhibit(
        "accuracy",
        "What more thinking gives",
        figure,
        "Lines: every puzzle gets that many segments. A star left of and as high as its line's end has "
        "saved segments at no loss; a line that falls loses answers that it had.",
        basis(
            studies, "solved by the task's rule or label; the CSV file has the share equal to the label too"
        ),
        ("puzzles", "segments", "solved", "exact"),
        rows,
        " ".join(findings),
    )


def regret(studies: Sequence[Study]) -> Exhibit:
    """Segments spent after the first right answer, and answers that were lost or missed."""
    figure, (left, right) = plots.canvas(9.4, 3.8, 1, 2, width_ratios=(1, 1.25))
    rows: list[tuple[object, ...]] = []
    findings = []
    found = groups(studies)
    width = 0.8 / (len(studies) if len(studies) > 1 else 1)
    kinds = ("right,\nstopped\nat once", "right,\nstopped\nlater", "lost", "too\nearly", "never\nright")
    shares = []
    for i, group in enumerate(found):
        study, budget = group.study, group.study.trained_budget
        what = measures.regret(study.recording.solved[:budget][:, group.rows], study.halted[group.rows])
        kept = what.wasted >= 0
        share = np.array(
            [
                (what.wasted == 0).mean(),
                (what.wasted > 0).mean(),
                what.lost.mean(),
                what.too_early.mean(),
                what.never.mean(),
            ]
        )
        shares.append(100 * share)
        rows += [
            (group.label, "share", kind.replace("\n", " "), value)
            for kind, value in zip(kinds, share, strict=True)
        ]
        if i and len(studies) == 1:
            continue
        counts = np.bincount(what.wasted[kept], minlength=budget)[:budget]
        left.bar(
            np.arange(budget) + (i - (len(studies) - 1) / 2) * width,
            100 * counts / max(1, kept.sum()),
            width=width,
            label=group.label,
            **plots.bar_of(i),
        )
        rows += [
            (group.label, "segments after the first right answer", k, int(c)) for k, c in enumerate(counts)
        ]
        spent = what.wasted[kept].mean() if kept.any() else float("nan")
        findings.append(
            f"{group.label}: {spent:.2f} segments on average after the first right answer; {share[2]:.1%} "
            f"had been right and were lost, {share[3]:.1%} halted too early."
        )
    plots.tidy(left, "segments after the first right answer", "solved puzzles (%)")
    if len(studies) > 1:
        left.legend(frameon=False, fontsize="small", loc="upper right")
    heat(right, np.stack(shares), "puzzles (%)", kinds, [group.label for group in found], annotate=True)
    right.tick_params(axis="x", labelsize="small")
    return Exhibit(
        "regret",
        "Regret",
        figure,
        "Left: 0 is perfect, the model stopped at its first right answer; all else was spent for nothing, "
        "or to make sure. Right: lost answers had been right before it halted; too early means that it "
        "would have been right later within the budget; never right no halting rule can help.",
        basis(
            studies,
            "halting is adaptive, with the budget of training; right is what the task's rule or label says",
        ),
        ("puzzles", "what", "which", "value"),
        rows,
        " ".join(findings),
    )
