"""What to tell a user who names something else than a run, a checkpoint or an exported folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrm_rl.models.saving import CONFIG, WEIGHTS
from hrm_rl.runs.folder import RunFolder
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError, nearest
from hrm_rl.weights import shipped

USUAL = "give a run folder such as runs/NAME, or train first"
RUNS = Path("runs")
"""Where runs lie if nothing else was said."""


def no_model(path: Path, damaged: Sequence[str]) -> UserError:
    """The error for a path that holds no model. damaged: what is wrong with each of its checkpoints."""
    reason = "; ".join(damaged) or _what_it_is(path)
    return UserError(f"{path} holds no sound checkpoint: {reason}")


def runs_in(folder: Path) -> list[Path]:
    """The run folders directly in `folder`, by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if RunFolder(path).checkpoints.is_dir())


def _what_it_is(path: Path) -> str:
    if not path.exists():
        known = [str(run) for folder in {RUNS, path.parent} for run in runs_in(folder)]
        namesake = [run for run in known if Path(run).name == path.name]
        names = shipped() if path.parent == Path() else ()
        near = nearest(namesake[0] if namesake else str(path), [*known, *names])
        also = f", and the shipped models are {', '.join(names)}" if names else ""
        return f"there is no such folder{also}{near or f'; {USUAL}'}"
    if path.is_file():
        holders = [folder for folder in path.parents[:3] if _holds_a_model(folder)]
        if holders:
            return f"it is a file; give its folder, {holders[0]}"
        convert = f"{typed_command('convert')} --from {path}"
        return f"it is a file; a checkpoint of another project is read after {convert} --task NAME --out DIR"
    inside = runs_in(path)
    if (path / "sweep.yaml").exists():
        inside = runs_in(path / "trials")
        return f"it is a sweep; give one of its trials{f', such as {inside[0]}' if inside else ''}"
    if inside:
        return f"it holds runs; give one of them, such as {inside[0]}"
    if (path / "dataset.json").exists() or (path / "train" / "dataset.json").exists():
        return f"it is a folder of puzzles; {USUAL}"
    for there, missing in ((CONFIG, WEIGHTS), (WEIGHTS, CONFIG)):
        if (path / there).exists():
            return f"it has {there} but no {missing}; fetch or export it again"
    if RunFolder(path).config.exists():
        return "the run ended before its first; train it again under another name"
    return USUAL


def _holds_a_model(folder: Path) -> bool:
    return (
        RunFolder(folder).checkpoints.is_dir()
        or (folder / "state.json").exists()
        or all((folder / name).exists() for name in (CONFIG, WEIGHTS))
    )
