"""Where things are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""
SHARED_DATA = ROOT / ".." / "shared" / "data"
"""Development data; tests that use it skip where it is absent."""
