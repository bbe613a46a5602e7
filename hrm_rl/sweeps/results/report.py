"""What a sweep found, out of its folder alone: a table, results.csv, best.yaml, pictures, TensorBoard's
HPARAMS.

All of it can be rebuilt at any time, while the sweep runs too; each file is replaced as a whole.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hrm_rl.config import Config, load_config, validate
from hrm_rl.sweeps.results.hparams import write_hparams
from hrm_rl.sweeps.results.importance import key
from hrm_rl.sweeps.results.reading import SweepResults, Trial, read_sweep
from hrm_rl.sweeps.results.records import STATUSES, UNKNOWN
from hrm_rl.utils.console import duration, is_share, shown, shown_path, typed, typed_command, typed_path
from hrm_rl.utils.errors import UserError, one_line, refused_by_disk
from hrm_rl.utils.files import write_atomically

WIDTH = 80
"""Columns of a terminal that the tables keep to."""
LIVE_ROWS = 12
FINAL_ROWS = 30
NARROW = 8
"""Letters in a line of a column's header."""
INDENT = " " * 11
COLUMNS = ("id", "status", "score", "score_at_update", "cost", "updates", "seconds", "attempts", "error")
"""Of results.csv, before the swept settings."""


def write_report(path: Path) -> str:
    """Write all of the above for the sweep in folder `path`. Returns the final table and what was written
    where, as text of at most WIDTH columns (longer only where a path or an error is). Raises UserError if
    `path` is no sweep or the disk refuses."""
    sweep = read_sweep(path)
    try:
        return _write(sweep)
    except OSError as error:
        refused = refused_by_disk(error)
        if refused is None:
            raise UserError(f"cannot write the report into {path}: {error.strerror or error}") from None
        raise refused from None


def _write(sweep: SweepResults) -> str:
    from hrm_rl.sweeps.results.plots import draw_all

    folder = sweep.folder
    write_atomically(folder.results, results_csv(sweep))
    best = write_best(sweep)
    pictures, missing = draw_all(sweep, folder.pictures)
    names = ", ".join(path.name for path in pictures)
    write_hparams(sweep, folder.tensorboard)
    screen = io.StringIO()
    console = Console(file=screen, width=WIDTH, highlight=False, color_system=None, emoji=False)
    console.print(final_table(sweep))
    table = "\n".join(line.rstrip() for line in screen.getvalue().splitlines())
    lines = [
        table,
        "",
        *_times(sweep),
        f"results    {shown_path(folder.results)}",
        f"best       {best}",
        *([f"pictures   {shown_path(folder.pictures)}: {names}"] if names else []),
        f"watch      {typed('tensorboard')} --logdir {typed_path(folder.path)}  (tab HPARAMS)",
        *failures(sweep),
        *missing,
        *sweep.notes,
    ]
    return "\n".join(lines)


def results_csv(sweep: SweepResults) -> str:
    """The trials, best first: COLUMNS, then the settings with which the score was reached, lists as JSON.
    Empty where there is nothing, such as a conditional setting that a trial does not have."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *sweep.parameters])
    for trial in sweep.ranked:
        best, params = trial.best, trial.scored_params
        measured = (best.value, best.update, best.cost) if best else (None, None, None)
        values = [params.get(name) for name in sweep.parameters]
        writer.writerow(
            [
                trial.id,
                trial.status,
                *measured,
                trial.updates,
                round(trial.seconds, 1),
                trial.attempts,
                trial.error and one_line(trial.error),
                *(key(value) if isinstance(value, list | dict | bool) else value for value in values),
            ]
        )
    return text.getvalue()


def best_config(sweep: SweepResults, trial: Trial) -> Config:
    """The whole configuration of a trial: its config.yaml, the settings that its score was reached with, and
    the sweep's budget. Raises UserError if config.yaml is missing or does not fit this version."""
    config = load_config(sweep.folder.trial(trial.id).config, Config())
    values = config.model_dump(mode="json")
    params = dict(trial.scored_params)
    if sweep.max_updates is not None:
        params.setdefault("train.max_updates", sweep.max_updates)
    for name, value in params.items():
        section, dot, setting = name.partition(".")
        target = values.get(section) if dot else values
        if not isinstance(target, dict):
            raise UserError(f"{trial.id}: unknown setting '{name}'")
        target[setting if dot else section] = value
    return validate(values, trial.id)


def write_best(sweep: SweepResults) -> str:
    """Write best.yaml. Returns what to say about it; an old file that cannot be renewed is deleted."""
    path, trial = sweep.folder.best, sweep.best
    try:
        if trial is None or trial.best is None:
            raise UserError(f"no trial has been evaluated with {sweep.metric} yet")
        config = best_config(sweep, trial)
    except UserError as error:
        path.unlink(missing_ok=True)
        return f"no best.yaml: {error}"
    about = [
        f"Trial {trial.id} of the sweep {sweep.folder.name} ({sweep.file}): {sweep.metric} "
        f"{amount(sweep, trial.best.value)} at update {trial.best.update}."
    ]
    if len(trial.history) > 1:
        about.append(
            "Its settings changed while it trained, and it may have resumed from other trials' checkpoints:"
        )
        about.append(
            "these are the settings at that update, and a run that has them throughout is another run."
        )
    text = "".join(f"# {line}\n" for line in about) + yaml.safe_dump(
        config.model_dump(mode="json"), sort_keys=False
    )
    write_atomically(path, text)
    settings = ", ".join(f"{name} {shown(value)}" for name, value in trial.scored_params.items())
    wrapped = textwrap.fill(f"{trial.id}: {settings}", WIDTH - len(INDENT)).replace("\n", f"\n{INDENT}")
    return f"{wrapped}\n{INDENT}{typed_command('train')} --config {typed_path(path)}"


