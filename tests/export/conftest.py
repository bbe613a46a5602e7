"""A run, and its model exported."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from hrm_rl.cli import export as export_command
from hrm_rl.export import report
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.exported import saved
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


@dataclass(frozen=True)
class Portable:
    """A model in all formats that need no compiler, and what the command said."""

    source: Path
    """The folder that it came from: an untrained network that halts as it likes."""
    folder: Path
    said: str


PORTABLE = ("pt2", "onnx", "float16", "bfloat16", "int8", "int8-dynamic", "int4", "int4-naive")


@pytest.fixture(scope="package")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Portable:
    place = tmp_path_factory.mktemp("portable")
    sizes = {"hidden_size": 32, "h_cycles": 1, "l_cycles": 1, "dtype": "bfloat16"}
    torch.manual_seed(1)  # of its weights: some puzzles halt early, some late
    saved(place / "source", None, model=sizes, train={"loss_on": "blanks"}, halting={"halt_max_steps": 4})
    args = ["--checkpoint", str(place / "source"), "--out", str(place / "model"), "--formats", *PORTABLE]
    with redirect_stdout(io.StringIO()) as said, pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "TIMED", 0.01)
        assert export_command.main([*args, "--report", "--puzzles", "24"]) == 0
    return Portable(place / "source", place / "model", said.getvalue())
