"""What is written of a sweep can be read again, whole, by the sweep itself and by its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrm_rl.config import Config, load_config
from hrm_rl.sweeps.file import read_content
from hrm_rl.sweeps.results.reading import read_sweep
from hrm_rl.sweeps.results.records import Book, write_sweep
from hrm_rl.utils.errors import UserError
from tests.helpers.small_sweeps import LR, add_trial, content, make_mixed_sweep, small_space

SPACE = small_space()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    write_sweep(tmp_path, content(), "small.yaml", SPACE, seed=3, trials=4)
    book = Book.open(tmp_path)
    book.begin("t0000", {"optim.lr": 2e-3}, SPACE)
    return book


def test_a_new_trial_has_the_configuration_that_it_will_run(book: Book) -> None:
    config = load_config(book.folder.trial("t0000").config, Config())
    assert config == SPACE.configure({"optim.lr": 2e-3})
    assert book.records["t0000"].status == "paused"


def test_every_note_is_on_disk(book: Book) -> None:
    book.note("t0000", status="failed", updates=8, seconds=2.5, train_seconds=2.0, error="x", attempts=3)
    assert Book.open(book.folder.path).records == book.records
    sweep = read_sweep(book.folder.path)
    trial = sweep.trials[0]
    assert read_content(book.folder.file)["seed"] == 3
    assert (sweep.num_samples, sweep.max_updates) == (4, 12)
    assert sweep.parameters == ("optim.lr",)
    assert (trial.status, trial.updates, trial.error, trial.attempts) == ("failed", 8, "x", 3)


def test_changed_params_keep_their_history(book: Book) -> None:
    book.change_params("t0000", {"optim.lr": 3e-3}, update=8, source="t0001")
    book.change_params("t0000", {"optim.lr": 4e-3}, update=4, source="t0002")  # went back further
    trial = read_sweep(book.folder.path).trials[0]
    assert trial.source == "t0002"
    assert [trial.params_at(update)["optim.lr"] for update in (4, 8)] == [2e-3, 4e-3]
    assert trial.params == {"optim.lr": 4e-3}


def test_a_note_that_changes_nothing_writes_nothing(book: Book) -> None:
    file = book.folder.record("t0000")
    before = file.stat().st_mtime_ns
    book.note("t0000", updates=0)
    assert file.stat().st_mtime_ns == before


def test_a_damaged_record_says_what_to_do(book: Book) -> None:
    book.folder.record("t0000").write_text("{")
    with pytest.raises(UserError, match=f"to run this trial again, delete {book.folder.trial('t0000').path}"):
        Book.open(book.folder.path)


def test_the_driver_and_the_report_read_the_same_records(tmp_path: Path) -> None:
    folder = make_mixed_sweep(tmp_path / "s")
    changed = {"history": [{"update": 0, "params": {LR: 1e-3}}, {"update": 4, "params": {LR: 2e-3}}]}
    add_trial(folder, "t0004", {LR: 2e-3}, [(8, 0.5, 1.0)], **changed, **{"from": "t0001"})
    book = Book.open(folder)
    for trial in read_sweep(folder).trials:
        assert vars(book.records[trial.id]).items() <= vars(trial).items()
        file = book.folder.record(trial.id)
        before = json.loads(file.read_text())
        book.note(trial.id, attempts=9)
        assert json.loads(file.read_text()) == before | {"attempts": 9}
