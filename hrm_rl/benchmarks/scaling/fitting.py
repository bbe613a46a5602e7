"""The power of a quantity that a cost grows with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def exponent(values: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of log cost over log value, by least squares: 1 for a cost in proportion."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])
