"""`hrm-rl evaluate`: models, some puzzles, and a table or JSON of how well they do and what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from pydantic import Field
from rich.console import Console

from envs import PuzzleBatch
from envs.arc.task import ArcTask
from hrm_rl.agents.act.stopping import WITH_THRESHOLD, Stopping
from hrm_rl.agents.search.search import Search
from hrm_rl.agents.text.reading import counted
from hrm_rl.cli.flags.arc import ArcFlags
from hrm_rl.cli.flags.common import ALSO_MODEL, CHECKPOINT, DeviceFlag, ThreadsFlag, WeightsFlag, parse
from hrm_rl.cli.flags.searching import SearchFlags, about_search
from hrm_rl.cli.flags.stopping import AtLeastTwo, StoppingFlags, read_segments, stopping_in_words
from hrm_rl.cli.flags.writing import refuse_file
from hrm_rl.config import PathText, Positive
from hrm_rl.evaluation import report as report_module
from hrm_rl.evaluation.arc.passes import passes_of
from hrm_rl.evaluation.depth import by_depth, depths
from hrm_rl.evaluation.output.predictions import write_predictions
from hrm_rl.evaluation.puzzles import (
    PuzzleChoice,
    choose_puzzles,
    for_folder,
    refuse_strangers,
    warn_of_moved,
    without_training_puzzles,
)
from hrm_rl.evaluation.recording import record
from hrm_rl.evaluation.report import Report, as_dictionary
from hrm_rl.evaluation.rollouts import RolloutChoice, roll_out
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.evaluation.search import evaluate_search
from hrm_rl.evaluation.stream import StreamedReport, open_stream, streams
from hrm_rl.evaluation.summaries import split
from hrm_rl.evaluation.tradeoff import Point, curve
from hrm_rl.evaluation.votes import Asker, MultiPass, offered, retry, vote
from hrm_rl.runs.loading import LoadedModel, load_model, refuse_other_tasks
from hrm_rl.utils.console import progress_bar, typed_command
from hrm_rl.utils.devices import choose_device, choose_threads
from hrm_rl.utils.errors import UserError

FORMATS = (".csv", ".npz")


class EvaluateCommand(StoppingFlags, RolloutChoice, PuzzleChoice):
    """Evaluate trained models on puzzles."""

    checkpoint: Annotated[
        tuple[PathText, ...],
        Field(description=f"{CHECKPOINT} Several are compared on the same puzzles."),
        ALSO_MODEL,
    ] = ()
    vote: AtLeastTwo | None = None
    """Besides, ask about this many forms of each puzzle, itself and random symmetries,
    and take the answer that most give. ARC: itself and augmentations with their identifiers; 8, if the model
    knows so many."""
    retry: Positive | None = None
    """Besides, ask again, up to so many times, under other symmetries, where an answer
    breaks the task's rule."""
    by: str = "level"
    """What the table splits puzzles by: level, or a trait of the task (Sudoku: clues,
    guesses; maze: length)."""
    sweep: bool = False
    """Print accuracy and cost for many thresholds and budgets instead, from one run
    with the largest budget."""
    thresholds: tuple[float, ...] = ()
    """With --sweep: thresholds of adaptive halting (-4 to 0.25; -2 to 4 for a model
    with q_target halt_only)."""
    budgets: tuple[str, ...] = ("1x", "2x", "4x")
    """With --sweep: budgets, as numbers or multiples of the training run's."""
    png: PathText | None = None
    """File to draw solved against mean segments to: of depth, --vote, --rollouts and --retry, or of the rules
    of --sweep."""
    predictions: PathText | None = None
    """File to write every answer to: NAME.csv or NAME.npz."""
    weights: WeightsFlag = None
    batch_size: Positive = 256
    """Slots: puzzles thought about at once."""
    device: DeviceFlag = "auto"
    threads: ThreadsFlag = None
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print one JSON object, or with several models a list of them, and nothing else."""
    searching: Annotated[SearchFlags, tyro.conf.OmitArgPrefixes] = SearchFlags()
    arc: Annotated[ArcFlags, tyro.conf.OmitArgPrefixes] = ArcFlags()

    @property
    def own_held_out(self) -> bool:
        return super().own_held_out and not self.arc.test_grids

    @property
    def origin(self) -> str:
        return "the published test grids" if self.arc.test_grids else super().origin


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(EvaluateCommand(), args, "evaluate")
    if not command.checkpoint:
        raise UserError(f"say which model: {typed_command('evaluate')} --model sudoku9, or --model runs/NAME")
    _refuse_contradictions(command)
    choose_threads(command.threads)
    models = [load_model(name, command.weights) for name in command.checkpoint]
    refuse_other_tasks(models)
    task = models[0].task
    command.arc.refuse_for(models[0], command.data, command.vote)
    rules = [command.stopping_of(model) for model in models]
    for model in models:
        command.rollouts_of(model, command.chosen_seed)  # refuses
    searches = [_search(command, model) for model in models]
    command = for_folder(command, models[0])
    streamed = _evaluate_stream(command, models[0], rules[0])
    if streamed is not None:
        if command.as_json:
            print(json.dumps(as_dictionary(streamed), indent=1))
        else:
            report_module.print_table(streamed, Console(highlight=False))
        return 0
    puzzles = command.arc.puzzles_of(models[0], None if command.puzzles else command.data)
    if puzzles is None:
        puzzles = choose_puzzles(command, models[0].config, task)
    for model in models[1:]:
        _warn_of_shared_streams(command, models[0], model)
        warn_of_moved(model, own_held_out=False)
        puzzles = without_training_puzzles(puzzles, model.config, model.task)
    split(command.by, task, puzzles)  # refuses
    judge = "--retry" if command.retry else "--choose rule" if command.choose == "rule" else None
    if judge and task.label_decides:
        raise UserError(f"{judge} needs a rule that tells right answers; in {task.name} labels do")
    if command.rollouts and task.next_token:
        raise UserError("--rollouts compares answers to puzzles; a text's tokens are each answered once")
    if command.retry or (command.vote and not isinstance(task, ArcTask)):
        offered(task, puzzles.inputs[:1], np.random.default_rng(0))  # refuses
    for model in models:
        refuse_strangers(puzzles, model)
    output = Console(highlight=False)
    if command.sweep:
        _sweep(command, models, rules, puzzles, output)
        return 0
    reports = [
        _evaluate_search(command, model, how, puzzles) if how else _evaluate(command, model, rule, puzzles)
        for model, rule, how in zip(models, rules, searches, strict=True)
    ]
    if command.predictions:
        write_predictions(Path(command.predictions), counted(task, puzzles), reports[0])
    if reports[0].arc is not None:
        facts = [report_module.headline(reports[0].about)]
        command.arc.write(reports[0].arc, models[0].name, facts, command.as_json)
    _draw(command, reports)
    _show(command, reports, output)
    return 0


def _refuse_contradictions(command: EvaluateCommand) -> None:
    """Flags that say nothing together. Raises UserError."""
    command.searching.refuse_contradictions(
        {
            "--halting": command.halting != "adaptive",
            "--halt-threshold": command.halt_threshold is not None,
            "--min-segments": command.min_segments > 1,
            "--patience": command.patience is not None,
            "--vote": command.vote is not None,
            "--retry": command.retry is not None,
            "--rollouts": command.rollouts is not None,
            "--sweep": command.sweep,
        }
    )
    command.refuse_strange_rules()
    command.refuse_stray_flags()
    if command.sweep:
        given = {
            "--vote": command.vote, "--retry": command.retry, "--rollouts": command.rollouts,
            "--predictions": command.predictions,
            "--halt-threshold": command.halt_threshold, "--max-segments": command.max_segments,
        }  # fmt: skip
        for flag, value in given.items():
            if value is not None:
                raise UserError(f"--sweep tries many rules: leave out {flag}")
        if not command.budgets:
            raise UserError("--sweep needs at least one budget")
    refuse_file("--predictions", command.predictions, FORMATS)
    refuse_file("--png", command.png, (".png",))
    if command.predictions is not None and len(command.checkpoint) > 1:
        raise UserError("--predictions writes those of one model: give one --checkpoint")
    several = len(command.checkpoint) > 1
    command.arc.refuse_contradictions(
        {"--search": command.searching.search, "--sweep": command.sweep, "several models": several},
        {"--data": command.data is not None, "--level": command.level is not None}
        | {"--puzzles": command.puzzles is not None},
    )


def _search(command: EvaluateCommand, model: LoadedModel) -> Search | None:
    """How to search with one model, if that is asked for. Raises UserError."""
    if not command.searching.search:
        return None
    budget = command.budget_of(Search.of(model.config).budget)
    return command.searching.search_of(model, budget, command.chosen_seed)


def _warn_of_shared_streams(command: EvaluateCommand, first: LoadedModel, other: LoadedModel) -> None:
    """Say so if a model may have been trained on puzzles that the first model's run held out."""
    same = all(getattr(first.config, part) == getattr(other.config, part) for part in ("env", "data", "seed"))
    if command.own_held_out and other.config.data.path is None and not same:
        Console(stderr=True).print(
            f"warning: {other.name} made its training puzzles without knowing those that {first.name} held "
            "out: some may be among them (--seed N makes new ones)",
            soft_wrap=True,
        )


