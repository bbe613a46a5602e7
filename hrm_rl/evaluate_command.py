"""`scripts/evaluate.py`: a checkpoint, some puzzles, and a table or JSON of how well it does on each level."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from pydantic import Field
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from envs import DataError, PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl import checkpoint
from hrm_rl.cli import parse
from hrm_rl.config import Config, Positive, Section
from hrm_rl.console import duration, slow_work
from hrm_rl.data import (
    ALL_LEVELS,
    build_data,
    build_task,
    generate_held_out,
    open_puzzles,
    prepare,
    trained_levels,
    training_puzzles,
)
from hrm_rl.devices import choose_device
from hrm_rl.errors import UserError
from hrm_rl.evaluation import Evaluation, evaluate
from hrm_rl.inference import Stopping
from hrm_rl.leaks import Keys, twins
from hrm_rl.models import RecurrentModel, build_model
from hrm_rl.pretrained import Opened, is_pretrained, open_folder
from hrm_rl.summaries import Summary, summaries
from hrm_rl.training import use_threads

PROGRAM = "python scripts/evaluate.py"


class EvaluateCommand(Section):
    """Flags of scripts/evaluate.py."""

    checkpoint: str = ""
    """Run folder (its best checkpoint is taken, else the last), one checkpoint's folder, or a folder made by
    scripts/export.py or scripts/convert_checkpoint.py. Required."""
    data: str | None = None
    """File or folder of puzzles to judge on. Without this, --level, --puzzles and --seed: the run's held-out ones."""
    level: str | None = None
    """Level to generate; those of the training run if not given."""
    puzzles: Positive | None = None
    """Puzzles to generate over all levels (1000), or to take from the file at random (all)."""
    halting: Literal["adaptive", "fixed"] = "adaptive"
    """Stop each puzzle where the model says so, or spend the whole budget on each."""
    max_segments: Positive | None = None
    """Budget of segments; the training run's if not given."""
    weights: Literal["raw", "ema"] | None = None
    """The trained weights or their moving average; those that the run's own evaluations judged if not given."""
    batch_size: Positive = 256
    """Puzzles thought about at once."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network runs."""
    threads: Positive | None = None
    """CPU threads; torch's choice if not given."""
    seed: Annotated[int | None, Field(ge=0)] = None
    """Seed of the generated or chosen puzzles (1)."""
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print one JSON object and nothing else."""


def main(args: Sequence[str]) -> int:
    """Run scripts/evaluate.py. Returns the exit status; raises UserError."""
    command = parse(EvaluateCommand(), args, "Judge a trained model on puzzles.", PROGRAM)
    if not command.checkpoint:
        raise UserError(f"say which model: {PROGRAM} --checkpoint runs/NAME")
    if command.threads:
        use_threads(command.threads)
    if is_pretrained(Path(command.checkpoint)):
        path, opened = Path(command.checkpoint), open_folder(Path(command.checkpoint))
        command, config, update = _for_folder(command, opened), opened.config, opened.about.update
        task = build_task(config)
        puzzles = choose_puzzles(command, config, task)
        model = opened.model.to(choose_device(command.device))
    else:
        path = find_checkpoint(Path(command.checkpoint))
        state = checkpoint.read_state(path)
        config, update = state.config, state.update
        task = build_task(config)
        puzzles = choose_puzzles(command, config, task)
        model = load_model(path, config, task, command)
    _refuse_strangers(puzzles, model)

    budget = command.max_segments or config.halting.halt_max_steps
    console = Console(stderr=True)
    started = time.perf_counter()
    with Progress(
        console=console, transient=True, disable=command.as_json or not console.is_terminal
    ) as progress:
        bar = progress.add_task("evaluating", total=len(puzzles))
        result = evaluate(
            model, task, puzzles, Stopping(budget, command.halting, config.halting.q_target),
            batch_size=command.batch_size, loss_on=config.train.loss_on,
            progress=lambda done: progress.update(bar, completed=done),
        )  # fmt: skip
    seconds = time.perf_counter() - started

    about = {
        "checkpoint": str(path), "update": update, "weights": command.weights or config.evaluated_weights,
        "puzzles": _origin(command),
        "halting": command.halting, "budget": budget, "puzzles_per_s": len(puzzles) / seconds,
    }  # fmt: skip
    if command.as_json:
        print(json.dumps(as_dictionary(result, task, about), indent=1))
    else:
        print_table(result, task, about, seconds)
    return 0


def _for_folder(command: EvaluateCommand, opened: Opened) -> EvaluateCommand:
    """The flags as they are meant for a folder without its run: which weights and puzzles there are. Raises
    UserError."""
    about, data = opened.about, opened.config.data
    if command.weights not in (None, about.weights):
        raise UserError(f"{command.checkpoint} holds {about.weights} weights only: leave out --weights")
    if _own_held_out(command) and about.converted:
        return command.model_copy(update={"seed": _seed(command), "weights": about.weights})
    if _own_held_out(command) and (data.path is not None or data.eval_path is not None):
        raise UserError(
            f"{command.checkpoint} does not hold the puzzles of its run ({data.eval_path or data.path}): give "
            "--data FILE, or --level NAME to generate some"
        )
    return command.model_copy(update={"weights": about.weights})


def find_checkpoint(path: Path) -> Path:
    """The checkpoint meant by a run folder or a checkpoint's folder. Raises UserError."""
    if (path / "state.json").exists():
        reason = checkpoint.damage(path)
        if reason is not None:
            raise UserError(f"checkpoint {path} is damaged: {reason}; choose another in {path.parent}")
        return path
    root = path / "checkpoints"
    best = checkpoint.best(root)
    if best is not None:
        reason = checkpoint.damage(best)
        if reason is None:
            return best
        print(f"the best checkpoint, {best.name}, is damaged ({reason}): taking the last", file=sys.stderr)
    latest = checkpoint.latest_sound(root, lambda line: print(line, file=sys.stderr))
    if latest is None:
        raise UserError(
            f"{path} holds no sound checkpoint: give a run folder such as runs/NAME, or train first"
        )
    return latest


