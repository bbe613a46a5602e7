"""Tasks whose rule cannot judge: the label decides in the environment, in training and in evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs import ActEnv, ActVectorEnv, GeneratedSource
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.cli import train as train_command
from hrm_rl.data.streams import build_data
from hrm_rl.utils.errors import UserError
from tests.helpers.labelled import SecretTask
from tests.helpers.tiny import tiny_config

SECRET = tiny_config(
    env={"task": "tests.helpers.labelled:SecretTask", "size": 4},
    curriculum={"stages": ("only=1",)},
    data={"exclude_twins": True},
    train={"max_updates": 4},
)


def test_the_label_decides_in_the_environment() -> None:
    task = SecretTask()
    env = ActEnv(task, GeneratedSource(task, "only", 0), 2)
    env.reset(seed=0)
    seen = []
    for right in (True, False) * 4:
        _, info = env.reset()
        answer = info["solution"].copy()
        answer[0] = answer[0] if right else answer[0] % 6 + 1
        _, reward, *_, info = env.step({"answer": answer, "halt": 1})
        seen.append((reward, info["solved"]) == (float(right), right))
    assert all(seen)
    many = ActVectorEnv(task, GeneratedSource(task, "only", 0), 8, 2)
    _, infos = many.reset(seed=0)
    answer = infos["solution"].copy()
    answer[::2, -1] = answer[::2, -1] % 6 + 1
    _, reward, *_ = many.step({"answer": answer, "halt": np.ones(8, np.int64)})
    assert reward.tolist() == [0.0, 1.0] * 4


def test_an_answer_without_any_label_is_never_right() -> None:
    task = SecretTask()
    puzzle = task.generate("only", 2, np.random.default_rng(0))
    assert not task.right(puzzle.inputs, puzzle.solution, np.zeros_like(puzzle.solution)).any()
    assert task.right(puzzle.inputs, puzzle.solution, puzzle.solution).all()
    assert task.faults(puzzle.inputs, puzzle.solution) == {}


def test_a_run_has_a_row_for_each_identity_whatever_is_held_out() -> None:
    assert build_data(SECRET.model_copy(update={"seed": 1})).identifiers == 3


def test_training_and_evaluation_ask_the_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(SECRET.to_yaml())
    folder = ["--storage-path", str(tmp_path), "--run-name", "run"]
    assert train_command.main(["--config", str(config), "--num-workers", "0", *folder]) == 0
    run = str(tmp_path / "run")
    assert evaluate_command.main(["--checkpoint", run, "--device", "cpu"]) == 0
    assert "only" in capsys.readouterr().out
    with pytest.raises(UserError, match="--retry needs a rule that tells right answers; in secret labels do"):
        evaluate_command.main(["--checkpoint", run, "--retry", "1"])
