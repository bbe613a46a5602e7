"""What scripts/evaluate.py prints and writes: tables, JSON, predictions.

Legend: N puzzles, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Column, Table

from envs.task import PuzzleTask
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.evaluation.depth import Depth, print_depths, print_solved_within, solved_within
from hrm_rl.evaluation.intervals import Interval, bootstrap
from hrm_rl.evaluation.output.search_report import print_search
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.evaluation.search import Rows, Searched
from hrm_rl.evaluation.summaries import Groups, Summary, by_group
from hrm_rl.evaluation.tradeoff import Point
from hrm_rl.evaluation.votes import MultiPass
from hrm_rl.utils.console import duration, print_whole

WITH_INTERVAL = ("exact_accuracy", "solved", "segments_mean")
"""The figures that get an interval."""


class Reported(Protocol):
    """What a table and JSON are made of, whether of puzzles (`Report`) or of sums over them
    (hrm_rl/evaluation/stream.py)."""

    @property
    def about(self) -> dict[str, Any]: ...
    @property
    def task(self) -> PuzzleTask: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def seconds(self) -> float: ...
    @property
    def search(self) -> Searched | None: ...
    @property
    def depths(self) -> Sequence[Depth]: ...
    @property
    def budget(self) -> int: ...
    @property
    def goes_deeper(self) -> bool: ...
    def intervals(self, rows: Rows = ...) -> dict[str, Interval]: ...
    def solved_within(self, rows: Rows = ...) -> dict[int, float]: ...
    def rows_of(self, group: str) -> NDArray[np.bool_]: ...
    def summaries(self) -> dict[str, Summary]: ...
    def total(self) -> Summary: ...


@dataclass(frozen=True)
class Report:
    """One model's evaluation and all that goes with it."""

    about: dict[str, Any]
    """checkpoint, update, weights, puzzles, halting, budget, puzzles_per_s."""
    result: Evaluation
    task: PuzzleTask
    groups: Groups
    seconds: float
    seed: int = 0
    """Of the intervals."""
    extra: dict[str, MultiPass] = field(default_factory=dict)
    """Votes, retries and rollouts, by their names."""
    depths: Sequence[Depth] = ()
    """Budgets from one segment on."""
    trained_budget: int = 0
    search: Searched | None = None
    """How it was searched, if it was; `result` is its."""
    arc: ArcReport | None = None
    """The votes on ARC's test grids."""

    @property
    def budget(self) -> int:
        """K."""
        return self.result.exact_after.shape[1]

    @property
    def goes_deeper(self) -> bool:
        """Whether the budget is larger than the training run's."""
        return bool(self.depths) and self.depths[-1].budget > self.trained_budget

    def intervals(self, rows: Rows = slice(None)) -> dict[str, Interval]:
        """95 % bootstrap intervals of WITH_INTERVAL over some of the puzzles."""
        result = self.result
        values = (result.exact, result.solved, result.segments)
        return {name: bootstrap(v[rows], self.seed) for name, v in zip(WITH_INTERVAL, values, strict=True)}

    def solved_within(self, rows: Rows = slice(None)) -> dict[int, float]:
        """Solved among some of the puzzles, by budget."""
        return solved_within(self.result, rows)

    def rows_of(self, group: str) -> NDArray[np.bool_]:
        """(N,) which puzzles are in a group."""
        return self.groups.of == self.groups.names.index(group)

    def summaries(self) -> dict[str, Summary]:
        """A row for each group that occurs."""
        sums = self.result.sums_by(self.groups.of, len(self.groups.names))
        return by_group(sums, self.groups.names, self.task.measures)

    def total(self) -> Summary:
        one_group = np.zeros(len(self.result.level), np.int64)
        return Summary.of(self.result.sums_by(one_group, 1)[0], self.task.measures)


MOST_COLUMNS = 32
"""Segments that are printed one by one; of more, each power of two."""


