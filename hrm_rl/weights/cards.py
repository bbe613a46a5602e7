"""The table of results in the card of a shipped model: written and read again, so that a test can hold the
model to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HEAD = "| level | puzzles | searching | 95 % | segments | halting alone | 95 % | segments |"
ALL = "all"


class Row(NamedTuple):
    """What a model made of fresh puzzles of a level."""

    level: str
    puzzles: int
    searched: int
    """Solved with search."""
    search_segments: float
    """On average."""
    halted: int
    """Solved by its own halting."""
    halting_segments: float


def table(rows: Sequence[Row], intervals: Sequence[tuple[str, str]]) -> list[str]:
    """The lines of the table. intervals: for each row, those of both shares, in words."""
    lines = [HEAD, "|" + "---|" * (HEAD.count("|") - 1)]
    for row, (searched, halted) in zip(rows, intervals, strict=True):
        shares = [f"{n} ({n / row.puzzles:.1%})" for n in (row.searched, row.halted)]
        lines.append(
            f"| {row.level} | {row.puzzles} | {shares[0]} | {searched} | {row.search_segments:.2f} "
            f"| {shares[1]} | {halted} | {row.halting_segments:.2f} |"
        )
    return lines


def read(card: Path) -> dict[str, Row]:
    """The rows of the table in a card, by level; the last is ALL. Raises ValueError where there is none."""
    lines = card.read_text().splitlines()
    if HEAD not in lines:
        raise ValueError(f"{card} has no table of results")
    found = {}
    for line in lines[lines.index(HEAD) + 2 :]:
        if not line.startswith("|"):
            break
        level, puzzles, searched, _, searching, halted, _, halting = (
            cell.strip() for cell in line.strip("|").split("|")
        )
        counts = [int(text.partition(" ")[0]) for text in (puzzles, searched, halted)]
        found[level] = Row(level, counts[0], counts[1], float(searching), counts[2], float(halting))
    return found
