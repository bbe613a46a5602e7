"""Patterns of strings, with lengths as levels: counting, brackets, parity, copying, sorting, addition."""

from envs.patterns.catalogue import PATTERNS
from envs.patterns.pattern import Pattern
from envs.patterns.task import PatternsTask

__all__ = ["PATTERNS", "Pattern", "PatternsTask"]
