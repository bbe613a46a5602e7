"""What a run depends on by path, and whether it is still what it was.

Puzzles are held out of a file by their place in it, so that a file with a few rows more holds out others, of
which some were trained on. A digest of each file is kept in the run's state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hrm_rl.config import Config
from hrm_rl.runs.loading import find_checkpoint
from hrm_rl.runs.pretrained import is_pretrained
from hrm_rl.runs.selection import AVERAGED, WEIGHTS
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import digest

PATHS = ("data.path", "data.eval_path", "train.init_from")
"""The settings that name files or folders."""
DATASET_FILES = ("dataset.json", "*.npy")
"""What is read of a folder of puzzles."""
START = "train.init_from"
Digests = Mapping[str, str]
"""`setting path` and the SHA-256 of what lies there."""


def digests(config: Config) -> dict[str, str]:
    """Of everything that `config` names: puzzles, and the weights that a run starts from. What is not there
    is left out: whoever reads it will say so."""
    found = digests_of_puzzles(config)
    start = config.train.init_from
    weights = None if start is None else _digest_of_weights(Path(start))
    return found if weights is None else found | {f"{START} {start}": weights}


def digests_of_puzzles(config: Config) -> dict[str, str]:
    """Of training puzzles, those to evaluate on, and files among the task's options."""
    found = {f"{setting} {path}": _digest(path) for setting, path in _puzzles(config)}
    return {name: value for name, value in found.items() if value is not None}


def moved(stored: Digests, now: Digests) -> list[str]:
    """What is known in both and differs."""
    return [name for name, value in now.items() if stored.get(name, value) != value]


def refusal(changed: Sequence[str], what: str) -> str:
    """Why a `run` or `sweep` cannot be resumed after these have changed."""
    if all(name.startswith(START) for name in changed):
        why = f"the {what} would not start from these weights again; put them back as they were"
        if what == "run":
            own = "the run has its own by now"
            why = f"put the weights back, leave them out with --train.init-from None ({own})"
    else:
        why = f"other puzzles would be held out, some that the {what} was trained on; put it back as it was"
    return f"{' and '.join(changed)} changed since the {what} began: {why}, or start a new {what}"


def _puzzles(config: Config) -> Iterator[tuple[str, Path]]:
    """The settings that name puzzles, each with its path."""
    for setting, path in (("data.path", config.data.path), ("data.eval_path", config.data.eval_path)):
        if path is not None:
            yield setting, Path(path)
    for name, value in config.env.options.items():
        if isinstance(value, str) and Path(value).is_absolute():  # as a file's name is by now
            yield f"env.options.{name}", Path(value)


def _digest(path: Path) -> str | None:
    """Of a file, or of all that is read of a folder; None if nothing can be read."""
    try:
        if not path.is_dir():
            return digest(path)
        files = sorted(file for pattern in DATASET_FILES for file in path.rglob(pattern))
        lines = [f"{file.relative_to(path)} {digest(file)}\n" for file in files]
    except OSError:
        return None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest_of_weights(folder: Path) -> str | None:
    """Of the weights that a run would start from now; None if there are none."""
    try:
        path = folder if is_pretrained(folder) else find_checkpoint(folder)
        parts = [digest(path / name) for name in (WEIGHTS, AVERAGED) if (path / name).exists()]
    except (OSError, UserError):
        return None
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
