"""Commands as processes that are stopped: by Ctrl-C, by the signals of slurm, docker and systemd, by a closed
terminal, by a reader that goes away; from their first import on."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.processes import MANY, TINY, TRAIN, ended, saved, start, updates, wait_for


def test_sigterm_and_sigusr1_end_a_run_with_a_checkpoint_a_summary_and_the_command_to_resume(
    tmp_path: Path,
) -> None:
    run = start([TRAIN, *TINY, *MANY], tmp_path)
    wait_for(run, lambda: updates(tmp_path / "runs/r") >= 4)
    run.send_signal(signal.SIGTERM)
    run.send_signal(signal.SIGTERM)  # `timeout` sends it twice
    status, out, errors = ended(run, 30)
    assert (status, errors) == (
        143,
        "SIGTERM: stopping after this update; Ctrl-C again to stop without a checkpoint\n",
    )
    update = saved(tmp_path / "runs/r")
    assert f"stopped at update {update} of 1000000" in out
    resume = next(line for line in out.splitlines() if line.startswith("  resume: "))
    assert resume.endswith("--run-name r --num-workers 0 --cpus-per-worker 1 --resume")

    run = start([TRAIN, *resume.partition("train_ray.py ")[2].split()], tmp_path)
    wait_for(run, lambda: updates(tmp_path / "runs/r") >= update + 4)
    run.send_signal(signal.SIGUSR1)
    status, out, _ = ended(run, 30)
    assert status == 138
    assert f"resuming from update {update}" in out
    assert saved(tmp_path / "runs/r") > update


def test_a_terminal_that_closes_ends_a_run_with_a_checkpoint(tmp_path: Path) -> None:
    user, terminal = os.openpty()
    command = ["-c", f"""
import fcntl, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal of this session: it hears when that is closed
sys.argv = {["train_ray.py", *TINY, *MANY]!r}
runpy.run_path({TRAIN!r}, run_name="__main__")
"""]  # fmt: skip
    run = start(command, tmp_path, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    wait_for(run, lambda: updates(tmp_path / "runs/r") >= 4)
    os.close(user)
    assert ended(run, 30)[0] == 129
    assert saved(tmp_path / "runs/r") >= 4


def test_a_reader_that_goes_away_ends_no_run(tmp_path: Path) -> None:
    run = start([TRAIN, *TINY, "--max-updates", "12"], tmp_path)
    assert run.stdout is not None
    assert run.stdout.readline().startswith("r: ")
    run.stdout.close()
    run.stdout = None
    status, _, errors = ended(run)
    assert (status, errors) == (0, "nobody reads the output any more: the run goes on in runs/r\n")
    assert saved(tmp_path / "runs/r") == 12


@pytest.mark.parametrize(
    "command",
    [
        "scripts/evaluate.py --checkpoint RUN",
        "scripts/tune_ray.py --space quick --dry-run",
        "scripts/train_ray.py --help",
    ],
)
def test_a_command_whose_reader_goes_away_ends_quietly(command: str, run_dir: Path) -> None:
    process = start(command.replace("RUN", str(run_dir)).split(), ROOT)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert ended(process) == (0, None, "")


def interrupt(args: list[str], delay: float, cwd: Path) -> tuple[int, str, str]:
    """Start a command and press Ctrl-C after so many seconds."""
    process = start(args, cwd)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    return ended(process, 60)


def startup_seconds() -> float:
    """What Python itself takes to begin, when nothing of this project can hear a signal."""
    began = time.monotonic()
    assert ended(start(["-c", "pass"]))[0] == 0
    return time.monotonic() - began


@pytest.mark.slow
def test_ctrl_c_at_any_moment_of_the_imports_is_one_line(tmp_path: Path, run_dir: Path) -> None:
    commands = [
        [TRAIN, *TINY, *MANY],
        [str(ROOT / "scripts/evaluate.py"), "--checkpoint", str(run_dir)],
        ["-m", "hrm_rl.cli.main", "tune", "--space", "quick", "--dry-run"],
    ]
    chooser, begin = random.Random(0), 2 * startup_seconds()
    for i in range(6):
        folder = tmp_path / str(i)  # its own: on a fast machine the run is there before the signal
        folder.mkdir()
        status, out, errors = interrupt(commands[i % 3], begin + 3 * chooser.random(), folder)
        if errors == "" and out:  # all was said: it was over, or in its last moments
            assert status in (0, 130)
            continue
        assert (status, errors.count("\n")) == (130, 1), errors
        assert "interrupted" in errors or "stop" in errors