def _about(command: EvaluateCommand, model: LoadedModel, rule: Stopping | None = None) -> dict[str, Any]:
    about: dict[str, Any] = {"checkpoint": model.place, "update": model.update, "weights": model.weights}
    about["puzzles"] = command.origin
    if rule is not None:
        about |= {"halting": rule.halting, "rule": stopping_in_words(rule), "budget": rule.budget}
        about["threshold"] = rule.threshold if rule.halting in WITH_THRESHOLD else None
    return about


def _evaluate_stream(command: EvaluateCommand, model: LoadedModel, rule: Stopping) -> StreamedReport | None:
    """The single pass over a large file, batch by batch; None where there are few puzzles, or where what is
    asked for needs all of them at once."""
    named = ("vote", "retry", "rollouts", "predictions", "png", "puzzles", "level")
    together = (
        command.sweep or command.searching.search or any(getattr(command, n) is not None for n in named)
    )
    if command.data is None or len(command.checkpoint) > 1 or together or not streams(command.by, model.task):
        return None
    if isinstance(model.task, ArcTask):
        return None
    found = open_stream(command.data, model.task)
    if found is None:
        return None
    model.on(choose_device(command.device))
    with progress_bar("evaluating", found.count, command.as_json) as progress:
        about = _about(command, model, rule)
        return found.evaluate(
            model, rule, command.by, command.batch_size, about, command.chosen_seed, progress
        )


