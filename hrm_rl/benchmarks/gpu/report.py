"""report.md of the kit: what was run, what it found, and why the rest did not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from hrm_rl.benchmarks.gpu.running import Figures, GpuOutcome
from hrm_rl.benchmarks.report import shown


def report(title: str, outcomes: Sequence[GpuOutcome], limit: float) -> str:
    """The page, in Markdown."""
    lines = [f"# {title}", "", f"{_counted(outcomes)}; at most {limit:.0f} s.", ""]
    lines += ["| step | what it shows | | seconds |", "|---|---|---|---|"]
    lines += [f"| {o.step} | {o.about} | {o.status} | {o.seconds:.0f} |" for o in outcomes]
    for outcome in outcomes:
        if not outcome.found and outcome.status == "done":
            continue
        lines += ["", f"## {outcome.step}", "", f"    {outcome.command}", ""]
        for _, rows in groupby(outcome.found, tuple):  # by the names in a row
            lines += [*_table(list(rows)), ""]
        if outcome.why:
            lines += [f"{outcome.status}: {outcome.why}", ""]
        if outcome.last:
            lines += ["```", *outcome.last, "```"]
    return "\n".join(lines).rstrip() + "\n"


def _counted(outcomes: Sequence[GpuOutcome]) -> str:
    """`9 done, 1 failed`."""
    statuses = [outcome.status for outcome in outcomes]
    return ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))


def _table(rows: Sequence[Figures]) -> list[str]:
    """A column for each of the names, which all rows have."""
    names = list(rows[0])
    lines = [_row([name.replace("_", " ") for name in names]), "|---" * len(names) + "|"]
    return lines + [_row([_cell(name, row[name]) for name in names]) for row in rows]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(key, entry)}" for key, entry in value.items())
    return shown(name, value).replace("|", "\\|").replace("\n", " ")
