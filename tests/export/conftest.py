"""A run, and its model exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrm_rl.cli import export as export_command
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.tiny import tiny_config


@pytest.fixture(scope="package")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "my-run"
    folder.mkdir()
    config = tiny_config(
        seed=3, train={"max_updates": 8, "eval_every": 4}, curriculum={"stages": ("easy=1,hard=1",)}
    )
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    return folder


@pytest.fixture(scope="package")
def exported(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "model"
    assert (
        export_command.main(
            ["--checkpoint", str(run_dir / "checkpoints" / "update-00000008"), "--out", str(out)]
        )
        == 0
    )
    return out
