"""Puzzles as Gymnasium environments for agents that decide how long to think; importing registers the ids."""

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
from envs.search import Choice, SearchEnv, SearchVectorEnv
from envs.sources import GeneratedSource, MixedSource, PoolSource
from envs.task import PuzzleTask, ReportProgress, Symmetries

__all__ = [
    "NO_LEVEL",
    "PAD",
    "TASKS",
    "ActEnv",
    "ActVectorEnv",
    "Choice",
    "DataError",
    "GeneratedSource",
    "MixedSource",
    "PoolSource",
    "PuzzleBatch",
    "PuzzleSource",
    "PuzzleTask",
    "Puzzles",
    "ReportProgress",
    "SearchEnv",
    "SearchVectorEnv",
    "Symmetries",
    "UserError",
    "View",
    "distinct",
    "fingerprint",
    "make_task",
    "register_task",
]

register_tasks()