def choose_puzzles(command: EvaluateCommand, config: Config, task: PuzzleTask) -> PuzzleBatch:
    """The puzzles to judge on, none of which is in the training run's file. Raises UserError."""
    if command.data is not None and command.level is not None:
        raise UserError("give --data FILE or --level NAME, not both: a file's puzzles are reported by level")
    if command.data is not None:
        try:
            found = open_puzzles(task, Path(command.data))
            rows = np.arange(len(found))
            if command.puzzles is not None and len(found) > command.puzzles:
                rng = np.random.default_rng(_seed(command))
                rows = np.sort(rng.choice(len(found), command.puzzles, replace=False))
            puzzles = found.take(rows)
        except DataError as error:
            raise UserError(str(error)) from None
    else:
        if _own_held_out(command):
            with slow_work() as progress:
                data = build_data(config, progress=progress)
            data.source.close()
            return data.held_out
        levels = [command.level] if command.level else trained_levels(config)
        levels = [name for name in levels if name != ALL_LEVELS] or list(task.levels)
        with slow_work() as progress:
            prepare(task, levels, progress)
        puzzles = generate_held_out(task, levels, command.puzzles or 1000, _seed(command))
    return _without_training_file(puzzles, config, task)


def _own_held_out(command: EvaluateCommand) -> bool:
    return (command.data, command.level, command.puzzles, command.seed) == (None, None, None, None)


def _seed(command: EvaluateCommand) -> int:
    return 1 if command.seed is None else command.seed


def _origin(command: EvaluateCommand) -> str:
    if command.data is not None:
        return command.data
    return "held out by the run" if _own_held_out(command) else f"generated, seed {_seed(command)}"


