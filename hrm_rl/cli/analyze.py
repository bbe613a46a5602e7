"""`hrm-rl analyze`: a report on how a trained model thinks, or on how several runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from envs import PuzzleBatch
from hrm_rl.agents.search.search import Search
from hrm_rl.analysis import report
from hrm_rl.analysis.study import Study, conduct
from hrm_rl.cli.flags.common import CheckpointFlag, DeviceFlag, ThreadsFlag, WeightsFlag, parse
from hrm_rl.cli.flags.searching import SearchFlags, in_words
from hrm_rl.config import PathText, Positive
from hrm_rl.evaluation.puzzles import (
    PuzzleChoice,
    choose_puzzles,
    for_folder,
    refuse_strangers,
    warn_of_moved,
)
from hrm_rl.evaluation.search import evaluate_search
from hrm_rl.runs.loading import LoadedModel, described, load_model, refuse_other_tasks
from hrm_rl.utils.console import progress_bar, shown_path, typed_command
from hrm_rl.utils.devices import choose_device, choose_threads
from hrm_rl.utils.errors import UserError

BEYOND = 2
"""Budget of the analysis, as a multiple of that of training."""
MOST_PUZZLES = 1000
"""Thought about if --puzzles does not say how many."""


class AnalyzeCommand(PuzzleChoice):
    """Report on how a trained model thinks."""

    checkpoint: CheckpointFlag = ""
    compare: tuple[PathText, ...] = ()
    """Several of them, to overlay; all think about the puzzles of the first."""
    out: PathText = ""
    """Folder for report.html and the PNG and CSV file of each figure. Required."""
    max_segments: Positive | None = None
    """Segments to watch each puzzle for; twice the budget of training if not given. With --search: the
    budget of the search, and each puzzle is watched for twice the budget of training."""
    weights: WeightsFlag = None
    batch_size: Positive = 128
    """Puzzles thought about at once."""
    device: DeviceFlag = "auto"
    threads: ThreadsFlag = None
    searching: Annotated[SearchFlags, tyro.conf.OmitArgPrefixes] = SearchFlags()


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(AnalyzeCommand(), args, "analyze")
    folders = _folders(command)
    command.searching.refuse_contradictions({})
    choose_threads(command.threads)
    models = [load_model(folder, command.weights) for folder in folders]
    refuse_other_tasks(models)
    if models[0].task.next_token:
        raise UserError(
            "analyze reports on puzzles, and this is a model of text: see where it thinks with "
            f"{typed_command('generate')} --model {models[0].name} --show-thinking, and what that gives with "
            f"{typed_command('evaluate')} --model {models[0].name} --sweep"
        )
    searches = [
        command.searching.search_of(m, command.max_segments, command.chosen_seed)
        for m in models
        if command.searching.search
    ]
    command = for_folder(command, models[0])
    puzzles = _puzzles(command, models)
    budget = BEYOND * max(m.config.halting.halt_max_steps for m in models)
    if command.max_segments and not command.searching.search:
        budget = command.max_segments

    studies: list[Study] = []
    for name, loaded in zip(_names(folders, models), models, strict=True):
        loaded.on(choose_device(command.device))
        with progress_bar(f"thinking, {name}", len(puzzles)) as progress:
            studies.append(
                conduct(
                    name,
                    loaded.solver,
                    loaded.config,
                    puzzles,
                    budget,
                    loaded.run,
                    command.batch_size,
                    progress=progress,
                )
            )
    if command.searching.search:
        studies = [_searched(command, m, s, how) for m, s, how in zip(models, studies, searches, strict=True)]
    facts = _facts(command, models, studies, budget)
    try:
        with progress_bar("drawing", report.count(studies)) as progress:
            written = report.write_report(Path(command.out), studies, _title(studies), facts, progress)
    except OSError as error:
        raise UserError(f"cannot write to {command.out}: {error.strerror or error}") from None
    print(f"wrote {shown_path(written)}, with a PNG and a CSV file of each figure")
    return 0


def _searched(command: AnalyzeCommand, loaded: LoadedModel, study: Study, how: Search) -> Study:
    """The study with what search makes of its puzzles."""
    with progress_bar(f"searching, {study.name}", len(study.puzzles)) as progress:
        found = evaluate_search(loaded.solver, study.puzzles, how, command.batch_size, progress)
    return replace(study, search=found)


def _folders(command: AnalyzeCommand) -> list[str]:
    """The models asked for. Raises UserError."""
    if bool(command.checkpoint) == bool(command.compare):
        wrong = "not both" if command.compare else "one of them"
        raise UserError(
            f"give --checkpoint runs/NAME or --compare runs/A runs/B, {wrong}: "
            f"{typed_command('analyze')} --checkpoint runs/NAME --out DIR"
        )
    if len(command.compare) == 1:
        raise UserError("--compare takes at least two runs; for one: --checkpoint")
    if not command.out:
        raise UserError(
            f"say where the report goes: {typed_command('analyze')} --checkpoint runs/NAME --out DIR"
        )
    if Path(command.out).is_file():
        raise UserError(f"--out {command.out} is a file; it must be a folder")
    return list(command.compare) or [command.checkpoint]


def _puzzles(command: AnalyzeCommand, models: list[LoadedModel]) -> PuzzleBatch:
    """The puzzles to think about, evenly chosen of too many. Raises UserError."""
    first = models[0]
    found = choose_puzzles(command, first.config, first.task)
    if command.puzzles is None and len(found) > MOST_PUZZLES:
        found = found.take(np.linspace(0, len(found) - 1, MOST_PUZZLES).astype(np.int64))
    for loaded in models[1:]:
        warn_of_moved(loaded, own_held_out=False)
    for loaded in models:
        refuse_strangers(found, loaded)
    return found


def _names(folders: list[str], models: list[LoadedModel]) -> list[str]:
    """Short names, all different."""
    names = [(m.run.path if m.run else m.path).resolve().name for m in models]
    return names if len(set(names)) == len(names) else list(folders)


def _title(studies: list[Study]) -> str:
    return f"How {studies[0].name} thinks" if len(studies) == 1 else " / ".join(s.name for s in studies)


def _facts(
    command: AnalyzeCommand, models: list[LoadedModel], studies: list[Study], budget: int
) -> list[tuple[str, str]]:
    """What stands at the top of the report."""
    levels = ", ".join(f"{len(rows)} {name}" for name, rows in studies[0].level_rows().items())
    facts = [
        ("task", described(models[0].task)),
        ("puzzles", f"{len(studies[0].puzzles):,} ({levels}), {command.origin}"),
        ("watched", f"{budget} segments"),
    ]
    for loaded, study in zip(models, studies, strict=True):
        config, trained = loaded.config.model, loaded.config.halting.halt_max_steps
        facts += [
            (
                f"model {study.name}",
                f"{config.name}, {config.mixer}, hidden {config.hidden_size}, {config.h_cycles} x "
                f"{config.l_cycles} cycles, budget {trained}; {loaded.place} (update {loaded.update}, "
                f"{loaded.weights} weights)",
            ),
            (
                "result",
                f"{study.solved.mean():.1%} solved after {study.halted.mean():.2f} segments on average",
            ),
        ]
        if study.search is not None:
            solved, spent = study.search.result.solved.mean(), study.search.result.segments.mean()
            told = f"{solved:.1%} solved after {spent:.2f} segments on average"
            facts.append((in_words(study.search.how), told))
    return facts
