"""Files that commands are told to write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrm_rl.utils.errors import UserError


def refuse_file(flag: str, name: str | None, endings: Sequence[str]) -> None:
    """Raise UserError for a file that could not be written or has another ending."""
    if name is None:
        return
    path = Path(name)
    if path.suffix not in endings:
        raise UserError(f"{flag} {path}: the name must end in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise UserError(f"{flag} {path}: there is no folder {path.parent}")
