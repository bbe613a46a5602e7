"""Errors that a user can put right, and the hint that names what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user can put right. The message is one line: what is wrong, what would be right and,
    where there is one, the command to run. Scripts print it and exit with 2."""


class DataError(UserError):
    """Data of the user that cannot be used; the message names the file, the line and the reason."""


class MisfitError(DataError):
    """Data that may be sound but are of another size or kind than the task's."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the most similar of `choices`, or an empty string when none is similar."""
    match = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean '{match[0]}'?" if match else ""


def unknown(what: str, word: str, choices: Iterable[str]) -> UserError:
    """The error for a `word` that is none of the `choices`: `what` it should be one of, and the nearest."""
    known = list(choices)
    listed = ", ".join(known) or "none"
    return UserError(f"unknown {what} '{word}'{nearest(word, known)} ({what}s: {listed})")