def as_dictionary(report: Reported) -> dict[str, Any]:
    """What --json prints."""
    groups = report.groups
    rows = {
        name: asdict(summary) | _more(report, report.rows_of(name))
        for name, summary in report.summaries().items()
    }
    beside = report.extra if isinstance(report, Report) else {}
    extra = {name: means_of(found) for name, found in beside.items()}
    return {
        **report.about,
        "all": asdict(report.total()) | _more(report),
        "levels" if groups.by == "level" else groups.by: rows,
        **({"by_budget": [asdict(row) for row in report.depths]} if report.goes_deeper else {}),
        **({"beside_the_single_pass": extra} if extra else {}),
        **({"arc": report.arc.as_dictionary()} if isinstance(report, Report) and report.arc else {}),
    }


def _more(report: Reported, rows: Rows = slice(None)) -> dict[str, Any]:
    """What some of the puzzles have beside their means."""
    searched = {} if report.search is None else {"search": report.search.as_dictionary(rows)}
    within = {"solved_within": report.solved_within(rows)} if report.goes_deeper else {}
    return {"intervals": report.intervals(rows), **searched, **within}


def means_of(found: MultiPass) -> dict[str, float]:
    return {
        "exact_accuracy": float(found.exact.mean()),
        "solved": float(found.solved.mean()),
        "segments_mean": float(found.segments.mean()),
        "passes_mean": float(found.passes.mean()),
    }


def headline(about: dict[str, Any]) -> str:
    return f"{_model(about)}, {about['rule']}, puzzles: {about['puzzles']}"


def _model(about: dict[str, Any]) -> str:
    return f"{about['checkpoint']} (update {about['update']}, {about['weights']} weights)"


def print_table(report: Reported, console: Console) -> None:
    """One model, group by group."""
    task, rows = report.task, report.summaries()
    if len(rows) > 1:
        rows["all"] = report.total()
    console.print(headline(report.about), soft_wrap=True)
    names = ("puzzles", "exact", "solved", "cells", "segments", *task.measures)
    table = Table(
        Column(report.groups.by, no_wrap=True),
        *[Column(name.replace("_", " "), justify="right") for name in names],
        padding=(0, 0 if task.measures else 1),  # 80 columns have to do
    )
    for name, row in rows.items():
        table.add_row(
            name,
            str(row.puzzles),
            f"{row.exact_accuracy:.1%}",
            f"{row.solved:.1%}",
            f"{row.cell_accuracy:.2%}",
            f"{row.segments_mean:.2f}",
            *[_measured(row, name) for name in task.measures],
        )
    print_whole(console, table)
    print_intervals(report, console)
    if report.search is not None:
        parts: dict[str, Rows] = {name: report.rows_of(name) for name in report.summaries()}
        print_search(report.search, parts if len(parts) == 1 else parts | {"all": slice(None)}, console)
    else:
        print_exact_after(rows, report.budget, console)
    if report.goes_deeper:
        print_depths(report.depths, console)
        if len(rows) > 1:
            within = {name: report.solved_within(report.rows_of(name)) for name in report.summaries()}
            print_solved_within(within, report.groups.by, report.depths, console)
    console.print(f"{report.about['puzzles_per_s']:.0f} puzzles/s, {duration(report.seconds)}")
    if isinstance(report, Report):
        if report.extra:
            print_extra(report, console)
        if report.arc is not None:
            report.arc.print(console)


def print_exact_after(rows: Mapping[str, Summary], budget: int, console: Console) -> None:
    every = range(1, budget + 1) if budget <= MOST_COLUMNS else [2**i for i in range(budget.bit_length())]
    console.print(f"exact after segment 1, 2, {3 if budget <= MOST_COLUMNS else '4, 8'}, ...")
    for name, row in rows.items():
        curve = " ".join(f"{row.accuracy_after_segment[k - 1]:6.1%}" for k in every)
        console.print(f"  {name:<10} {curve}", soft_wrap=True)


def print_intervals(report: Reported, console: Console) -> None:
    found = report.intervals()
    (a, b), (c, d), (e, f) = (found[name] for name in WITH_INTERVAL)
    console.print(
        f"95 % bootstrap interval: exact {100 * a:.1f}-{100 * b:.1f} %, "
        f"solved {100 * c:.1f}-{100 * d:.1f} %, segments {e:.2f}-{f:.2f}",
        soft_wrap=True,
    )


