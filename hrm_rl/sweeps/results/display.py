"""What a sweep shows while it runs: on a terminal with room for it one table that is refreshed, elsewhere a
line for each trial that ends."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live

from hrm_rl.sweeps.results.reading import SweepResults, Trial, read_sweep
from hrm_rl.sweeps.results.records import Book
from hrm_rl.sweeps.results.report import WIDTH, amount, live_table
from hrm_rl.utils.console import duration

REFRESH_SECONDS = 3.0


class Display:
    """Call it as often as you like; it looks at the folder every REFRESH_SECONDS."""

    def __init__(
        self, book: Book, total: int, concurrent: int, max_updates: int, console: Console | None = None
    ):
        self.book, self.total, self.concurrent, self.max_updates = book, total, concurrent, max_updates
        self.console = console or Console()
        self.shown = {id for id, record in book.records.items() if record.over}
        self._next = 0.0
        live = self.console.is_terminal and self.console.width >= WIDTH
        self._live = Live(console=self.console, auto_refresh=False) if live else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self(now=True)
        if self._live:
            self._live.stop()

    def __call__(self, now: bool = False) -> None:
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH_SECONDS
        sweep = read_sweep(self.book.folder.path)
        left = time_left(sweep, self.total, self.concurrent, self.max_updates)
        if self._live:
            self._live.update(live_table(sweep, left), refresh=True)
            return
        for trial in sweep.trials:
            if trial.over and trial.id not in self.shown:
                self.shown.add(trial.id)
                self.say(f"{_ended(sweep, trial)}  [{_standing(sweep, self.total, left)}]")

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)


def _ended(sweep: SweepResults, trial: Trial) -> str:
    """`t0003 stopped at update 150: eval/solved 41.2% in 3.3 segments`."""
    line = f"{trial.id} {trial.status} at update {trial.updates}"
    if trial.status == "failed":
        return f"{line}: {trial.error}"
    if trial.best is None:
        return line
    cost = "" if trial.best.cost is None else f" in {trial.best.cost:.1f} segments"
    return f"{line}: {sweep.metric} {amount(sweep, trial.best.value)}{cost}"


def _standing(sweep: SweepResults, total: int, left: float | None) -> str:
    over = sum(trial.over for trial in sweep.trials)
    rest = "" if left is None else f", about {duration(left)} left"
    return f"{over} of {total} done{rest}"


def time_left(sweep: SweepResults, total: int, concurrent: int, max_updates: int) -> float | None:
    """Seconds until the last trial ends, if those to come take as many updates as those that are over did and
    the running ones all that they may; None before anything is known."""
    spent = sum(trial.seconds for trial in sweep.trials)
    done = sum(trial.updates for trial in sweep.trials if trial.seconds)
    if not spent or not done:
        return None
    over = [trial.updates for trial in sweep.trials if trial.over]
    typical = sum(over) / len(over) if over else max_updates
    left = [max(0, max_updates - t.updates) for t in sweep.trials if not t.over]
    updates = sum(left) + (total - len(sweep.trials)) * typical
    at_once = max(1, min(concurrent, len(left) + total - len(sweep.trials)))
    return updates * spent / done / at_once
