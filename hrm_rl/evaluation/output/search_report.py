"""What `evaluate --search` prints beside the table that every evaluation has."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Column, Table

from hrm_rl.evaluation.search import Rows, Searched
from hrm_rl.utils.console import print_whole


def print_search(found: Searched, groups: Mapping[str, Rows], console: Console) -> None:
    """How search went about the puzzles of each group, and what it solved within 1, 2, 4, ... segments. The
    last group gets the intervals."""
    names = (
        "starts",
        "contra-\ndictions",
        "right\ndoubts",
        "wrong\ndoubts",
        "given\nup",
        "abs-\ntained",
        "wrong\nanswers",
    )
    table = Table(Column("a puzzle,\non average"), *[Column(name, justify="right") for name in names])
    for group, rows in groups.items():
        effort = found.effort(rows)
        table.add_row(
            group,
            f"{effort.starts:.2f}",
            f"{effort.contradictions:.2f}",
            f"{effort.doubts_right:.2f}",
            f"{effort.doubts_wrong:.2f}",
            f"{effort.given_up:.2f}",
            f"{effort.abstained:.1%}",
            str(effort.wrong),
        )
    print_whole(console, table)
    *_, last = groups
    columns = ("solved within", *groups, f"95 % of {last}")
    table = Table(
        *[Column(name, justify="right") for name in columns], padding=(0, 0 if len(groups) > 5 else 1)
    )
    for points in zip(*[found.within(rows) for rows in groups.values()], strict=True):
        segments, (low, high) = points[-1].segments, points[-1].interval
        table.add_row(
            "1 segment" if segments == 1 else f"{segments} segments",
            *[f"{point.solved:.1%}" for point in points],
            f"{100 * low:.1f}-{100 * high:.1f} %",
        )
    print_whole(console, table)