def final_table(sweep: SweepResults) -> Table:
    """The best FINAL_ROWS trials, best first, members of the Pareto front marked."""
    more = len(sweep.trials) - FINAL_ROWS
    table = _table(
        sweep,
        sweep.ranked[:FINAL_ROWS],
        f"*  Pareto front of {escape(sweep.metric)} and {escape(sweep.cost)}",
        *([f"{more} more trials in results.csv"] if more > 0 else []),
    )
    table.title = f"{escape(sweep.folder.name)}: {_statuses(sweep)}"
    return table


def live_table(sweep: SweepResults, time_left_s: float | None) -> Table:
    """While the sweep runs: running trials are never left out, the best fill the rows up to LIVE_ROWS.

    time_left_s: estimate in seconds; None while there is none."""
    ranked = sweep.ranked
    running = {trial.id for trial in ranked if trial.status == "running"}
    room = max(0, LIVE_ROWS - len(running))
    chosen = {trial.id for trial in [t for t in ranked if t.id not in running][:room]} | running
    hidden = len(sweep.trials) - len(chosen)
    more = [f"{hidden} more trials"] if hidden else []
    table = _table(sweep, [trial for trial in ranked if trial.id in chosen], "*  Pareto front", *more)
    left = "time left not known yet" if time_left_s is None else f"{duration(max(0.0, time_left_s))} left"
    table.title = f"{escape(sweep.folder.name)}: {_statuses(sweep)}, {left}"
    return table


def _times(sweep: SweepResults) -> Iterator[str]:
    total = sum(trial.seconds for trial in sweep.trials)
    if total:
        share = sum(trial.train_seconds for trial in sweep.trials) / total
        yield f"time       {duration(total)} in trials, {share:.0%} of it in updates"


def failures(sweep: SweepResults) -> Iterator[str]:
    """A line for each failed trial."""
    for trial in sweep.trials:
        if trial.status == "failed":
            error = one_line(trial.error or "no error was recorded", 300)
            attempts = f" after {trial.attempts} attempts" if trial.attempts > 1 else ""
            yield f"{trial.id} failed{attempts}: {error}"


def amount(sweep: SweepResults, value: float) -> str:
    """A value of the metric."""
    return f"{value:.1%}" if is_share(sweep.metric) else f"{value:.4g}"


def _statuses(sweep: SweepResults) -> str:
    counts = Counter(trial.status for trial in sweep.trials)
    parts = [f"{counts[status]} {status}" for status in (*STATUSES, UNKNOWN) if counts[status]]
    to_come = sweep.num_samples - len(sweep.trials)
    if to_come > 0:
        parts.append(f"{to_come} to come")
    return ", ".join(parts) or "no trials"


def _table(sweep: SweepResults, trials: Sequence[Trial], *about: str) -> Table:
    """A row a trial and a line a row: settings that WIDTH has no room for are left to results.csv, and
    the caption says so before `about`."""
    front = {trial.id for trial in sweep.front}
    names = dict(zip(sweep.parameters, _short_names(sweep.parameters), strict=True))
    columns = [
        ["trial", *(trial.id + ("*" if trial.id in front else "") for trial in trials)],
        ["status", *(trial.status for trial in trials)],
        ["update", *(f"{trial.updates:,}" for trial in trials)],
        [_header(sweep.metric.rpartition("/")[2]), *(_measured(sweep, trial)[0] for trial in trials)],
        [_header(sweep.cost.rpartition("/")[2].removesuffix("_mean")),
         *(_measured(sweep, trial)[1] for trial in trials)],
    ]  # fmt: skip
    left_out = []
    for name in sweep.parameters:
        column = [_header(names[name]), *(_setting(trial.scored_params, name) for trial in trials)]
        if sum(_width(c) + 1 for c in [*columns, column]) <= WIDTH:
            columns.append(column)
        else:
            left_out.append(names[name])
    caption = [*([f"in results.csv: {', '.join(left_out)}"] if left_out else []), *about]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
        header_style="bold",
        title_justify="left",
        title_style="bold",
        caption="\n".join(caption),
        caption_justify="left",
        caption_style="",
    )
    for i, column in enumerate(columns):
        table.add_column(column[0], justify="left" if i < 2 else "right", no_wrap=True)
    for trial, row in zip(trials, zip(*(column[1:] for column in columns), strict=True), strict=True):
        table.add_row(*(escape(text) for text in row), style="dim" if trial.status == "failed" else None)
    return table


def _measured(sweep: SweepResults, trial: Trial) -> tuple[str, str]:
    """Score and cost."""
    if trial.best is None:
        return "-", "-"
    cost = trial.best.cost
    return amount(sweep, trial.best.value), "-" if cost is None else f"{cost:.2f}"


def _setting(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if name not in params:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else shown(value)


def _short_names(names: Sequence[str]) -> list[str]:
    """`lr` for `optim.lr`, unless another section has a setting of that name."""
    counts = Counter(name.rpartition(".")[2] for name in names)
    return [last if counts[last := name.rpartition(".")[2]] == 1 else name for name in names]


def _header(name: str) -> str:
    """A name over several lines of at most NARROW letters."""
    lines: list[str] = []
    for word in name.replace("_", "_\n").replace(".", ".\n").split("\n"):
        while len(word) > NARROW + 1:
            lines.append(word[: NARROW - 1] + "-")
            word = word[NARROW - 1 :]
        if lines and len(lines[-1]) + len(word) <= NARROW and not lines[-1].endswith("-"):
            lines[-1] += word
        else:
            lines.append(word)
    return "\n".join(lines)


def _width(column: Sequence[str]) -> int:
    return max(cell_len(line) for text in column for line in text.split("\n"))
