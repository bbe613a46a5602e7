"""scripts/evaluate.py as a user meets it."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from tests.helpers.commands import evaluated, refusal
from tests.helpers.tiny import puzzles, tiny_config, write_csv

refused = partial(refusal, evaluate_command.main)


def test_without_other_flags_the_runs_own_held_out_puzzles_are_judged(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluated(capsys, "--checkpoint", str(run_dir))
    assert found["puzzles"] == "held out by the run"
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    (logged,) = [r for r in records if r["update"] == found["update"] and "eval/exact_accuracy" in r]
    for name in ("exact_accuracy", "cell_accuracy", "segments_mean", "solved"):
        assert found["all"][name] == pytest.approx(logged[f"eval/{name}"], abs=1e-6)
    for level in ("easy", "hard"):
        assert found["levels"][level]["cell_accuracy"] == pytest.approx(
            logged[f"eval/{level}/cell_accuracy"], abs=1e-6
        )
    assert set(found["levels"]) == {"easy", "hard"}


def test_the_best_checkpoint_is_taken_and_any_can_be_named(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_dir / "checkpoints" / "update-00000008"
    assert evaluated(capsys, "--checkpoint", str(path))["checkpoint"] == str(path)


def test_fixed_halting_spends_the_budget_and_the_budget_may_exceed_trainings(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--checkpoint", str(run_dir), "--level", "hard", "--puzzles", "12", "--max-segments", "5")
    found = evaluated(capsys, *args, "--halting", "fixed")
    assert found["all"]["segments_mean"] == 5
    assert len(found["all"]["accuracy_after_segment"]) == 5
    assert set(found["levels"]) == {"hard"}
    assert found["all"]["exact_accuracy"] == found["all"]["accuracy_after_segment"][-1]


def test_a_file_is_judged_by_level(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path / "p.csv", puzzles(10, "medium"))
    found = evaluated(capsys, "--checkpoint", str(run_dir), "--data", str(path))
    assert {name: level["puzzles"] for name, level in found["levels"].items()} == {"medium": 10}
    found = evaluated(capsys, "--checkpoint", str(run_dir), "--data", str(path), "--puzzles", "4")
    assert found["all"]["puzzles"] == 4


def test_the_table_shows_each_level_and_all(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_command.main(["--checkpoint", str(run_dir)])
    out = capsys.readouterr().out
    for part in ("easy", "hard", "all", "exact", "solved", "segments", "exact after segment 1, 2"):
        assert part in out, part


def test_in_a_narrow_terminal_the_tables_keep_their_numbers(
    run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ["--checkpoint", str(run_dir), "--vote", "2"]
    wide: list[str] = []
    for columns in ("200", "20"):
        monkeypatch.setenv("COLUMNS", columns)
        evaluate_command.main(args)
        numbers = [
            re.findall(r"[\d.]+%?", line) for line in capsys.readouterr().out.splitlines() if "│" in line
        ]
        wide = wide or numbers
        assert numbers == wide


@pytest.fixture
def file_run(tmp_path: Path) -> tuple[Path, Path]:
    """A file of puzzles, and the folder of a run that was trained on it."""
    path = write_csv(tmp_path / "train.csv", puzzles(30))
    config = tiny_config(data={"path": str(path), "eval_puzzles": 4}, curriculum={"stages": ("all=1",)})
    folder = tmp_path / "r"
    folder.mkdir()
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    return path, folder


def test_puzzles_of_the_training_file_are_left_out_or_refused(
    file_run: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = file_run
    assert evaluated(capsys, "--checkpoint", str(folder))["all"]["puzzles"] > 0
    assert "training set" in refused("--checkpoint", str(folder), "--data", str(path))


def test_a_training_set_that_is_gone_is_warned_about(
    file_run: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = file_run
    path.unlink()
    assert evaluate_command.main(["--checkpoint", str(folder), "--level", "easy", "--puzzles", "5"]) == 0
    assert "is not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("", "--model runs/NAME"),
        ("--checkpoint gone", "gone holds no sound checkpoint"),
        ("--checkpoint RUN --level hrad", "did you mean 'hard'"),
        ("--checkpoint RUN --data gone.csv", "gone.csv"),
        ("--checkpoint RUN --data x --level easy", "not both"),
        ("--checkpoint RUN --max-segments 0", "--max-segments"),
        ("--checkpoint RUN --haltig fixed", "did you mean '--halting'"),
    ],
)
def test_mistakes_of_evaluate_are_one_line(args: str, part: str, run_dir: Path) -> None:
    assert part in refused(*args.replace("RUN", str(run_dir)).split())


def test_a_damaged_checkpoint_is_refused_by_name(run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "update-00000008"
    shutil.copytree(run_dir / "checkpoints" / "update-00000008", copy)
    (copy / "model.safetensors").write_bytes(b"x")
    assert "model.safetensors is truncated" in refused("--checkpoint", str(copy))
