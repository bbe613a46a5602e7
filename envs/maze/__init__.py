"""Mazes: rule, generator, symmetries, files, rendering."""

from envs.maze.rule import distances, judge, label
from envs.maze.task import MazeTask

__all__ = ["MazeTask", "distances", "judge", "label"]
