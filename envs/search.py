"""Puzzles as Gymnasium environments in which the agent also assumes digits and starts over (search).

Legend: B slots, L tokens a puzzle, V token values.
"""

from __future__ import annotations

from enum import IntEnum

from envs.errors import UserError
from envs.task import PuzzleTask


class Choice(IntEnum):
    """What a search agent does after a segment."""

    CONTINUE = 0
    HAND_IN = 1
    START_OVER = 2


def refuse_unsearchable(task: PuzzleTask) -> None:
    """Raises UserError for a task that cannot be searched."""
    if not task.assumable:
        raise UserError(
            f"{task.name} cannot be searched: its task names no `assumable` tokens; leave out the search"
        )
