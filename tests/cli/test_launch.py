"""`scripts/train_ray.py` as a user meets it: what it prints, what it leaves behind, and
one line for each mistake."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from hrm_rl.agents.act.learner import Learner
from hrm_rl.cli import train as launch
from hrm_rl.config import PRESETS, Config
from hrm_rl.runs import checkpoint, selection
from hrm_rl.runs.folder import read_metrics
from hrm_rl.training import resources
from hrm_rl.training.resources import Machine
from hrm_rl.training.telemetry import Telemetry
from tests.helpers.commands import TINY_RUN as TINY
from tests.helpers.commands import files, refusal
from tests.helpers.tiny import metrics

pytestmark = pytest.mark.usefixtures("own_folder")
refused = partial(refusal, launch.main)


def test_a_run_writes_its_folder_and_says_how_to_watch_evaluate_and_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert launch.main([*TINY, "--max-updates", "4"]) == 0
    out = capsys.readouterr().out
    for part in (
        "parameters",
        "workers",
        "tensorboard --logdir runs/r/tensorboard",
        "held-out exact accuracy",
        "scripts/evaluate.py --checkpoint runs/r",
        "--run-name r --num-workers 0 --cpus-per-worker 1 --resume",
    ):
        assert part in out, part
    written = {p.name for p in Path("runs/r").iterdir()}
    assert {"config.yaml", "versions.jsonl", "metrics.jsonl", "tensorboard", "checkpoints"} <= written
    record = json.loads(Path("runs/r/versions.jsonl").read_text())
    assert record["command"].startswith("python scripts/train_ray.py --preset sudoku4-quick")
    assert record["torch"]
    assert "commit" in record


def test_the_written_configuration_repeats_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "4"])
    launch.main(
        [
            "--config",
            "runs/r/config.yaml",
            "--num-workers",
            "0",
            "--cpus-per-worker",
            "1",
            "--run-name",
            "again",
        ]
    )
    assert metrics(Path("runs/r")) == metrics(Path("runs/again"))


def test_a_finished_run_goes_on_with_more_updates_from_the_printed_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    launch.main([*TINY, "--max-updates", "4"])
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "train on:" in text]
    printed = line.partition("scripts/train_ray.py ")[2].replace("--max-updates N", "--max-updates 6")
    assert launch.main(printed.split()) == 0
    assert "resuming from update 4" in capsys.readouterr().out
    assert max(r["update"] for r in read_metrics(Path("runs/r/metrics.jsonl"))) == 6


def test_flags_win_over_the_file_and_the_file_over_the_preset(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text("optim: {lr: 1e-5, ema_decay: 0.5}\nseed: 7\n")
    launch.main(
        ["--preset", "sudoku4-quick", "--config", "my.yaml", "--seed", "8", "--dry-run", "--num-workers", "0"]
    )
    printed = capsys.readouterr().out
    config = Config.model_validate(yaml.safe_load(printed.partition("\nparameters")[0]))
    assert (config.optim.lr, config.optim.ema_decay, config.seed) == (1e-5, 0.5, 8)
    assert config.model.hidden_size == 64


def test_a_dry_run_writes_nothing_and_shows_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--dry-run"])
    out = capsys.readouterr().out
    for part in ("parameters", "memory", "plan", "machine", "run folder", "loss", "no run was started"):
        assert part in out, part
    assert files() == set()


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        ("--preset sudoku4-quik", ["unknown preset 'sudoku4-quik'", "did you mean 'sudoku4-quick'"]),
        ("--model.hiden-size 3", ["unknown flag --model.hiden-size", "did you mean '--model.hidden-size'"]),
        ("--halting.halt-max-steps 0", ["--halting.halt-max-steps", "greater than or equal to 1"]),
        ("--model.hidden-size x", ["--model.hidden-size", "'x'"]),
        ("--gpus-per-worker many", ["--gpus-per-worker", "'many'"]),
        ("--model.num-heads 3", ["num_heads=3 does not divide hidden_size=256", "could be 1, 2, 4, 8"]),
        (
            "--num-workers 400",
            ["this machine has", "this would run here: ", "scripts/train_ray.py --num-workers"],
        ),
        ("--num-workers 4 --gpus-per-worker 1", ["GPU", "this would run here"]),
        ("--resume", ["--run-name NAME"]),
        ("--resume --run-name gone", ["no run to resume", "leave out --resume"]),
        ("--num-workers 0 --cpus-per-worker 400", ["CPU", "--num-workers 0 --cpus-per-worker"]),
        (
            "--num-workers 2 --cpus-per-worker 1 --gpus-per-worker 0 --train.device cuda",
            ["--train.device cuda"],
        ),
        ("--run-name a/b", ["plain folder name", "--storage-path"]),
        ("--run-name=", ["--run-name needs a value and got an empty one"]),
        ("--resume --run-name=..", ["--run-name .. must be a plain folder name"]),
        (f"--run-name {'n' * 201}", ["--run-name nnnn", "... is too long"]),
        ("--config gone.yaml", ["cannot read configuration gone.yaml"]),
        ("--data.path gone.csv", ["gone.csv"]),
        ("--preset sudoku-extreme-1k --num-workers 0", ["--data.path FILE.csv", "puzzle,solution"]),
        ("--curriculum.stages hrad=1", ["unknown level 'hrad'", "did you mean 'hard'"]),
        ("--env.task sudokku", ["sudokku"]),
        ("--env.size 5", ["4, 6, 9"]),
        ("--model.name hmr", ["unknown model 'hmr'", "did you mean 'hrm'"]),
        ("--max-updates 0", ["--max-updates"]),
        ("--train.global-batch-size 1 --num-workers 2 --cpus-per-worker 1", ["at least one slot"]),
    ],
)
def test_a_mistake_is_one_line_that_helps_and_leaves_nothing_behind(args: str, parts: list[str]) -> None:
    line = refused(*args.split())
    for part in parts:
        assert part in line, line
    assert files() == set()


def test_a_gpu_run_on_a_machine_without_gpus_is_refused_with_the_command_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources, "this_machine", lambda: Machine("this machine", 2, 0))
    for flags in ("--num-workers 4 --gpus-per-worker 1", "--num_workers=4 --gpus_per_worker 1"):
        line = refused(*flags.split())
        assert line.endswith("scripts/train_ray.py --num-workers 2 --gpus-per-worker 0")


def test_a_configuration_file_with_an_unknown_key_names_the_nearest() -> None:
    Path("my.yaml").write_text("model: {hiden_size: 3}\n")
    assert "did you mean 'model.hidden_size'" in refused("--config", "my.yaml")
    Path("my.yaml").write_text("model: [\n")
    assert "my.yaml is not YAML" in refused("--config", "my.yaml")


def test_a_malformed_data_file_is_named_with_the_line() -> None:
    Path("bad.csv").write_text("puzzle,solution\n12,34\n")
    line = refused(*TINY, "--data.path", "bad.csv")
    assert "bad.csv" in line
    assert "line 2" in line
    assert files() == {"bad.csv"}


def test_an_existing_run_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "2"])
    before = {p: p.stat().st_mtime_ns for p in Path("runs").rglob("*")}
    line = refused(*TINY)
    assert "run r exists" in line
    assert "--run-name r --resume" in line
    assert {p: p.stat().st_mtime_ns for p in Path("runs").rglob("*")} == before


def test_a_finished_run_asks_for_more_updates(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "2"])
    assert "larger --max-updates" in refused("--run-name", "r", "--resume", "--num-workers", "0")


def test_resuming_with_another_configuration_names_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "2"])
    line = refused(
        *["--run-name", "r", "--resume", "--num-workers", "0", "--max-updates", "4", "--optim.lr", "0.5"]
    )
    assert f"optim.lr: {PRESETS['sudoku4-quick'].optim.lr} -> 0.5" in line


def test_a_damaged_checkpoint_is_passed_over_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "8"])
    newest = selection.checkpoints(Path("runs/r/checkpoints"))[0]
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    resume = [
        "--run-name",
        "r",
        "--resume",
        "--num-workers",
        "0",
        "--cpus-per-worker",
        "1",
        "--max-updates",
        "10",
    ]
    assert launch.main(resume) == 0
    out = capsys.readouterr().out
    assert "update-00000008 is damaged (model.safetensors is truncated): going back" in out
    assert "resuming from update 4" in out
    for path in selection.checkpoints(Path("runs/r/checkpoints")):
        (path / "manifest.json").unlink()
    assert "no checkpoint of r is sound" in refused(*resume)


def test_a_full_disk_ends_in_one_line_with_the_checkpoint_before_intact(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = checkpoint.write_atomically

    def full(path: Path, content: str | bytes) -> None:
        if "update-00000008" in str(path) and path.name == "optimizer.safetensors":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, content)

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    line = refused(*TINY, "--max-updates", "12")
    assert "No space left on device" in line
    assert "scripts/train_ray.py --run-name r" in line
    left = sorted(p.name for p in Path("runs/r/checkpoints").iterdir())
    assert left == ["update-00000004"]
    assert selection.damage(Path("runs/r/checkpoints/update-00000004")) is None


def test_ctrl_c_ends_with_a_checkpoint_and_the_command_to_resume(capfd: pytest.CaptureFixture[str]) -> None:
    def press_ctrl_c() -> None:
        metrics = Path("runs/r/metrics.jsonl")
        while not metrics.exists() or not read_metrics(metrics):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press_ctrl_c, daemon=True)
    thread.start()
    assert launch.main([*TINY, "--max-updates", "100000"]) == 130
    out, errors = capfd.readouterr()
    assert errors.startswith("stopping after this update; Ctrl-C again to stop without a checkpoint")
    assert "scripts/train_ray.py --run-name r" in out
    newest = selection.checkpoints(Path("runs/r/checkpoints"))[0]
    assert selection.damage(newest) is None
    assert f"stopped at update {int(newest.name.removeprefix('update-'))} of 100000" in out


def test_resuming_takes_no_other_preset_or_file(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "2"])
    assert "leave out --preset" in refused(*TINY, "--resume")
    assert "leave out --config" in refused("--run-name", "r", "--resume", "--config", "x.yaml")


def test_a_disk_that_fills_up_between_checkpoints_is_one_line_with_the_command_to_resume(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Telemetry.scalars

    def full(self: Telemetry, update: int, values: dict[str, float]) -> None:
        if update > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics.jsonl")
        real(self, update, values)

    monkeypatch.setattr(Telemetry, "scalars", full)
    line = refused(*TINY, "--max-updates", "12")
    assert "No space left on device" in line
    assert "--run-name r" in line
    assert line.endswith("--resume")


def test_any_other_failure_is_one_line_with_the_story_in_a_file_and_resumes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: Learner) -> None:
        if self.updates == 6:
            raise RuntimeError("out of\nmemory")
        real(self)

    real = Learner.update
    monkeypatch.setattr(Learner, "update", fail)
    assert launch.main([*TINY, "--max-updates", "8"]) == 1
    error = capsys.readouterr().err
    assert "error: RuntimeError: out of memory" in error
    assert "Traceback" not in error
    assert "Traceback" in Path("runs/r/error.log").read_text()
    monkeypatch.setattr(Learner, "update", real)
    command = error.partition("scripts/train_ray.py ")[2]
    assert launch.main(command.split()) == 0
    assert "resuming from update 4" in capsys.readouterr().out
