"""The one exception for things a user can put right (envs has it, and hrm_rl takes it from here)."""

from __future__ import annotations

import errno

from envs.errors import UserError, nearest, unknown

__all__ = ["UserError", "nearest", "refused_by_disk", "unknown"]


def refused_by_disk(error: OSError) -> UserError | None:
    """What to tell the user when the disk takes no more; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return None
    where = f" ({error.filename})" if error.filename else ""
    return UserError(
        f"cannot write: {error.strerror}{where}; free some space or choose another --storage-path"
    )
