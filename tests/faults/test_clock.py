"""A clock that goes back, while a run is trained and between two starts of it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from hrm_rl.faults.subject import repeated
from hrm_rl.runs import selection
from hrm_rl.runs.folder import RunFolder
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.tiny import tiny_config


def test_a_run_does_not_care_for_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    ticks = itertools.count()
    monkeypatch.setattr(time, "time", lambda: now - 60.0 * next(ticks))
    folder = RunFolder(tmp_path)
    for updates in (8, 12):
        config = tiny_config(train={"max_updates": updates, "checkpoint_every": 4, "eval_every": 4})
        Trainer(config, LocalWorker(config, tmp_path, lambda line: None)).run()
    assert [r["update"] for r in folder.read_metrics() if "train/loss" in r] == [4, 8, 12]
    assert selection.checkpoints(folder.checkpoints)[0].name == "update-00000012"
    assert selection.latest_sound(folder.checkpoints, pytest.fail) is not None
    assert repeated(folder) == []
