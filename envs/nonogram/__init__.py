"""Nonograms: rule, line logic, symmetries."""

from envs.nonogram.task import NonogramTask

__all__ = ["NonogramTask"]
