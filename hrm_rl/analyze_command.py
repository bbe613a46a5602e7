"""`scripts/analyze.py`: a report on how a trained model thinks, or on how several runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from rich.console import Console
from rich.progress import Progress

from envs import PuzzleBatch
from hrm_rl.analysis import report
from hrm_rl.analysis.study import Study, conduct
from hrm_rl.cli import parse
from hrm_rl.config import Positive, Section
from hrm_rl.console import shown_path
from hrm_rl.devices import choose_device
from hrm_rl.errors import UserError
from hrm_rl.evaluate_command import EvaluateCommand, choose_puzzles
from hrm_rl.solve_command import OpenedModel, open_model
from hrm_rl.training import use_threads

PROGRAM = "python scripts/analyze.py"
BEYOND = 2
"""Budget of the analysis, as a multiple of that of training."""


class AnalyzeCommand(Section):
    """Flags of scripts/analyze.py."""

    checkpoint: str = ""
    """Run folder (its best checkpoint is taken, else the last), one checkpoint's folder, or a folder made by
    scripts/export.py or scripts/convert_checkpoint.py. This or --compare is required."""
    compare: tuple[str, ...] = ()
    """Several of them, to overlay; all think about the puzzles of the first."""
    out: str = ""
    """Folder for report.html and the PNG and CSV file of each figure. Required."""
    data: str | None = None
    """File or folder of puzzles to think about. Without this, --level and --seed: those held out by the run."""
    level: str | None = None
    """Level to generate; those of the training run if not given."""
    puzzles: Positive = 512
    """Most puzzles to think about; of more, as many are chosen evenly."""
    max_segments: Positive | None = None
    """Segments to watch each puzzle for; twice the budget of training if not given."""
    weights: Literal["raw", "ema"] | None = None
    """The trained weights or their moving average; those that the run's own evaluations judged if not given."""
    batch_size: Positive = 128
    """Puzzles thought about at once."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network runs."""
    threads: Positive | None = None
    """CPU threads; torch's choice if not given."""
    seed: Annotated[int | None, Field(ge=0)] = None
    """Seed of generated puzzles (1)."""


def main(args: Sequence[str]) -> int:
    """Run scripts/analyze.py. Returns the exit status; raises UserError."""
    command = parse(AnalyzeCommand(), args, "Report on how a trained model thinks.", PROGRAM)
    folders = _folders(command)
    if command.threads:
        use_threads(command.threads)
    models = [open_model(folder, command.weights) for folder in folders]
    _refuse_other_boards(folders, models)
    puzzles = _puzzles(command, models[0])
    budget = command.max_segments or BEYOND * max(m.config.halting.halt_max_steps for m in models)

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        thinking = progress.add_task("thinking", total=len(puzzles) * len(models))
        studies = []
        for name, opened in zip(_names(folders, models), models, strict=True):
            done = len(studies) * len(puzzles)
            model = opened.model.to(choose_device(command.device))
            studies.append(
                conduct(
                    name,
                    model,
                    opened.task,
                    opened.config,
                    puzzles,
                    budget,
                    opened.run_dir,
                    command.batch_size,
                    lambda count, done=done: progress.update(thinking, completed=done + count),
                )
            )
        drawing = progress.add_task("drawing", total=None)
        try:
            written = report.write(
                Path(command.out),
                studies,
                _title(studies),
                _facts(command, models, studies, budget),
                lambda name: progress.update(drawing, description=f"drawing, {name} is done"),
            )
        except OSError as error:
            raise UserError(f"cannot write to {command.out}: {error.strerror or error}") from None
    print(f"wrote {shown_path(written)}, with PNG and CSV of each figure beside it")
    return 0


