"""The table of many faults."""

from __future__ import annotations

from hrm_rl.faults.report import Outcome, table


def test_the_table_counts_what_was_wrong() -> None:
    outcomes = [Outcome("kill", 4, 10.0), Outcome("cut", 2, 1.0, ["fault 3: a traceback"])]
    rows = table(outcomes).splitlines()
    assert rows[2:] == ["| kill | 4 | 0 | 2.5 |", "| cut | 2 | 1 | 0.5 |", "| all | 6 | 1 | |"]
