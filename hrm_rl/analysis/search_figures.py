"""Figures of search: what is solved within how many segments, and how often it starts over, and why.

Each takes the studies of one run, or of several to overlay; all of them have been searched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hrm_rl.analysis.figure import Exhibit, Group, basis, groups
from hrm_rl.analysis.study import Study
from hrm_rl.evaluation.search import Searched
from hrm_rl.utils import plots

CAUSES = (
    ("contradictions", "the board contradicts itself"),
    ("doubts_right", "doubt, some assumption is wrong"),
    ("doubts_wrong", "doubt, all assumptions are right"),
    ("given_up", "given up before any assumption"),
)
"""Of starting over: names of `Searched`, and in words."""


def anytime(studies: Sequence[Study]) -> Exhibit:
    """The share solved within 1, 2, 4, ... segments, against as many segments without search."""
    figure, axis = plots.canvas(8.2, 4.2)
    rows: list[tuple[object, ...]] = []
    findings = []
    segments: list[int] = []
    for i, group in enumerate(groups(studies)):
        searched, line = _searched(group), plots.line_of(i)
        points = searched.within(_mask(group))
        segments = [point.segments for point in points]
        axis.plot(segments, [100 * point.solved for point in points], **line, label=group.label)
        low, high = np.array([point.interval for point in points]).T
        axis.fill_between(segments, 100 * low, 100 * high, color=line["color"], alpha=0.12, linewidth=0)
        rows += [(group.label, "search", p.segments, p.solved, *p.interval) for p in points]
        if i == 0 or len(studies) > 1:
            plain = group.mean(group.study.recording.solved)
            numbers = np.arange(1, len(plain) + 1)
            name = "without search" if i == 0 else None
            axis.plot(numbers, 100 * plain, color=line["color"], linewidth=1, linestyle=":", label=name)
            rows += [
                (group.label, "plain", k, share, "", "") for k, share in zip(numbers, plain, strict=True)
            ]
            spent = group.mean(searched.result.segments)
            findings.append(
                f"{group.label}: {points[-1].solved:.1%} solved within {points[-1].segments} segments, "
                f"{spent:.1f} on average; without search {plain[-1]:.1%} after {len(plain)}."
            )
    axis.set_xscale("log", base=2)
    axis.set_xticks(segments, [str(count) for count in segments])
    axis.set_ylim(-3, 103)
    plots.tidy(axis, "segments, of all starts together", "puzzles solved (%)")
    axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Exhibit(
        "search_anytime",
        "What search gives, and when",
        figure,
        "Lines: a puzzle counts from the segment in which it was handed in; shaded are 95 % intervals "
        "(Wilson). The dotted line gives all puzzles as many segments without assumptions. A line that still "
        "rises at its end would gain from a larger budget.",
        basis(studies, f"besides, {_how(studies)}"),
        ("puzzles", "how", "segments", "solved", "low", "high"),
        rows,
        " ".join(findings),
    )


def starts(studies: Sequence[Study]) -> Exhibit:
    """Why it starts over, and what is solved by which start."""
    figure, (left, right) = plots.canvas(9.4, 3.8, 1, 2, width_ratios=(1.1, 1))
    rows: list[tuple[object, ...]] = []
    findings = []
    found = groups(studies)
    below = np.zeros(len(found))
    for i, (name, words) in enumerate(CAUSES):
        means = np.array([group.mean(getattr(_searched(group), name)) for group in found])
        left.bar(range(len(found)), means, bottom=below, width=0.7, label=words, **plots.bar_of(i))
        below = below + means
        rows += [(group.label, name, "", value) for group, value in zip(found, means, strict=True)]
    left.set_xticks(range(len(found)), [group.label for group in found])
    left.set_xlim(-0.6, max(len(found), 4) - 0.4)
    left.set_ylim(top=max(0.1, 1.45 * below.max()))
    left.legend(frameon=False, fontsize="small", loc="upper left")
    plots.tidy(left, "", "times started over, a puzzle")
    most = max(int(_searched(group).starts.max()) for group in found)
    numbers = np.unique(np.geomspace(1, most, 12).round().astype(int))
    for i, group in enumerate(found):
        searched = _searched(group)
        solved, needed = searched.result.solved[group.rows], searched.starts[group.rows]
        share = np.array([(solved & (needed <= k)).mean() for k in numbers])
        right.plot(numbers, 100 * share, **plots.line_of(i), label=group.label)
        rows += [
            (group.label, "solved within starts", int(k), s) for k, s in zip(numbers, share, strict=True)
        ]
        if i == 0 or len(studies) > 1:
            effort = searched.effort(_mask(group))
            findings.append(
                f"{group.label}: {effort.starts:.2f} starts a puzzle; doubted {effort.doubts_right:.2f} "
                f"times rightly and {effort.doubts_wrong:.2f} times wrongly; {effort.abstained:.1%} "
                f"abstained, {effort.wrong} wrong answers handed in."
            )
    right.set_xscale("log", base=2)
    ticks = [2**k for k in range(most.bit_length())]
    right.set_xticks(ticks, [str(tick) for tick in ticks])
    right.set_ylim(-3, 103)
    plots.tidy(right, "starts", "puzzles solved (%)")
    right.legend(frameon=False, fontsize="small", loc="lower right")
    return Exhibit(
        "search_starts",
        "Starting over",
        figure,
        "Left: doubt is right where some assumption on the board differs from the label; doubt of right "
        "assumptions throws work away. Right: where a line begins, puzzles are solved by the first start; "
        "how far it rises is what starting over gives.",
        f"Computed from {len(studies[0].puzzles):,} puzzles; {_how(studies)}.",
        ("puzzles", "what", "starts", "value"),
        rows,
        " ".join(findings),
    )


def _searched(group: Group) -> Searched:
    assert group.study.search is not None
    return group.study.search


def _mask(group: Group) -> NDArray[np.bool_]:
    mask = np.zeros(len(group.study.puzzles), np.bool_)
    mask[group.rows] = True
    return mask


def _how(studies: Sequence[Study]) -> str:
    assert studies[0].search is not None
    how = studies[0].search.how
    chains = "one chain" if how.chains == 1 else f"{how.chains} chains side by side"
    return f"search with {chains} and at most {how.budget} segments a puzzle"