def _folders(command: AnalyzeCommand) -> list[str]:
    """The models asked for. Raises UserError."""
    if bool(command.checkpoint) == bool(command.compare):
        wrong = "not both" if command.compare else "one of them"
        raise UserError(
            f"give --checkpoint runs/NAME or --compare runs/A runs/B, {wrong}: {PROGRAM} --checkpoint runs/NAME "
            f"--out DIR"
        )
    if len(command.compare) == 1:
        raise UserError("--compare takes at least two runs; for one: --checkpoint")
    if not command.out:
        raise UserError(f"say where the report goes: {PROGRAM} --checkpoint runs/NAME --out DIR")
    if Path(command.out).is_file():
        raise UserError(f"--out {command.out} is a file; it must be a folder")
    return list(command.compare) or [command.checkpoint]


def _refuse_other_boards(folders: list[str], models: list[OpenedModel]) -> None:
    """Raise UserError unless all models are for the same task and board."""
    for folder, opened in zip(folders, models, strict=True):
        mine, first = (
            f"{m.task.name} {m.task.grid_shape[0]}x{m.task.grid_shape[1]}" for m in (opened, models[0])
        )
        if (mine, opened.task.vocab_size) != (first, models[0].task.vocab_size):
            raise UserError(f"{folder} plays {mine}, {folders[0]} plays {first}: they cannot be compared")


def _puzzles(command: AnalyzeCommand, opened: OpenedModel) -> PuzzleBatch:
    """The puzzles to think about, evenly chosen if there are more than wanted. Raises UserError."""
    config, seed = opened.config, command.seed
    own = opened.run_dir is None and (command.data, command.level, seed) == (None, None, None)
    if own and (config.data.path is not None or config.data.eval_path is not None):
        raise UserError(
            "the puzzles of this model's run are not beside it: give --data FILE, or --level NAME to generate some"
        )
    wanted = command.puzzles if command.level is not None or seed is not None else None
    chosen = EvaluateCommand(data=command.data, level=command.level, seed=seed, puzzles=wanted)
    found = choose_puzzles(chosen, config, opened.task)
    if len(found) > command.puzzles:
        found = found.take(np.linspace(0, len(found) - 1, command.puzzles).astype(np.int64))
    largest = int(found.identifier.max(initial=0))
    table = getattr(opened.model, "puzzle_emb", None)
    if table is not None and largest >= len(table.weight):
        raise UserError(
            f"these puzzles have identifiers up to {largest}, the model knows 0 to {len(table.weight) - 1}"
        )
    return found


def _names(folders: list[str], models: list[OpenedModel]) -> list[str]:
    """Short names, all different."""
    names = [(m.run_dir or Path(folder)).resolve().name for folder, m in zip(folders, models, strict=True)]
    return names if len(set(names)) == len(names) else list(folders)


def _title(studies: list[Study]) -> str:
    return f"How {studies[0].name} thinks" if len(studies) == 1 else " / ".join(s.name for s in studies)


def _facts(
    command: AnalyzeCommand, models: list[OpenedModel], studies: list[Study], budget: int
) -> list[tuple[str, str]]:
    """What stands at the top of the report."""
    task = models[0].task
    origin = command.data or (
        "generated" if command.level or command.seed is not None else "held out by the run"
    )
    levels = ", ".join(f"{len(rows)} {name}" for name, rows in studies[0].level_rows().items())
    facts = [
        ("task", f"{task.name} {task.grid_shape[0]}x{task.grid_shape[1]}"),
        ("puzzles", f"{len(studies[0].puzzles):,} ({levels}), {origin}"),
        ("watched", f"{budget} segments"),
    ]
    for opened, study in zip(models, studies, strict=True):
        config = opened.config.model
        facts += [
            (
                f"model {study.name}",
                f"{config.name}, {config.mixer}, hidden {config.hidden_size}, {config.h_cycles} x {config.l_cycles} "
                f"cycles, budget {opened.config.halting.halt_max_steps}; {opened.origin}",
            ),
            (
                "result",
                f"{study.solved.mean():.1%} solved after {study.halted.mean():.2f} segments on average",
            ),
        ]
    return facts
