"""Which token is said, of those that may follow. Legend: V token values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hrm_rl.utils.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn."""

    temperature: float = 1.0
    """What log-probabilities are divided by; 0 takes the likeliest token."""
    top_k: int | None = None
    """Draw only from so many of the likeliest; from all if not given, or if there are fewer."""
    top_p: float = 1.0
    """Draw only from the fewest likeliest that have at least this probability together (nucleus sampling,
    arXiv 1904.09751)."""

    def __post_init__(self) -> None:
        """Raises UserError for values out of range."""
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UserError(
                f"temperature is {self.temperature:g}; it must be 0 (the likeliest token) or more, as 0.8"
            )
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top_k is {self.top_k}; it must be at least 1, or left out for all tokens")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p:g}; it must be above 0 and at most 1 (all tokens)")

    def chances(self, log_p: NDArray[np.float64]) -> NDArray[np.float64]:
        """(V,) probabilities with which tokens are drawn, from log-probabilities (V,); -inf is never drawn.
        Of equally likely tokens the lower number comes first."""
        order = np.argsort(-log_p, kind="stable")
        ordered = log_p[order]
        if self.temperature == 0:
            chances = (np.arange(len(order)) == 0).astype(np.float64)
        else:
            scaled = (ordered - ordered[0]) / self.temperature
            chances = np.exp(scaled) / np.exp(scaled).sum()
        if self.top_k is not None:
            chances[self.top_k :] = 0
        before = np.cumsum(chances) - chances
        chances[before >= self.top_p * chances.sum()] = 0
        found = np.zeros_like(chances)
        found[order] = chances / chances.sum()
        return found

    def draw(self, log_p: NDArray[np.float64], rng: np.random.Generator) -> int:
        """A token. One number is drawn from `rng`, whatever the settings."""
        at = np.searchsorted(np.cumsum(self.chances(log_p)), rng.random(), side="right")
        return int(min(at, np.flatnonzero(self.chances(log_p))[-1]))
