"""Errors that a user can put right, and the hint that names what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user can put right. The message is one line: what is wrong, what would be right and,
    where there is one, the command to run. Scripts print it and exit with 2."""

    def __init__(self, message: str):
        """message: what it quotes may hold line breaks; they become blanks."""
        super().__init__(" ".join(message.splitlines()).strip())


class DataError(UserError):
    """Data of the user that cannot be used; the message names the file, the line and the reason."""

    def __init__(self, message: str, cell: int | None = None):
        """cell: of a puzzle, from 0 row by row, where one is at fault; the message names it too."""
        super().__init__(message)
        self.cell = cell


class MisfitError(DataError):
    """Data that may be sound but are of another size or kind than the task's."""


ELSEWHERE = {
    "batch": "global_batch_size", "batch_size": "global_batch_size", "learning_rate": "lr", "eta": "lr",
    "epochs": "max_updates", "steps": "max_updates", "max_steps": "max_updates", "iterations": "max_updates",
    "eval_interval": "eval_every", "eval_steps": "eval_every", "save_every": "checkpoint_every",
    "save_steps": "checkpoint_every", "d_model": "hidden_size", "hidden_dim": "hidden_size",
    "n_heads": "num_heads", "max_grad_norm": "grad_clip", "warmup_steps": "warmup_updates",
    "workers": "num_workers", "gpus": "gpus_per_worker", "output_dir": "storage_path",
}  # fmt: skip
"""What other programs call a setting: the last part of its name here."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'x'?` with what is meant elsewhere by a word, or with the most similar of `choices`; an
    empty string when none is similar."""
    known, last = list(choices), _last_part(word)
    found = [choice for choice in known if _last_part(choice) in (last, ELSEWHERE.get(last))]
    if not found:
        lower = {choice.lower(): choice for choice in reversed(known)}
        found = [lower[key] for key in difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)]
    return f"; did you mean '{found[0]}'?" if found else ""


def _last_part(name: str) -> str:
    """`learning_rate`, of `--optim.learning-rate`."""
    return name.rpartition(".")[2].lstrip("-").replace("-", "_").lower()


def unknown(what: str, word: str, choices: Iterable[str]) -> UserError:
    """The error for a `word` that is none of the `choices`: `what` it should be one of, and the nearest."""
    known = list(choices)
    listed = ", ".join(known) or "none"
    return UserError(f"unknown {what} '{word}'{nearest(word, known)} ({what}s: {listed})")
