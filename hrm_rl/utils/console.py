"""What a run says: one line at a time, short enough for a terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {s:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def count(number: float) -> str:
    """`950`, `12.3k`, `27.3M`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


def status_line(
    update: int, total: int, stage: str | None, scalars: Mapping[str, float], seconds_left: float
) -> str:
    """The line shown every few seconds. stage: `2/5`, or None without a curriculum."""
    parts = [f"update {update}/{total}"]
    if stage is not None:
        parts.append(f"stage {stage}")
    parts.append(f"loss {scalars['train/loss']:.3f}")
    if "train/exact_accuracy" in scalars:
        parts.append(f"exact {scalars['train/exact_accuracy']:.1%}")
        parts.append(f"segments {scalars['halting/segments_mean']:.1f}")
    parts.append(f"{count(scalars['perf/puzzles_per_s'])} puzzles/s")
    parts.append(f"{duration(seconds_left)} left")
    return "  ".join(parts)


def evaluation_line(update: int, metrics: Mapping[str, float], best: bool, seconds: float) -> str:
    """The line shown after an evaluation on held-out puzzles."""
    headline = held_out_result(
        metrics["eval/exact_accuracy"], metrics["eval/solved"], " (best so far)" if best else ""
    )
    bits = metrics.get("eval/bits_per_byte")
    beside = f"cells {metrics['eval/cell_accuracy']:.1%}" if bits is None else f"{bits:.3f} bits a byte"
    return (
        f"update {update}: held-out {headline}, {beside}, "
        f"{metrics['eval/segments_mean']:.1f} segments  [evaluated in {duration(seconds)}]"
    )


def held_out_result(exact: float, solved: float, remark: str) -> str:
    """The share of answers that equal the label and, where it is another one, the share
    that the rule accepts."""
    if exact == solved:
        return f"exact accuracy {exact:.1%}{remark}"
    return f"solved {solved:.1%}{remark}, exact accuracy {exact:.1%}"


def _bars(console: Console, hidden: bool = False) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
    )


@contextmanager
def progress_bar(what: str, total: int, hidden: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere; inside, the function that is told how much is done."""
    with _bars(Console(stderr=True), hidden) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda done: bars.update(bar, completed=done)


@contextmanager
def slow_work() -> Iterator[Callable[[str, int, int], None]]:
    """Inside, an `envs.ReportProgress` that shows a bar for each kind of slow work, or its first line off a
    terminal."""
    console = Console(stderr=True)
    with _bars(console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            first = what not in tasks
            if first:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)
            if not console.is_terminal and first and done < total:
                console.print(f"{what}: {done:,} of {total:,} ...", soft_wrap=True)

        yield progress


class Patience:
    """Says what is waited for whenever the user has read nothing new for SILENT_SECONDS; after MANY_SECONDS,
    less often."""

    SILENT_SECONDS, MANY_SECONDS = 2.5, 30.0

    def __init__(self, what: str, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._what, self._say, self._clock = what, say, clock
        self._began = self._spoke = clock()
        say(what)

    def spoke(self) -> None:
        """The user has just read something."""
        self._spoke = self._clock()

    def look(self) -> None:
        """Say it if it is time to. To be called now and then."""
        now = self._clock()
        waited = now - self._began
        if now - self._spoke >= (self.SILENT_SECONDS if waited < self.MANY_SECONDS else self.MANY_SECONDS):
            self._say(f"{self._what}: {duration(waited)} so far")
            self._spoke = now


def print_whole(console: Console, table: Table) -> None:
    """Print a table with every number whole. A terminal that is too narrow for it breaks its lines."""
    for column in table.columns:
        header = _plain(column.header).split()
        cells = [_plain(cell) for cell in column.cells]
        whole = column.no_wrap or column.justify == "right"
        words = cells if whole else [word for cell in cells for word in cell.split()]
        column.min_width = max((cell_len(word) for word in [*header, *words]), default=1)
    width = console.width
    wanted = max(width, sum(column.min_width or 0 for column in table.columns))

    def needed(width: int) -> int:
        return table.__rich_measure__(console, console.options.update(max_width=width)).maximum

    while needed(wanted) > wanted:
        wanted = needed(wanted)
    console.width = wanted
    try:
        console.print(table)
    finally:
        console.width = width


def _plain(cell: object) -> str:
    """The text of a cell or a header without its markup."""
    return Text.from_markup(cell).plain if isinstance(cell, str) else str(cell)


def shown_path(path: Path) -> str:
    """`path`, from here if it is below."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def typed_path(path: Path) -> str:
    """`path` as one would type it here."""
    return shlex.quote(shown_path(path))


MODULES = {"hrm-rl": "hrm_rl.cli.main", "tensorboard": "tensorboard.main", "ray": "ray.scripts.scripts"}
"""What `python -m` runs as these programs."""


def typed(program: str) -> str:
    """How to type a program that is installed with this Python: its bare name where the shell finds just
    that one, else its path, for example .venv/bin/tensorboard, or its module where there is no such
    program."""
    beside = Path(sys.executable).with_name(program)
    found = shutil.which(program)
    if beside.exists():
        return program if found and Path(found) == beside else typed_path(beside)
    return program if found else f"{typed_python()} -m {MODULES[program]}"


def typed_python() -> str:
    """How to type this Python."""
    return typed(Path(sys.executable).name)


CHECKOUT = Path(__file__).parents[2]
"""The folder in which scripts/ lies, if this is a checkout."""
SCRIPTS = {
    "train": "train_ray",
    "tune": "tune_ray",
    "dataset": "build_dataset",
    "convert": "convert_checkpoint",
    "recipes": "compare_recipes",
    "weights": "make_weights",
}
"""Files in scripts/ that are not called like their command."""
_by_name = False


@contextmanager
def commands_by_name() -> Iterator[None]:
    """Inside, messages show commands as `hrm-rl train`, not as `python scripts/train_ray.py`: for a process
    that was started so."""
    global _by_name
    before, _by_name = _by_name, True
    try:
        yield
    finally:
        _by_name = before


def program(name: str) -> str:
    """A command of this project in the form that started this process."""
    return f"hrm-rl {name}" if _by_name else f"python scripts/{SCRIPTS.get(name, name)}.py"


def typed_command(name: str) -> str:
    """The same as one would type it here: with the paths of programs and scripts that are not found without,
    and in another form where there is no such program."""
    script = CHECKOUT / "scripts" / f"{SCRIPTS.get(name, name)}.py"
    if not _by_name and script.exists():
        return f"{typed_python()} {typed_path(script)}"
    return f"{typed('hrm-rl')} {name}"


SHARES = ("exact_accuracy", "solved", "cell_accuracy")
"""Tags that are shares of 1, shown in %."""


def shown(value: Any) -> str:
    """A setting's value as one would type it, numbers to four digits."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):
        return " ".join(shown(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def is_share(metric: str) -> bool:
    return metric.rpartition("/")[2] in SHARES
