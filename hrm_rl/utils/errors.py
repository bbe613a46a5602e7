"""The one exception for things a user can put right, and how errors of others are put in one line."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(ValueError):
    """Something the user can put right. The message is one line: what is wrong, what would be right and,
    where there is one, the command to run. Scripts print it and exit with 2."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the most similar of `choices`, or an empty string when none is similar."""
    match = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean '{match[0]}'?" if match else ""


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
