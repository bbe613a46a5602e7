"""The tokens of a maze."""

from __future__ import annotations

from envs.puzzle import PAD

WALL, FREE, START, GOAL, PATH = 1, 2, 3, 4, 5

CHARACTERS = "_# SGo"
"""How token t is written in files: CHARACTERS[t]."""

__all__ = ["CHARACTERS", "FREE", "GOAL", "PAD", "PATH", "START", "WALL"]
