"""The one exception for things a user can put right, and how errors of others are put in one line.

The exception is that of envs; hrm_rl takes it from here.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from envs.errors import UserError, nearest, unknown

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["UserError", "first_problem", "nearest", "one_line", "refused_by_disk", "unknown"]


def refused_by_disk(error: OSError) -> UserError | None:
    """What to tell the user when the disk takes no more; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return None
    where = f" ({error.filename})" if error.filename else ""
    return UserError(
        f"cannot write: {error.strerror}{where}; free some space or choose another --storage-path"
    )


def one_line(text: object, most: int | None = None) -> str:
    """What an error says, in one line of at most `most` characters."""
    return " ".join(str(text).split())[:most]


def first_problem(error: ValidationError) -> str:
    """`section.field: reason`, the first thing that pydantic found wrong; the reason alone if it is about all
    of it."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    reason = first["msg"].removeprefix("Value error, ")
    return f"{where}: {reason}" if where else reason
