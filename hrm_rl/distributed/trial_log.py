"""What is noted of each trial while Tune runs the sweep: trial.json, written by the driver alone."""

from __future__ import annotations

import time
from typing import Any

import ray.tune

from hrm_rl.distributed.train_worker import SECONDS, TRAIN_SECONDS, UPDATES
from hrm_rl.distributed.trial import PARAMS, RESUMED_AT, SOURCE
from hrm_rl.runs import selection
from hrm_rl.sweeps.results.records import Book
from hrm_rl.sweeps.space import Space


class Notes(ray.tune.Callback):
    """Keeps the trials' records while Tune runs them."""

    def __init__(self, book: Book, space: Space):
        self.book, self.space = book, space
        self.before: dict[str, tuple[float, float]] = {}
        """Seconds, and those in updates, that a trial had spent before its present process."""
        self.last: dict[str, float] = {}
        """The metric's last value."""
        self.first_start: float | None = None
        """When the first trial started, by the monotonic clock."""

    def has_begun(self) -> bool:
        """Whether any trial has started."""
        return self.first_start is not None

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        if self.first_start is None:
            self.first_start = time.monotonic()
        record = self.book.records[str(trial)]
        self.before[record.id] = (record.seconds, record.train_seconds)
        self.book.note(record.id, status="running", error=None, started=record.started or time.time())

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        id = str(trial)
        if UPDATES not in result:
            return
        record = self.book.records[id]
        if result.get(PARAMS, record.params) != record.params:
            self.book.change_params(id, result[PARAMS], result[RESUMED_AT], result[SOURCE])
        seconds, train_seconds = self.before.get(id, (0.0, 0.0))
        self.last[id] = result[self.space.file.metric]
        self.book.note(
            id,
            updates=int(result[UPDATES]),
            seconds=round(seconds + result[SECONDS], 3),
            train_seconds=round(train_seconds + result[TRAIN_SECONDS], 3),
        )

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        record = self.book.records[str(trial)]
        self.before[record.id] = (record.seconds, record.train_seconds)
        self.book.note(record.id, attempts=record.attempts + 1, error=self._error(record.id))

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.book.note(str(trial), status="failed", error=self._error(str(trial)))

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        id = str(trial)
        newest = selection.checkpoints(self.book.folder.trial(id).checkpoints)
        updates = max(self.book.records[id].updates, selection.update_of(newest[0]) if newest else 0)
        self.book.note(id, updates=updates, status=self._status(id, updates))
        if self.book.records[id].status == "failed":
            self.book.note(id, error=self._error(id))

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        for trial in trials:  # population-based training pauses trials without a word to callbacks
            id = str(trial)
            if trial.status in ("PAUSED", "PENDING") and self.book.records[id].status == "running":
                self.book.note(id, status="paused")

    def _status(self, id: str, updates: int) -> str:
        """How a trial ended that raised no exception."""
        if self.book.folder.trial(id).error_log.exists():
            return "failed"
        if updates >= self.space.file.budget.max_updates or self._good_enough(id):
            return "finished"
        return "paused" if self.book.folder.stop_request.exists() else "stopped"

    def _good_enough(self, id: str) -> bool:
        return id in self.last and self.space.good_enough(self.last[id])

    def _error(self, id: str) -> str:
        try:
            return self.book.folder.trial(id).error_log.read_text().partition("\n")[0]
        except OSError:
            return "the process of the trial died"
