"""`scripts/tune_ray.py` as a user meets it, up to the point where Ray starts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hrm_rl.cli import tune as tune_launch
from hrm_rl.sweeps.plan import Resources, plan_resources
from hrm_rl.sweeps.results.display import time_left
from hrm_rl.sweeps.results.reading import read_sweep
from hrm_rl.sweeps.results.records import Book, write_sweep
from hrm_rl.training.resources import Machine
from hrm_rl.utils.errors import UserError
from tests.helpers.commands import files, refusal
from tests.helpers.small_sweeps import content, small_space, write_file

pytestmark = pytest.mark.usefixtures("own_folder")
refused = partial(refusal, tune_launch.main)


def test_a_dry_run_shows_the_space_the_samples_the_plan_and_the_time_and_writes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_file(Path("my.yaml"))
    assert tune_launch.main(["--space", "my.yaml", "--dry-run", "--max-concurrent", "1"]) == 0
    out = capsys.readouterr().out
    for part in (
        "loguniform",
        "t0003  optim.lr=",
        "4, 1 at once: one process with 1 CPU each",
        "at most about",
    ):
        assert part in out, part
    assert files() == {"my.yaml"}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "--space FILE is missing"),
        (["--space", "mine.yaml"], "there is no file mine.yaml"),
        (["--spacee", "my.yaml"], "did you mean '--space'?"),
        (["--space", "my.yaml", "--num-samples", "x"], "--num-samples"),
        (["--space", "my.yaml", "--workers-per-trial", "0"], "give 1 (one process a trial)"),
        (["--space", "my.yaml", "--cpus-per-trial", "0.5"], "needs at least 1"),
        (["--space", "my.yaml", "--cpus-per-trial", "999"], "this would: "),
        (["--space", "my.yaml", "--max-concurrent", "0"], "give at least 1"),
        (["--space", "my.yaml", "--gpus-per-trial", "1"], "makes no sense here"),
        (["--space", "my.yaml", "--sweep-name", "a/b"], "must be a plain folder name"),
        (["--resume"], "--resume needs --sweep-name NAME"),
        (["--resume", "--sweep-name", "none"], "there is no sweep to resume"),
        (["--resume", "--sweep-name", "s", "--space", "my.yaml"], "leave out --space"),
        (["--resume", "--sweep-name", "s", "--seed", "1"], "leave out --seed"),
        (["--space", "my.yaml", "--sweep-name", "s"], "--sweep-name s --resume"),
        (["--report", "nowhere"], "nowhere is no sweep"),
    ],
)
def test_every_mistake_is_one_line(args: list[str], says: str) -> None:
    write_file(Path("my.yaml"))
    write_sweep(Path("sweeps/s"), content(), "my.yaml", small_space(), 0, 4)
    before = files()
    assert says in refused(*args)
    assert files() == before


def test_a_level_that_no_board_has_is_found_before_ray_starts() -> None:
    write_file(Path("my.yaml"), set={"curriculum.stages": ["easyy=1"]})
    assert "unknown level 'easyy'; did you mean 'easy'?" in refused("--space", "my.yaml")
    write_file(Path("my.yaml"), metric="eval/hard/solved", set={"curriculum.stages": ["easy=1"]})
    assert "is of level hard, which no stage of the curriculum has" in refused("--space", "my.yaml")


TWO, GPUS = Machine("this machine", 2, 0), Machine("this machine", 16, 2)


def plan(machine: Machine, workers: int = 1, cpus: Any = None, gpus: Any = None, **changes: Any) -> Resources:
    changes.setdefault("set", {"train.device": "auto"})
    return plan_resources(workers, cpus, gpus, None, machine, small_space(**changes), "python x")


def test_as_many_trials_run_at_once_as_fit() -> None:
    assert plan(TWO) == Resources(plan(TWO).group, 1.0, 0.0, 2)
    assert (plan(TWO).group.high, plan(TWO, workers=2).group.high) == (0, 2)
    assert plan(TWO, workers=2).concurrent == 1
    assert plan(TWO, cpus=2).concurrent == 1
    assert (plan(GPUS).concurrent, plan(GPUS).gpus, plan(GPUS).cpus) == (2, 1.0, 8.0)
    assert (plan(GPUS, gpus=0.25).concurrent, plan(GPUS, gpus=0.25).cpus) == (8, 2.0)
    assert (plan(GPUS, workers=2).concurrent, plan(GPUS, workers=2).gpus) == (1, 2.0)
    assert (plan(GPUS, gpus=0).concurrent, plan(GPUS, gpus=0).gpus) == (16, 0.0)
    two_nodes = Machine("the cluster", 6, 0, ((3, 0), (3, 0)))
    assert plan(two_nodes, cpus=2).concurrent == 2


def test_what_population_based_training_cannot_do_is_refused() -> None:
    pbt = {"scheduler": {"name": "pbt", "perturbation_interval": 4}}
    with pytest.raises(UserError, match="needs trials of one process"):
        plan(TWO, workers=2, **pbt)
    with pytest.raises(UserError, match="instead of --max-concurrent"):
        plan_resources(1, None, None, 1, TWO, small_space(**pbt), "python x")


def test_the_time_left_counts_running_and_coming_trials(tmp_path: Path) -> None:
    space = small_space()
    write_sweep(tmp_path, content(), "x", space, 0, 4)
    book = Book.open(tmp_path)
    assert time_left(read_sweep(tmp_path), 4, 2, 12) is None
    for id, changes in (
        ("t0000", {"status": "finished", "updates": 12, "seconds": 12.0}),
        ("t0001", {"status": "stopped", "updates": 4, "seconds": 4.0}),
        ("t0002", {"status": "running", "updates": 4, "seconds": 4.0}),
    ):
        book.begin(id, {"optim.lr": 1e-3}, space)
        book.note(id, **changes)
    # One second an update: 8 of the running trial, and 8, the mean of those that are over, of the one to
    # come.
    assert time_left(read_sweep(tmp_path), 4, 2, 12) == pytest.approx(8.0)


def test_the_report_is_made_again_from_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    write_sweep(Path("sweeps/s"), content(), "my.yaml", small_space(), 0, 4)
    assert tune_launch.main(["--report", "sweeps/s"]) == 0
    assert "no trial" in capsys.readouterr().out