def _evaluate(command: EvaluateCommand, model: LoadedModel, rule: Stopping, puzzles: PuzzleBatch) -> Report:
    """The single pass, then votes and retries."""
    model.on(choose_device(command.device))
    solver, size, seed, hidden = model.solver, command.batch_size, command.chosen_seed, command.as_json
    trained = model.config.halting.halt_max_steps
    started = time.perf_counter()
    with progress_bar("evaluating", len(puzzles), hidden) as progress:
        looked_at = depths(rule.budget, trained)
        result = evaluate(solver, puzzles, rule, batch_size=size, progress=progress, depths=looked_at)
    seconds = time.perf_counter() - started
    extra: dict[str, MultiPass] = {}
    arc = command.arc.judge(model, rule, size, puzzles, command.data, command.vote, seed, hidden)
    if arc is not None:
        extra |= passes_of(arc, puzzles, result)
    elif command.vote:
        with progress_bar("asking for votes", len(puzzles) * (command.vote - 1), hidden) as progress:
            asker = Asker(solver, rule, size, progress)
            for forms, found in vote(asker, puzzles, result, command.vote, seed).items():
                extra[f"vote of {forms}"] = found
    rolled = command.rollouts_of(model, seed)
    if rolled:
        with progress_bar("rolling out", len(puzzles) * (rolled.count - 1), hidden) as progress:
            asker = Asker(solver, rule, size, progress)
            for count, found in roll_out(asker, puzzles, result, rolled).items():
                extra[f"{count} {rolled.kind}"] = found
    if command.retry:
        failed = int((~result.solved).sum())
        with progress_bar("asking again", command.retry * failed, hidden) as progress:
            asker = Asker(solver, rule, size, progress)
            for retries, found in enumerate(retry(asker, puzzles, result, command.retry, seed), start=1):
                extra["1 retry" if retries == 1 else f"{retries} retries"] = found
    about = _about(command, model, rule) | {"puzzles_per_s": len(result.level) / seconds}
    groups = split(command.by, model.task, counted(model.task, puzzles))
    rows = by_depth(result, trained, seed)
    return Report(about, result, model.task, groups, seconds, seed, extra, rows, trained, arc=arc)


