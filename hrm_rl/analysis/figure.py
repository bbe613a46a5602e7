"""A figure with the words and the numbers that belong to it, and the curves that all figures share."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hrm_rl.analysis.study import Study


@dataclass(frozen=True)
class Exhibit:
    """One figure of the report."""

    name: str
    """Of its files, and its anchor."""
    title: str
    figure: Figure | None
    """None where there is nothing to draw; `reading` then says why."""
    reading: str
    """How to read it, in a sentence or two."""
    basis: str = ""
    """What it was computed from."""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = field(default_factory=list)
    """The numbers behind the figure, as the CSV file has them."""
    finding: str = ""
    """What it shows here, in numbers."""

    def csv(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows([_plain(value) for value in row] for row in self.rows)
        return out.getvalue()


@dataclass(frozen=True)
class Group:
    """Puzzles that a curve is about."""

    label: str
    study: Study
    rows: NDArray[np.int64]

    def mean(self, values: NDArray) -> NDArray[np.float64]:
        """The mean over these puzzles of values (..., N)."""
        return np.asarray(values, np.float64)[..., self.rows].mean(axis=-1)


def groups(studies: Sequence[Study]) -> list[Group]:
    """The curves of a figure: all puzzles of each run where runs are compared, else all
    and those of each level."""
    if len(studies) > 1:
        return [Group(study.name, study, np.arange(len(study.puzzles))) for study in studies]
    study = studies[0]
    levels = study.level_rows()
    found = [Group("all", study, np.arange(len(study.puzzles)))]
    return found + [Group(name, study, rows) for name, rows in levels.items() if len(levels) > 1]


def basis(studies: Sequence[Study], more: str = "") -> str:
    """`512 puzzles, 16 segments each`, and what else there is to say."""
    study = studies[0]
    each = " of each run" if len(studies) > 1 else ""
    line = f"Computed from {len(study.puzzles):,} puzzles, {study.budget} segments{each}"
    return f"{line}; {more}." if more else f"{line}."


def _plain(value: object) -> object:
    return f"{float(value):.6g}" if isinstance(value, (float, np.floating)) else value