def _without_training_file(puzzles: PuzzleBatch, config: Config, task: PuzzleTask) -> PuzzleBatch:
    """Leave out puzzles that the run was trained on, be it under a symmetry; refuse if none are left."""
    origin = config.data.path or "that its task keeps"
    try:
        training = training_puzzles(task, config)
        if training is None:
            return puzzles
        _, shared = twins(task, training, Keys.of(task, training).family, puzzles)
    except DataError as error:
        Console(stderr=True).print(
            f"warning: {error}: whether the run was trained on these puzzles is not known", soft_wrap=True
        )
        return puzzles
    if shared.all():
        raise UserError(
            f"all of these puzzles, or symmetric ones, are in the run's training set {origin}: give others"
        )
    if shared.any():
        Console(stderr=True).print(
            f"left out {shared.sum()} puzzles that are, be it under a symmetry, in the training set"
        )
    return puzzles.take(~shared)


def load_model(path: Path, config: Config, task: PuzzleTask, command: EvaluateCommand) -> RecurrentModel:
    """The checkpoint's network on the chosen device."""
    identifiers = checkpoint.identifiers(path)
    model = build_model(config.model, task.vocab_size, task.coordinates(), identifiers)
    if command.weights == "ema" and not (path / checkpoint.AVERAGED).exists():
        raise UserError(f"{path} holds no averaged weights (optim.ema_decay was 0): leave out --weights ema")
    checkpoint.load_weights(path, model, command.weights or config.evaluated_weights)
    return model.to(choose_device(command.device))


def _refuse_strangers(puzzles: PuzzleBatch, model: RecurrentModel) -> None:
    """Refuse puzzles with an identity that a model with puzzle embeddings has no row for."""
    table = getattr(model, "puzzle_emb", None)
    largest = int(puzzles.identifier.max(initial=0))
    if table is not None and largest >= len(table.weight):
        raise UserError(
            f"these puzzles have identifiers up to {largest}, the model knows 0 to {len(table.weight) - 1}: judge it "
            "on puzzles of its own data set"
        )


def as_dictionary(result: Evaluation, task: PuzzleTask, about: dict[str, Any]) -> dict[str, Any]:
    sums = result.sums(len(task.levels))
    levels = {name: asdict(summary) for name, summary in summaries(sums, task).items()}
    return {**about, "all": asdict(Summary.of(sums.sum(axis=0), task.measures)), "levels": levels}


def print_table(result: Evaluation, task: PuzzleTask, about: dict[str, Any], seconds: float) -> None:
    sums = result.sums(len(task.levels))
    rows = summaries(sums, task)
    if len(rows) > 1:
        rows["all"] = Summary.of(sums.sum(axis=0), task.measures)
    console = Console(highlight=False)
    console.print(
        f"{about['checkpoint']} (update {about['update']}, {about['weights']} weights), {about['halting']} halting, "
        f"at most {about['budget']} segments, puzzles: {about['puzzles']}", soft_wrap=True,
    )  # fmt: skip
    names = ("puzzles", "exact", "solved", "cells", "segments", *task.measures)
    table = Table(
        Column("level", no_wrap=True),
        *[Column(name.replace("_", " "), justify="right") for name in names],
        padding=(0, 0 if task.measures else 1),  # 80 columns have to do
    )
    for name, row in rows.items():
        table.add_row(
            name, str(row.puzzles), f"{row.exact_accuracy:.1%}", f"{row.solved:.1%}", f"{row.cell_accuracy:.2%}",
            f"{row.segments_mean:.2f}", *[_measured(row, name) for name in task.measures],
        )  # fmt: skip
    console.print(table)
    console.print("exact after segment 1, 2, 3, ...")
    for name, row in rows.items():
        curve = " ".join(f"{accuracy:6.1%}" for accuracy in row.accuracy_after_segment)
        console.print(f"  {name:<10} {curve}", soft_wrap=True)
    console.print(f"{about['puzzles_per_s']:.0f} puzzles/s, {duration(seconds)}")


def _measured(row: Summary, name: str) -> str:
    return f"{row.measures[name]:.3g}" if name in row.measures else "-"
