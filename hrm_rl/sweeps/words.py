"""How values of settings and metrics are written."""

from __future__ import annotations

from typing import Any

SHARES = ("exact_accuracy", "solved", "cell_accuracy")
"""Tags that are shares of 1, shown in %."""


def shown(value: Any) -> str:
    """A setting's value as one would type it, numbers to four digits."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):
        return " ".join(shown(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def is_share(metric: str) -> bool:
    return metric.rpartition("/")[2] in SHARES
