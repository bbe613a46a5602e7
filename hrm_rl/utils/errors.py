"""The one exception for things a user can put right, and how errors of others are put in one line.

The exception is that of envs; hrm_rl takes it from here.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hrm_rl.utils import shadowed

shadowed.refuse()

from envs.errors import UserError, nearest, unknown  # noqa: E402  what is found must be known to be ours

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "NotResumable",
    "UserError",
    "dotted",
    "first_problem",
    "nearest",
    "one_line",
    "refused_by_disk",
    "unknown",
]


class NotResumable(UserError):
    """What ends a run that resuming would end again."""


def refused_by_disk(error: OSError) -> UserError | None:
    """What to tell the user when the disk takes no more; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        return None
    where = f" ({error.filename})" if error.filename else ""
    return UserError(
        f"cannot write: {error.strerror}{where}; free some space or choose another --storage-path"
    )


def one_line(text: object, most: int | None = None) -> str:
    """What an error says, in one line of at most `most` characters."""
    return " ".join(str(text).split())[:most]


def dotted(where: Sequence[int | str]) -> str:
    """`section.field`, from the fields that lead to a value."""
    return ".".join(map(str, where))


def first_problem(error: ValidationError, named: Callable[[Sequence[int | str]], str] = dotted) -> str:
    """`section.field: reason`, the first thing that pydantic found wrong; the reason alone if it is about all
    of it. named: what to call the place of a value."""
    first = error.errors()[0]
    where, value = named(first["loc"]), first["input"]
    reason = in_words(first["type"], first["msg"])
    if reason.startswith("Input should") and isinstance(value, int | float | str | None):
        reason += f", not {'nothing' if value is None else repr(value)}"
    return f"{where}: {reason}" if where else reason


def in_words(kind: str, message: str) -> str:
    """What pydantic says of an error of this kind, without the names of classes."""
    plain = {
        "model_type": "Input should be settings by name, as in {name: value}",
        "model_attributes_type": "Input should be settings by name, as in {name: value}",
        "dict_type": "Input should be names with values, as in {name: value}",
        "tuple_type": "Input should be a list, as in [1, 2]",
        "list_type": "Input should be a list, as in [1, 2]",
    }
    found = plain.get(kind, message)
    return re.split(r", (?:unable to|got a number)", found.removeprefix("Value error, "))[0]
