"""Which checkpoint of a run: the newest undamaged, the best, the ones to keep."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open

from hrm_rl.utils.files import digest

KEEP_LAST = 2
"""Newest checkpoints that a run keeps, besides its best."""
STATE = "state.json"
MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
AVERAGED = "averaged.safetensors"


def name_of(update: int) -> str:
    """The name of the checkpoint of an update."""
    return f"update-{update:08d}"


def update_of(path: Path) -> int:
    """The update of a checkpoint."""
    return int(path.name.removeprefix("update-"))


def checkpoints(root: Path) -> list[Path]:
    """Finished checkpoints under `root`, the newest first; their files are not checked."""
    if not root.is_dir():
        return []
    return sorted((p for p in root.iterdir() if re.fullmatch(r"update-\d{8}", p.name)), reverse=True)


def best(root: Path, newest: Path | None = None) -> Path | None:
    """The checkpoint with the highest score, the newest of equals; None if none was evaluated.

    newest: do not look at those after this one.
    """
    found = [p for p in checkpoints(root) if newest is None or p.name <= newest.name]
    scored = [(value, path.name, path) for path in found if (value := score(path)) is not None]
    return max(scored)[2] if scored else None


def score(path: Path) -> float | None:
    """The score that a checkpoint was saved with; None if it has none that can be read."""
    try:
        return json.loads((path / STATE).read_text())["score"]
    except (OSError, ValueError, KeyError):
        return None


def prune(root: Path, newest: Path, last: int = KEEP_LAST) -> None:
    """Delete all checkpoints but the `last` ones up to `newest`, just saved, and the best of them. Those
    after it are damaged: the run resumed from an earlier one."""
    upto = [p for p in checkpoints(root) if p.name <= newest.name]
    keep = {*upto[:last], best(root, newest)}
    for path in checkpoints(root):
        if path not in keep:
            shutil.rmtree(path, ignore_errors=True)


def damage(path: Path) -> str | None:
    """What is wrong with the files of a checkpoint, or with its weights, or None."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        for name, expected in manifest.items():
            if (path / name).stat().st_size != expected["bytes"]:
                return f"{name} is truncated"
            if digest(path / name) != expected["sha256"]:
                return f"{name} is corrupted"
        for name in (WEIGHTS, AVERAGED):
            if name in manifest and (fault := _not_finite(path / name)):
                return f"{name} is of no use, {fault}"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return f"{MANIFEST} is unreadable ({error})"
    except SafetensorError as error:
        return f"its weights are unreadable ({error})"
    return None


def _not_finite(file: Path) -> str | None:
    from hrm_rl.models.saving import not_finite  # and torch with it: names in a folder are known without

    with safe_open(file, "pt") as tensors:
        return not_finite({name: tensors.get_tensor(name) for name in tensors.keys()})  # noqa: SIM118


def latest_sound(root: Path, say: Callable[[str], None]) -> Path | None:
    """The newest undamaged checkpoint. Damaged ones are skipped, and `say` is told of each."""
    found = checkpoints(root)
    for path in found:
        reason = damage(path)
        if reason is None:
            return path
        further = "" if path == found[-1] else ": going back to the one before"
        say(f"checkpoint {path.name} is damaged ({reason}){further}")
    return None
