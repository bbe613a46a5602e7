"""Schedulers and proposals of a sweep, without a cluster: what they decide, and that a
resumed sweep does too."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule
from ray.tune.search import Searcher

from hrm_rl.distributed.schedulers import TRIAL, Explore, Replayed, make_scheduler
from hrm_rl.distributed.sweep import Proposals, next_trial
from hrm_rl.distributed.train_worker import SECONDS, TRAIN_SECONDS, UPDATES
from hrm_rl.distributed.trial_log import Notes
from hrm_rl.sweeps.results.records import Book, write_sweep
from tests.helpers.small_sweeps import content, small_space

METRIC = "eval/solved"
LR = {"optim.lr": 1e-3}


class Trial(SimpleNamespace):
    """As much of a Tune trial as is looked at."""

    def __str__(self) -> str:
        return str(self.id)


def decide(rule: Replayed, id: str, update: int, value: float) -> str:
    trial = Trial(id=id, trial_id=f"ray-{id}")
    rule.on_trial_add(None, trial)
    return rule.on_trial_result(None, trial, {UPDATES: update, METRIC: value})


def asha() -> AsyncHyperBandScheduler:
    return AsyncHyperBandScheduler(
        time_attr=UPDATES, metric=METRIC, mode="max", max_t=100, grace_period=10, reduction_factor=2,
        stop_last_trials=False,
    )  # fmt: skip


def test_a_resumed_sweep_stops_whom_an_uninterrupted_one_would() -> None:
    curves = {"t0000": [(10, 0.5), (20, 0.7)], "t0001": [(10, 0.4)], "t0002": [(10, 0.6)]}
    fresh = Replayed(asha(), METRIC, {})
    for id, curve in curves.items():
        for update, value in curve:
            decide(fresh, id, update, value)
    resumed = Replayed(asha(), METRIC, curves)
    for id, update, value in (("t0003", 10, 0.3), ("t0004", 10, 0.9), ("t0002", 20, 0.6), ("t0002", 20, 0.6)):
        assert decide(fresh, id, update, value) == decide(resumed, id, update, value)
    assert decide(resumed, "t0005", 10, 0.1) == "STOP"
    assert decide(resumed, "t0006", 10, 0.95) == "CONTINUE"


def test_a_trial_that_goes_on_counts_once() -> None:
    rule = asha()
    resumed = Replayed(rule, METRIC, {"t0000": [(10, 0.5)]})
    decide(resumed, "t0000", 12, 0.1)
    (recorded,) = [r for milestone, r in rule._brackets[0]._rungs if milestone == 10]
    assert list(recorded.values()) == [0.5]


def test_the_median_rule_is_told_of_earlier_trials_and_pauses_nobody(tmp_path: Path) -> None:
    space = small_space(
        metric=METRIC,
        scheduler={"name": "median", "grace_period": 4, "min_samples_required": 2},
        budget={"max_updates": 100, "num_samples": 4},
    )
    write_sweep(tmp_path, content(), "x", space, 0, 4)
    rule = make_scheduler(space, 0, Book.open(tmp_path))
    assert isinstance(rule, Replayed)
    assert isinstance(rule.rule, MedianStoppingRule)
    assert decide(rule, "t0000", 4, 0.5) == "CONTINUE"
    assert decide(rule, "t0001", 4, 0.6) == "CONTINUE"
    assert decide(rule, "t0002", 4, 0.1) == "STOP"
    again = Replayed(MedianStoppingRule(time_attr=UPDATES, metric=METRIC, mode="max", grace_period=4,
                                        min_samples_required=2, min_time_slice=math.inf),
                     METRIC, {"t0000": [(4, 0.5)], "t0001": [(4, 0.6)]})  # fmt: skip
    assert decide(again, "t0002", 4, 0.1) == "STOP"


def test_explored_params_are_other_allowed_ones() -> None:
    space = small_space()
    explore = Explore(space, seed=0, resample=0.0)
    config = {TRIAL: {"id": "t0001", "params": LR}}
    made = [explore(config)[TRIAL]["params"]["optim.lr"] for _ in range(20)]
    assert set(np.round(made, 9)) == {8e-4, 1.2e-3}
    assert config[TRIAL]["params"] == LR


@pytest.fixture
def book(tmp_path: Path) -> Book:
    write_sweep(tmp_path, content(), "x", small_space(), 0, 3)
    return Book.open(tmp_path)


def ids(todo: Proposals) -> list[str]:
    found = []
    while (made := next_trial(todo)) is not None:
        found.append(made[TRIAL]["id"])
    return found


def test_unfinished_trials_come_first_and_those_that_are_over_never_again(book: Book) -> None:
    space = small_space()
    assert ids(Proposals(book, space, 0, 3)) == ["t0000", "t0001", "t0002"]
    params = {id: record.params for id, record in book.records.items()}
    book.note("t0000", status="finished")
    book.note("t0002", status="failed")
    again = Book.open(book.folder.path)
    assert ids(Proposals(again, space, 0, 5)) == ["t0001", "t0003", "t0004"]
    assert {id: again.records[id].params for id in params} == params


def test_nothing_new_is_proposed_once_the_sweep_is_to_stop(book: Book) -> None:
    todo = Proposals(book, small_space(), 0, 3)
    book.folder.stop_request.touch()
    assert todo.suggest("x") == Searcher.FINISHED
    assert not book.records


def report(update: int, **more: Any) -> dict[str, Any]:
    return {
        UPDATES: update,
        SECONDS: update / 2,
        TRAIN_SECONDS: update / 4,
        "eval/cell_accuracy": 0.5,
        **more,
    }


def test_notes_add_up_over_processes_of_a_trial(book: Book) -> None:
    space = small_space(stop={"reached": 0.9})
    book.begin("t0000", LR, space)
    notes, trial = Notes(book, space), Trial(id="t0000", status="RUNNING")
    notes.on_trial_start(0, [], trial)
    notes.on_trial_result(0, [], trial, report(4))
    notes.on_trial_recover(0, [], trial)
    assert book.records["t0000"].error == "the process of the trial died"
    notes.on_trial_start(0, [], trial)
    notes.on_trial_result(0, [], trial, report(8))
    record = book.records["t0000"]
    assert (record.attempts, record.updates, record.seconds, record.train_seconds) == (2, 8, 6.0, 3.0)
    trial.status = "PAUSED"
    notes.on_step_end(0, [trial])
    assert book.records["t0000"].status == "paused"


@pytest.mark.parametrize(
    ("update", "value", "stopping", "error", "status"),
    [
        (8, 0.5, False, None, "stopped"),
        (12, 0.5, False, None, "finished"),
        (12, 0.5, True, None, "finished"),
        (8, 0.95, False, None, "finished"),
        (8, 0.5, True, None, "paused"),
        (8, 0.5, False, "it diverged\n\nlong story", "failed"),
    ],
)
def test_how_a_trial_ended(
    book: Book, update: int, value: float, stopping: bool, error: str | None, status: str
) -> None:
    space = small_space(stop={"reached": 0.9})
    book.begin("t0000", LR, space)
    notes, trial = Notes(book, space), Trial(id="t0000")
    notes.on_trial_start(0, [], trial)
    notes.on_trial_result(0, [], trial, report(update, **{"eval/cell_accuracy": value}))
    if stopping:
        book.folder.stop_request.touch()
    if error:
        book.folder.trial("t0000").error_log.write_text(error)
    notes.on_trial_complete(0, [], trial)
    assert book.records["t0000"].status == status
    assert book.records["t0000"].error == ("it diverged" if error else None)
