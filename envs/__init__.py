"""Puzzle environments for agents that decide how long to think. Importing this registers the Gymnasium
ids."""

from envs.act import ActEnv, ActVectorEnv
from envs.errors import DataError, UserError
from envs.puzzle import (
    NO_LEVEL,
    PAD,
    PuzzleBatch,
    Puzzles,
    PuzzleSource,
    View,
    distinct,
    fingerprint,
)
from envs.registration import TASKS, make_task, register_task, register_tasks
from envs.sources import GeneratedSource, MixedSource, PoolSource
from envs.task import PuzzleTask, ReportProgress, Symmetries

__all__ = [
    "NO_LEVEL",
    "PAD",
    "TASKS",
    "ActEnv",
    "ActVectorEnv",
    "DataError",
    "GeneratedSource",
    "MixedSource",
    "PoolSource",
    "PuzzleBatch",
    "PuzzleSource",
    "PuzzleTask",
    "Puzzles",
    "ReportProgress",
    "Symmetries",
    "UserError",
    "View",
    "distinct",
    "fingerprint",
    "make_task",
    "register_task",
]

register_tasks()