def _measured(row: Summary, name: str) -> str:
    return f"{row.measures[name]:.3g}" if name in row.measures else "-"


def print_extra(report: Report, console: Console) -> None:
    """Votes, retries and rollouts, below the single pass."""
    table = Table(
        Column("compared with a single pass", no_wrap=True), *_right("exact", "solved", "segments", "passes")
    )
    result = report.result
    passes = np.ones_like(result.segments)
    once = MultiPass(result.answer, result.exact, result.solved, result.segments, passes, "single pass")
    for name, found in {"single pass": once, **report.extra}.items():
        m = means_of(found)
        table.add_row(
            name,
            f"{m['exact_accuracy']:.1%}",
            f"{m['solved']:.1%}",
            f"{m['segments_mean']:.2f}",
            f"{m['passes_mean']:.2f}",
        )
    print_whole(console, table)


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]


def print_comparison(reports: Sequence[Report], console: Console) -> None:
    """Several models on the same puzzles, each against the first; then each group's `solved`."""
    first = reports[0]
    console.print(f"{first.total().puzzles} puzzles: {first.about['puzzles']}", soft_wrap=True)
    for letter, report in zip(letters(reports), reports, strict=True):
        console.print(f"  {letter}  {_model(report.about)}, {report.about['rule']}", soft_wrap=True)
    names = ("exact", "solved", "95 %", "solved - A", "95 %", "segments", "puzzles/s")
    table = Table(Column(""), *_right(*names), padding=0)  # 80 columns have to do
    for letter, report in zip(letters(reports), reports, strict=True):
        row, (low, high) = report.total(), report.intervals()["solved"]
        more = difference(report, first)
        versus = ["", ""] if report is first else [f"{more[0]:+.1%}", f"{more[1][0]:+.1%} {more[1][1]:+.1%}"]
        table.add_row(
            letter,
            f"{row.exact_accuracy:.1%}",
            f"{row.solved:.1%}",
            f"{low:.1%} {high:.1%}",
            *versus,
            f"{row.segments_mean:.2f}",
            f"{report.about['puzzles_per_s']:.0f}",
        )
    print_whole(console, table)
    groups = [report.summaries() for report in reports]
    table = Table(
        Column(f"solved, by {first.groups.by}", no_wrap=True), *_right("puzzles", *letters(reports))
    )
    for name, row in groups[0].items():
        table.add_row(name, str(row.puzzles), *[f"{group[name].solved:.1%}" for group in groups])
    print_whole(console, table)
    for letter, report in zip(letters(reports), reports, strict=True):
        if report.arc is not None:
            console.print(letter)
            report.arc.print(console)


def letters(models: Sequence[object]) -> list[str]:
    """A, B, C, ..., then numbers."""
    return [chr(ord("A") + i) if i < 26 else str(i + 1) for i in range(len(models))]


def difference(report: Report, first: Report) -> tuple[float, Interval]:
    """How many more of the same puzzles are solved than by the first model, and the 95 % bootstrap interval
    of that, puzzle paired with puzzle."""
    more = report.result.solved.astype(np.float64) - first.result.solved
    return float(more.mean()), bootstrap(more, report.seed)


def print_curve(points: Sequence[Point], about: dict[str, Any], puzzles: int, console: Console) -> None:
    """Accuracy against cost, adaptive compared with fixed."""
    console.print(f"{_model(about)}, {puzzles} puzzles: {about['puzzles']}", soft_wrap=True)
    table = Table(
        Column("halting"),
        *_right("budget", "threshold", "segments", "exact", "solved", "fixed solves"),
    )
    last = points[0].halting
    for point in points:
        if point.halting != last:
            table.add_section()
            last = point.halting
        table.add_row(
            point.halting,
            str(point.budget),
            "" if point.threshold is None else f"{point.threshold:g}",
            f"{point.segments_mean:.2f}",
            f"{point.exact_accuracy:.1%}",
            f"{point.solved:.1%}",
            "" if point.halting == "fixed" else f"{point.fixed_solved:.1%}",
        )
    print_whole(console, table)
    console.print("fixed solves: what a fixed budget solves at the same mean number of segments")
