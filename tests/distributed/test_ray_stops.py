"""Runs and sweeps with Ray, as processes that are stopped: nothing that Ray starts hears a signal to all of
the group before the checkpoint, Ray swallows none, and nothing of it is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from hrm_rl.sweeps.results.reading import read_sweep
from tests.helpers.processes import MANY, TINY, TRAIN, TUNE, ended, saved, start, updates, wait_for
from tests.helpers.small_sweeps import content

pytestmark = pytest.mark.slow

ONE_WORKER = " ".join([*TINY, *MANY]).replace("--num-workers 0", "--num-workers 1").split()


def left(session: int) -> list[str]:
    """The processes of a session that are left ten seconds after its leader has ended. One that has ended
    too and that no init of this container has asked for (Z) is none."""
    deadline = time.monotonic() + 10
    while True:
        listed = subprocess.run(["ps", "-eo", "sid=,stat=,args="], capture_output=True, text=True).stdout
        every = [line.split(None, 2) for line in listed.splitlines()]
        found = [args for sid, state, args in every if sid == str(session) and not state.startswith("Z")]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def test_a_signal_to_all_of_the_group_ends_a_run_with_a_checkpoint_and_no_second_one_shows_a_traceback(
    tmp_path: Path,
) -> None:
    run = start([TRAIN, *ONE_WORKER], tmp_path)
    wait_for(run, lambda: updates(tmp_path / "runs/r") >= 4)
    os.killpg(run.pid, signal.SIGTERM)  # as timeout, systemd and slurm do
    assert run.stdout is not None
    out = ""
    for line in run.stdout:
        out += line
        if line.startswith("stopped at update "):
            break
    time.sleep(0.1)
    run.send_signal(signal.SIGINT)  # while the summary is said, or while Ray ends
    status, _, errors = ended(run, 60)
    assert "SIGTERM: stopping with a checkpoint; Ctrl-C again to stop at once" in out
    assert status in (143, 130)
    assert errors == "" or errors.startswith("stopped at once; resume with: ")
    assert "Traceback" not in errors
    assert saved(tmp_path / "runs/r") >= 4
    assert left(run.pid) == []


def test_ctrl_c_while_ray_starts_is_never_swallowed(tmp_path: Path) -> None:
    chooser = random.Random(1)
    for i in range(2):
        folder = tmp_path / str(i)
        folder.mkdir()
        run = start([TRAIN, *ONE_WORKER], folder)
        assert run.stdout is not None
        assert any("--logdir" in line for line in run.stdout)  # the banner's last line; Ray starts next
        time.sleep(4 * chooser.random())
        os.killpg(run.pid, signal.SIGINT)
        status, out, errors = ended(run, 60)
        assert status == 130
        assert "Traceback" not in errors
        if "stopped at update" not in out:
            begun = (folder / "runs/r/versions.jsonl").exists()
            assert errors.startswith("stopped at once; resume with: " if begun else "interrupted")
            assert errors.count("\n") == 1
        assert left(run.pid) == []


def test_a_signal_to_all_of_the_group_ends_every_trial_of_a_sweep_with_a_checkpoint(tmp_path: Path) -> None:
    space = content(
        budget={"max_updates": 1_000_000, "num_samples": 2},
        set={"train.eval_every": 10, "train.checkpoint_every": 1_000_000},
    )
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(space))
    args = ["--space", "small.yaml", "--sweep-name", "s"]
    sweep = start([TUNE, *args], tmp_path)
    folder = tmp_path / "sweeps/s"

    def one_runs() -> bool:
        return (folder / "sweep.yaml").exists() and any(t.updates >= 10 for t in read_sweep(folder).trials)

    wait_for(sweep, one_runs)
    os.killpg(sweep.pid, signal.SIGHUP)
    status, out, errors = ended(sweep, 90)
    assert status == 129, errors
    assert "SIGHUP: stopping every trial with a checkpoint; Ctrl-C again to stop at once" in out
    assert "stopped; resume with: " in out
    assert "Traceback" not in errors
    begun = [trial for trial in read_sweep(folder).trials if trial.updates]
    assert {trial.status for trial in begun} == {"paused"}
    assert all(saved(folder / "trials" / trial.id) >= 10 for trial in begun)
    assert left(sweep.pid) == []
