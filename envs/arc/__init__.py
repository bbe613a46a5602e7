"""ARC: grids of colours whose rule has to be inferred from a few demonstrations."""

from envs.arc.task import ArcTask

__all__ = ["ArcTask"]
