"""What the tests of ARC share: a small folder of public puzzles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.arc import write_small_arc


@pytest.fixture
def small_arc(tmp_path: Path) -> Path:
    """See `write_small_arc`."""
    return write_small_arc(tmp_path / "arc")
