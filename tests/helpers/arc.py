"""A small folder of ARC's JSON files."""

from __future__ import annotations

import json
from pathlib import Path

from envs.arc.folders import to_json
from envs.arc.puzzles import load

TWINS = ("40853293", "caa06a1f", "00576224", "992798f6", "f3e62deb", "94414823")
"""Puzzles of ARC-AGI-1 with pairs that are a form of the test pair of an evaluation puzzle: their own,
070dd51e's or 50a16a69's."""
OTHERS = ("67a3c6ac", "74dd1130", "0d3d703e", "5582e5ca", "070dd51e", "50a16a69")


def write_small_arc(folder: Path) -> Path:
    """TWINS and OTHERS of ARC-AGI-1 in the folders training and evaluation."""
    for puzzle in load("arc1"):
        if puzzle.name in TWINS + OTHERS:
            file = folder / puzzle.subset / f"{puzzle.name}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(to_json(puzzle)))
    return folder
