"""The models that come with this project: a folder each, with config.json, model.safetensors (float16) and a
card; docs/weights.md has what they reach, `hrm-rl weights` makes them again. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

NAMES = ("sudoku9", "sudoku6", "sudoku4", "maze6")
"""The default first; of mazes the small ones first, since a large canvas takes small mazes too."""


def shipped() -> tuple[str, ...]:
    """Their names, the default first."""
    return NAMES


def folder_of(name: str) -> Path | None:
    """The folder of the model called `name`; None if none is."""
    return Path(__file__).parent / name if name in NAMES else None
