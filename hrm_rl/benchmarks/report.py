"""What scripts/benchmark.py prints: a part's numbers, and at the end which aims are reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from hrm_rl.benchmarks.measure import Aim
from hrm_rl.utils.console import print_whole


def print_part(console: Console, part: str, numbers: Mapping[str, Any]) -> None:
    """A table of the part's numbers, and one of its own for each list of rows among them."""
    table = Table(Column(part), Column("", justify="right"))
    for name, value in numbers.items():
        if isinstance(value, list):
            continue
        if isinstance(value, dict):
            table.add_row(name, "")
            for key, entry in value.items():
                table.add_row(f"  {key}", shown("share" if name == "phases" else key, entry))
        else:
            table.add_row(name, shown(name, value))
    if table.row_count:
        print_whole(console, table)
    for value in numbers.values():
        if isinstance(value, list):
            print_whole(console, rows_table(part, value))


def rows_table(part: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """A column for each name that any of the rows has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=part, title_justify="left")
    for name in names:
        words = isinstance(rows[0].get(name), str)
        table.add_column(name.replace("_", " "), justify="left" if words else "right", no_wrap=words)
    for row in rows:
        table.add_row(*(shown(name, row[name]) if name in row else "" for name in names))
    return table


def summary(aims: Sequence[Aim]) -> Table:
    """Every aim, what was measured, and whether that reaches it."""
    table = Table("aim", "", Column("measured", justify="right"), "reached")
    for aim in aims:
        table.add_row(aim.what, aim.wanted, f"{aim.measured:{aim.form}}", "yes" if aim.reached else "no")
    return table


def shown(name: str, value: Any) -> str:
    """A number as its name asks: shares and overheads in percent, large ones without decimals."""
    if not isinstance(value, float):
        return str(value)
    if name.startswith("share") or name.endswith(("costs", "overhead")):
        return f"{value:.1%}"
    return f"{value:,.{2 if abs(value) < 100 else 0}f}"
