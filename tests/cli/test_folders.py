"""Folders of runs and sweeps as a user meets them: shared by nobody, and resumed only with what they began
with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import safetensors.torch
import torch
import yaml

from hrm_rl.cli import analyze, evaluate, export, solve, tune
from hrm_rl.cli import train as launch
from hrm_rl.config import get_preset
from hrm_rl.runs import selection
from hrm_rl.runs.folder import read_metrics
from hrm_rl.sweeps.results.records import write_sweep
from hrm_rl.utils.files import digest
from hrm_rl.utils.locks import FolderLock
from tests.helpers.commands import TINY_RUN as TINY
from tests.helpers.commands import files, refusal
from tests.helpers.paths import ROOT
from tests.helpers.small_sweeps import content, small_space, write_file
from tests.helpers.tiny import puzzles, write_csv

pytestmark = pytest.mark.usefixtures("own_folder")
refused = partial(refusal, launch.main)
UNNAMED = [word for word in TINY if word not in ("--run-name", "r")]
RESUME = "--run-name r --resume --num-workers 0 --cpus-per-worker 1 --max-updates 8".split()  # noqa: SIM905


def test_a_run_that_starts_in_the_same_second_gets_a_folder_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20261128-101010")
    for seed in ("1", "2"):
        assert launch.main([*UNNAMED, "--max-updates", "2", "--seed", seed]) == 0
    out = capsys.readouterr().out
    assert "--run-name sudoku4-quick-20261128-101010-2 " in out
    for name, seed in (("", 1), ("-2", 2)):
        run = Path(f"runs/sudoku4-quick-20261128-101010{name}")
        assert yaml.safe_load((run / "config.yaml").read_text())["seed"] == seed
        assert len(read_metrics(run / "metrics.jsonl")) == 2
        assert not (run / "lock").exists()


@pytest.mark.slow
def test_a_job_array_of_three_on_one_machine_makes_three_whole_runs() -> None:
    """Real processes, which start as close together as they can."""
    jobs = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "hrm_rl.cli.main",
                "train",
                *UNNAMED,
                "--max-updates",
                "4",
                "--seed",
                seed,
            ],
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2", "3")
    ]
    assert [(job.wait(), job.stderr.read()) for job in jobs if job.stderr] == [(0, "")] * 3
    runs = sorted(Path("runs").iterdir())
    assert len(runs) == 3
    assert {yaml.safe_load((run / "config.yaml").read_text())["seed"] for run in runs} == {1, 2, 3}
    for run in runs:
        updates = [record["update"] for record in read_metrics(run / "metrics.jsonl")]
        assert updates == [2, 4, 4], "two intervals and an evaluation"
        assert [p.name for p in selection.checkpoints(run / "checkpoints")] == ["update-00000004"]


def test_a_run_that_is_being_trained_is_not_resumed_and_nothing_of_it_is_touched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    launch.main([*TINY, "--max-updates", "4"])
    lock = FolderLock(Path("runs/r"), print)
    before = {p: p.stat().st_mtime_ns for p in Path("runs").rglob("*")}
    line = refused(*RESUME)
    assert f"run r is in use by {lock.me}: stop that one first, or choose another --run-name" in line
    assert {p: p.stat().st_mtime_ns for p in Path("runs").rglob("*")} == before
    lock.release()
    assert launch.main(RESUME) == 0


def test_a_trial_is_not_trained_by_its_sweep_and_as_a_run_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    write_sweep(Path("sweeps/s"), content(), "my.yaml", small_space(), 0, 4)
    trials = ["--storage-path", "sweeps/s/trials"]
    launch.main([*TINY, *trials, "--max-updates", "2"])
    lock = FolderLock(Path("sweeps/s"), print)
    assert "is a trial of sweep s, which is in use by process" in refused(*RESUME, *trials)
    assert "sweep s is in use by process" in refusal(tune.main, "--sweep-name", "s", "--resume")
    lock.release()
    lock = FolderLock(Path("sweeps/s/trials/r"), print)
    assert "trial r of sweep s is in use by process" in refusal(tune.main, "--sweep-name", "s", "--resume")
    lock.release()


def test_a_sweep_whose_name_is_taken_is_refused_only_if_the_user_gave_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_file(Path("my.yaml"))
    begun: list[Path] = []

    def search(command: object, sweep: tune.SweepPlan, args: object, kept: object) -> int:
        begun.append(sweep.folder)
        write_sweep(sweep.folder, sweep.content, sweep.file, sweep.space, 0, 4)
        return 0

    monkeypatch.setattr(tune, "_search", search)
    monkeypatch.setattr(time, "strftime", lambda *_: "20261128-101010")
    for _ in range(2):
        assert tune.main(["--space", "my.yaml"]) == 0
    assert [path.name for path in begun] == ["my-20261128-101010", "my-20261128-101010-2"]
    line = refusal(tune.main, "--space", "my.yaml", "--sweep-name", "my-20261128-101010")
    assert "choose another --sweep-name" in line


# Puzzles that move.


def puzzle_file(path: Path, count: int, seed: int = 0) -> Path:
    return write_csv(path, puzzles(count, seed=seed))


@pytest.fixture
def run_on_a_file(capsys: pytest.CaptureFixture[str]) -> Path:
    """The file that run r trained on and held puzzles out of."""
    file = puzzle_file(Path("train.csv"), 25)
    stages = ["--curriculum.stages", "all=1"]
    assert launch.main([*TINY, *stages, "--data.path", "train.csv", "--max-updates", "4"]) == 0
    return file


def test_rows_added_to_the_training_file_end_a_resume_in_one_line_and_are_said_by_evaluate(
    run_on_a_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = run_on_a_file.read_text()
    puzzle_file(run_on_a_file, 30)
    line = refused(*RESUME)
    assert f"data.path {run_on_a_file.absolute()} changed since the run began" in line
    assert "put it back as it was, or start a new run" in line
    assert "resume with" not in line
    capsys.readouterr()
    assert evaluate.main(["--checkpoint", "runs/r"]) == 0
    out, err = capsys.readouterr()
    assert "held out by the run" not in out
    assert "held out anew: the run's files have changed" in out
    assert f"warning: data.path {run_on_a_file.absolute()} changed since runs/r was trained" in err
    assert "it may have been trained on some of them" in err
    facts: list[tuple[str, str]] = []

    def write_report(out: Path, studies: object, title: str, told: list[tuple[str, str]], *_: object) -> Path:
        facts.extend(told)
        return out

    monkeypatch.setattr(analyze.report, "write_report", write_report)
    assert analyze.main(["--checkpoint", "runs/r", "--out", "report"]) == 0
    assert "it may have been trained on some of them" in capsys.readouterr().err
    assert "held out anew" in dict(facts)["puzzles"]
    assert evaluate.main(["--checkpoint", "runs/r", "--level", "easy", "--puzzles", "8"]) == 0
    assert "whether it was trained on some of these puzzles is not known" in capsys.readouterr().err
    run_on_a_file.write_text(content)
    assert launch.main(RESUME) == 0
    capsys.readouterr()
    assert evaluate.main(["--checkpoint", "runs/r"]) == 0
    out, err = capsys.readouterr()
    assert "held out by the run" in out
    assert err == ""


def test_starting_weights_that_changed_may_be_left_behind(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "4"])
    second = ["--run-name", "second", "--train.init-from", "runs/r"]
    launch.main([*TINY, *second, "--max-updates", "4"])
    launch.main(RESUME)  # r trains on
    resume = ["--run-name", "second", *RESUME[2:]]
    line = refused(*resume)
    assert f"train.init_from {Path('runs/r').absolute()} changed since the run began" in line
    assert "--train.init-from None" in line
    assert "train.init_from" in refused(*resume, "--train.init-from", "runs/second"), "it would do nothing"
    assert launch.main([*resume, "--train.init-from", "None"]) == 0


def test_a_run_of_before_digests_resumes_and_has_them_from_then_on(
    run_on_a_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(Path("runs/r/checkpoints/update-00000004"), "state.json", '"digests"', '"unknown"')
    puzzle_file(run_on_a_file, 25, seed=3)
    assert launch.main(RESUME) == 0
    puzzle_file(run_on_a_file, 25, seed=4)
    assert "changed since the run began" in refused(*RESUME[:-1], "12")


def test_a_sweep_is_resumed_with_the_puzzles_that_it_began_with_only() -> None:
    puzzle_file(Path("train.csv"), 40)
    data = str(Path("train.csv").absolute())
    made = content(set={"data.path": data, "curriculum.stages": ["all=1"]})
    space = small_space(set={"data.path": data, "curriculum.stages": ["all=1"]})
    write_sweep(Path("sweeps/s"), made, "my.yaml", space, 0, 4)
    puzzle_file(Path("train.csv"), 41)
    line = refusal(tune.main, "--sweep-name", "s", "--resume")
    assert f"data.path {data} changed since the sweep began" in line
    assert "start a new sweep" in line


# Weights that are no numbers.


def edit(path: Path, name: str, old: str, new: str) -> None:
    """Change a file of a checkpoint, with its manifest."""
    (path / name).write_text((path / name).read_text().replace(old, new))
    sign(path, name)


def sign(path: Path, name: str) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    manifest[name] = {"bytes": (path / name).stat().st_size, "sha256": digest(path / name)}
    (path / "manifest.json").write_text(json.dumps(manifest))


def poison(path: Path, value: float) -> None:
    """Weights of a checkpoint as a diverged run would leave them."""
    for name in ("model.safetensors", "averaged.safetensors"):
        tensors = safetensors.torch.load_file(path / name)
        tensors["lm_head.weight"][0, 0] = value
        safetensors.torch.save_file(tensors, path / name)
        sign(path, name)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused_by_all_who_read_them(
    value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    launch.main([*TINY, "--max-updates", "4"])
    assert export.main(["--checkpoint", "runs/r", "--out", "exported"]) == 0
    checkpoint = Path("runs/r/checkpoints/update-00000004")
    poison(checkpoint, value)
    why = (
        "model.safetensors is of no use, 1 of its 14 tensors holds NaN or infinity, the first lm_head.weight"
    )
    before = files()
    for main, more in (
        (evaluate.main, []),
        (solve.main, ["--random", "easy"]),
        (analyze.main, ["--out", "report"]),
        (export.main, ["--out", "again"]),
    ):
        assert why in refusal(main, "--checkpoint", str(checkpoint), *more)
        assert "holds no sound checkpoint" in refusal(main, "--checkpoint", "runs/r", *more)
    assert why in refused(*TINY[:-1], "other", "--train.init-from", str(checkpoint))
    assert f"no checkpoint of r is sound: checkpoint update-00000004 is damaged ({why}" in refused(*RESUME)
    assert files() == before

    weights = Path("exported/model.safetensors")
    tensors = safetensors.torch.load_file(weights)
    tensors["lm_head.weight"][0, 0] = value
    safetensors.torch.save_file(tensors, weights)
    for main, more in ((evaluate.main, []), (solve.main, ["--random", "easy"])):
        line = refusal(main, "--checkpoint", "exported", *more)
        assert "tensors holds NaN or infinity, the first lm_head.weight: make the folder again" in line


def test_a_run_goes_back_behind_weights_that_are_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    launch.main([*TINY, "--max-updates", "8"])
    poison(Path("runs/r/checkpoints/update-00000008"), float("inf"))
    capsys.readouterr()
    assert evaluate.main(["--checkpoint", "runs/r", "--json"]) == 0
    assert "update-00000004" in capsys.readouterr().out
    assert launch.main(RESUME) == 0
    assert "resuming from update 4" in capsys.readouterr().out


def test_a_run_that_diverged_is_not_told_to_resume(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import hrm_rl.agents.optim as optim

    launch.main([*TINY, "--max-updates", "4"])
    monkeypatch.setattr(optim, "clip_gradients", lambda *_: torch.tensor(float("nan")))
    line = refused(*RESUME[:-1], "100")
    assert "start a new run with a lower --optim.lr" in line
    assert "resume with" not in line


# Settings that act.


def test_the_preset_that_a_file_names_is_the_one_it_is_put_over(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text("preset: maze-quick\ntrain: {max_updates: 7}\n")
    config = launch._defaults(["--config", "my.yaml"])
    expected = get_preset("maze-quick")
    assert (config.env, config.preset, config.train.max_updates) == (expected.env, "maze-quick", 7)
    assert launch._defaults(["--config", "my.yaml", "--preset", "maze-quick"]) == config
    line = refused("--config", "my.yaml", "--preset", "sudoku6")
    assert "my.yaml is on preset maze-quick, and --preset says sudoku6: leave one of them out" in line
    Path("my.yaml").write_text("preset: maze-quik\n")
    assert "my.yaml: unknown preset 'maze-quik'; did you mean 'maze-quick'?" in refused("--config", "my.yaml")
    Path("my.yaml").write_text("preset: 3\n")
    assert "my.yaml: preset: Input should be a valid string, not 3" in refused("--config", "my.yaml")


def test_the_home_folder_is_meant_by_a_tilde_where_flags_decide_the_defaults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    Path("home").mkdir()
    Path("home/my.yaml").write_text("seed: 5\n")
    assert launch.main([*TINY, "--config=~/my.yaml", "--storage-path=~/runs", "--max-updates", "2"]) == 0
    assert yaml.safe_load(Path("home/runs/r/config.yaml").read_text())["seed"] == 5
    assert "no run to resume" in refused(*RESUME)
    assert launch.main([*RESUME, "--storage-path=~/runs"]) == 0
    assert files() & {"~", "runs"} == set()


def test_a_part_of_puzzles_that_are_generated_without_end_is_refused() -> None:
    assert "data.max_puzzles=5 takes a part of given puzzles" in refused(*TINY, "--data.max-puzzles", "5")