def _evaluate_search(
    command: EvaluateCommand, model: LoadedModel, how: Search, puzzles: PuzzleBatch
) -> Report:
    """A search of each puzzle."""
    model.on(choose_device(command.device))
    started = time.perf_counter()
    with progress_bar("searching", len(puzzles), command.as_json) as progress:
        found = evaluate_search(model.solver, puzzles, how, command.batch_size, progress)
    seconds = time.perf_counter() - started
    about = _about(command, model) | about_search(how) | {"puzzles_per_s": len(puzzles) / seconds}
    groups, seed = split(command.by, model.task, puzzles), command.chosen_seed
    rows = by_depth(found.result, how.budget, seed)
    return Report(about, found.result, model.task, groups, seconds, seed, {}, rows, how.budget, found)


def _show(command: EvaluateCommand, reports: list[Report], output: Console) -> None:
    if command.as_json:
        found = [as_dictionary(report) for report in reports]
        for values, report in zip(found[1:], reports[1:], strict=True):
            more, interval = report_module.difference(report, reports[0])
            values["solved_minus_first"] = {"mean": more, "interval": interval}
        print(json.dumps(found[0] if len(found) == 1 else found, indent=1))
    elif len(reports) == 1:
        report_module.print_table(reports[0], output)
    else:
        report_module.print_comparison(reports, output)


def _draw(command: EvaluateCommand, found: Sequence[Report | list[Point]]) -> None:
    """Write --png, if it is asked for, of the report or the sweep of each model."""
    if command.png is None:
        return
    from hrm_rl.evaluation.output import cost_figure  # and matplotlib with it

    curves = [
        cost_figure.curves_of(one) if isinstance(one, Report) else cost_figure.curves_of_sweep(one)
        for one in found
    ]
    cost_figure.write_figure(Path(command.png), curves, f"puzzles: {command.origin}")


def _sweep(
    command: EvaluateCommand,
    models: list[LoadedModel],
    rules: list[Stopping],
    puzzles: PuzzleBatch,
    output: Console,
) -> None:
    """Print the curve of each model."""
    found, curves = [], []
    for model, rule in zip(models, rules, strict=True):
        trained = model.config.halting.halt_max_steps
        budgets = sorted({read_segments(text, "--budgets", trained) for text in command.budgets})
        model.on(choose_device(command.device))
        started = time.perf_counter()
        with progress_bar("evaluating", len(puzzles), command.as_json) as progress:
            recording = record(model.solver, puzzles, budgets[-1], command.batch_size, progress)
        asked = len(counted(model.task, puzzles))
        about = _about(command, model) | {"puzzles_per_s": asked / (time.perf_counter() - started)}
        thresholds = command.thresholds or model.solver.q_target.thresholds
        points: list[Point] = curve(recording, rule, budgets, sorted(set(thresholds)))
        found.append({**about, "curve": [asdict(point) for point in points]})
        curves.append(points)
        if not command.as_json:
            report_module.print_curve(points, about, asked, output)
    _draw(command, curves)
    if command.as_json:
        print(json.dumps(found[0] if len(found) == 1 else found, indent=1))
