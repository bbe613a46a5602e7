"""Patterns of strings: counting, brackets, parity, copy, reverse, sorting, addition, with lengths as levels."""

from envs.patterns.catalogue import PATTERNS
from envs.patterns.pattern import Pattern
from envs.patterns.task import PatternsTask

__all__ = ["PATTERNS", "Pattern", "PatternsTask"]
