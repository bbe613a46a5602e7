"""A run's model given to others: the folder and what evaluate makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.cli import export as export_command
from hrm_rl.config import EnvConfig
from hrm_rl.export.run import without_paths
from hrm_rl.models import RecurrentModel
from hrm_rl.models.saving import WEIGHTS
from hrm_rl.runs import checkpoint, selection
from hrm_rl.training.local import LocalWorker
from hrm_rl.training.loop import Trainer
from hrm_rl.utils.errors import UserError
from tests.helpers.commands import evaluated
from tests.helpers.paths import ROOT
from tests.helpers.tiny import puzzles, tiny_config, write_csv


def test_evaluate_judges_the_folder_as_it_judges_the_checkpoint(
    run_dir: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(run_dir / "checkpoints" / "update-00000008")
    for args in ([], ["--level", "hard", "--puzzles", "10"]):
        own, theirs = (
            evaluated(capsys, "--checkpoint", path, *args),
            evaluated(capsys, "--checkpoint", str(exported), *args),
        )
        for key in ("update", "puzzles", "budget", "all", "levels"):
            assert own[key] == theirs[key], key


def test_a_folder_of_averaged_weights_has_no_raw_ones(exported: Path) -> None:
    with pytest.raises(UserError, match="holds ema weights only"):
        evaluate_command.main(["--checkpoint", str(exported), "--weights", "raw"])


def test_float16_halves_the_file_and_is_loaded_as_float32(run_dir: Path, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    assert export_command.main(["--model", str(run_dir), "--out", str(whole)]) == 0
    assert export_command.main(["--model", str(run_dir), "--out", str(half), "--dtype", "float16"]) == 0
    sizes = [sum(t.nbytes for t in safetensors.torch.load_file(p / WEIGHTS).values()) for p in (whole, half)]
    assert sizes[1] < 0.51 * sizes[0]
    kept, rounded = (RecurrentModel.from_pretrained(folder).state_dict() for folder in (whole, half))
    for name, value in kept.items():
        assert rounded[name].dtype == value.dtype
        wanted = value.half().float() if value.is_floating_point() else value
        assert torch.equal(rounded[name], wanted)


def test_weights_that_float16_cannot_hold_are_refused_and_nothing_is_written(
    exported: Path, tmp_path: Path
) -> None:
    model = RecurrentModel.from_pretrained(exported)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = 1e5
    with pytest.raises(UserError, match=r"float16 cannot hold these weights, 1 of its .* lm_head.weight"):
        model.save_pretrained(tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()


def test_the_folder_is_loaded_without_ray(exported: Path) -> None:
    code = (
        "import sys; from hrm_rl.models import RecurrentModel; "
        f"RecurrentModel.from_pretrained({str(exported)!r}); assert 'ray' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_folder_names_no_path_of_the_machine_and_asks_for_puzzles_that_it_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").mkdir()
    path = write_csv(tmp_path / "secret" / "train.csv", puzzles(30))
    config = tiny_config(data={"path": str(path), "eval_puzzles": 4}, curriculum={"stages": ("all=1",)})
    folder = tmp_path / "r"
    folder.mkdir()
    Trainer(config, LocalWorker(config, folder, lambda line: None)).run()
    export_command.main(["--checkpoint", str(folder), "--out", str(tmp_path / "out")])
    for name in ("config.json", "README.md"):
        assert "secret" not in (tmp_path / "out" / name).read_text()
    with pytest.raises(UserError, match=r"does not hold the puzzles of its run \(train.csv\)"):
        evaluate_command.main(["--checkpoint", str(tmp_path / "out")])
    found = evaluated(capsys, "--checkpoint", str(tmp_path / "out"), "--level", "easy", "--puzzles", "6")
    assert found["all"]["puzzles"] == 6


def test_no_option_that_looks_like_a_path_is_given_away_be_the_file_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "puzzles").touch()
    levels = ",".join(f"s{size}={size}:3-" for size in range(6, 60))
    assert len(levels) > 255, "longer than a file's name may be"
    options = {
        "catalogue": "/home/me/secret/17.txt", "windows": "D:\\secret", "beside": "17.txt",
        "there": str(tmp_path / "puzzles"), "levels": levels, "min_guesses": 3, "rule": "solved",
    }  # fmt: skip
    config = tiny_config().model_copy(update={"env": EnvConfig(options=options)})
    kept = without_paths(config).env.options
    assert kept == {"levels": levels, "min_guesses": 3, "rule": "solved"}


def test_weights_that_were_not_evaluated_get_no_results(run_dir: Path, tmp_path: Path) -> None:
    export_command.main(["--checkpoint", str(run_dir), "--out", str(tmp_path / "raw"), "--weights", "raw"])
    assert "None are recorded for these weights." in (tmp_path / "raw" / "README.md").read_text()
    path = selection.best(run_dir / "checkpoints")
    raw = RecurrentModel.from_pretrained(tmp_path / "raw")
    tensors = checkpoint._read_tensors(path / "model.safetensors")
    assert all(torch.equal(tensors[k], v) for k, v in raw.state_dict().items())


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("", "say which model"),
        ("--checkpoint RUN", "say which model"),
        ("--checkpoint gone --out OUT", "gone holds no sound checkpoint"),
        ("--checkpoint RUN --out HERE", "exists already"),
        ("--out HERE --push o/n", "scripts/export.py first"),
        ("--out EXPORTED --push name", "looks like OWNER/NAME"),
    ],
)
def test_mistakes_are_one_line(args: str, part: str, run_dir: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "HERE").mkdir()
    places = {
        "RUN": str(run_dir),
        "EXPORTED": str(exported),
        "HERE": str(tmp_path / "HERE"),
        "OUT": str(tmp_path / "OUT"),
    }
    with pytest.raises(UserError) as error:
        export_command.main([places.get(word, word) for word in args.split()])
    assert part in str(error.value)
    assert "\n" not in str(error.value)
