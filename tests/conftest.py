"""What all tests share. The pieces to build small runs from are in tiny.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.tiny import tiny_config

# No deadline: how long an example takes says nothing on a shared machine.
settings.register_profile("hrm_rl", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("hrm_rl")


SHARING = ("tests/distributed", "tests/export", "tests/faults")
"""Folders whose files share what takes long to make: a Ray cluster, an exported model, whole runs."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` a file's tests run in one process, and here so do all those of
    a folder of SHARING."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            scope = super()._split_scope(nodeid)
            return next((folder for folder in SHARING if scope.startswith(folder)), scope)

    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _calm_torch() -> None:
    """One thread, which is what a machine shared with other jobs has to give, a known seed, and arithmetic as
    it is by default: a test that trains through `train_here` leaves denormal numbers flushed to zero, one
    that trains on a GPU leaves TF32."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    torch.set_float32_matmul_precision("highest")
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two levels, called r. Tests read it and write nothing there."""
    folder = tmp_path_factory.mktemp("runs") / "r"
    folder.mkdir()
    config = tiny_config(train={"max_updates": 8, "eval_every": 4}, curriculum={"stages": ("easy=1,hard=1",)})
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    return folder


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs in an empty folder, and knows of no Ray cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
