"""What the README says is so: its example runs, its tables name every tag, preset and flag that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hrm_rl.cli.train import TrainCommand
from hrm_rl.config import PRESETS
from hrm_rl.runs.folder import read_metrics
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.paths import ROOT
from tests.helpers.tiny import make_decisive, tiny_config

README = (ROOT / "README.md").read_text()


def test_the_environment_example_runs_and_earns_its_reward(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.strip().splitlines()) <= 10
    scope: dict = {}
    exec(code.replace("range(100)", "range(9)"), scope)
    rewards = scope["reward"][scope["terminated"]]
    assert len(rewards) == 8
    assert (rewards == 1).all()


def test_every_tag_that_a_run_writes_is_in_the_metric_table(tmp_path: Path) -> None:
    config = tiny_config(train={"max_updates": 40, "log_every": 10, "eval_every": 20, "checkpoint_every": 40})
    trainer = Trainer(config, LocalWorker(config, tmp_path, lambda line: None))
    make_decisive(trainer.learner.model)
    trainer.run()
    written = {tag for record in read_metrics(tmp_path / "metrics.jsonl") for tag in record} - {"update"}
    assert len(written) > 30
    table = README.partition("## What TensorBoard shows")[2].partition("## How it is built")[0]
    named = set(re.findall(r"`([\w/]+)`", table))
    for tag in written:
        forms = {
            tag,
            re.sub(r"/\d+$", "/K", tag),
            re.sub(r"/(un)?solved$", "", tag) if tag.startswith("halting") else tag,
            re.sub(r"^eval/[\w-]+/\w+$", "eval/LEVEL/", tag),
        }
        assert forms & (named | {"eval/LEVEL/"}), f"{tag} is not explained"


def test_every_preset_and_launch_flag_is_named() -> None:
    for preset in PRESETS:
        assert f"`{preset}`" in README
    for field in set(TrainCommand.model_fields) - {
        "env",
        "data",
        "model",
        "halting",
        "optim",
        "train",
        "curriculum",
    }:
        assert f"--{field.replace('_', '-')}" in README, field
