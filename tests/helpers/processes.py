"""Commands as processes of their own, which tests send signals to or stop reading from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hrm_rl.runs import selection
from hrm_rl.runs.folder import RunFolder, read_metrics
from tests.helpers.paths import ROOT

TINY = """
    --preset sudoku4-quick --num-workers 0 --cpus-per-worker 1 --model.hidden-size 16 --model.num-heads 2
    --model.swiglu-multiple 16 --train.global-batch-size 4 --halting.halt-max-steps 2 --data.eval-puzzles 8
    --train.log-every 2 --run-name r
""".split()  # noqa: SIM905
"""A run called r, in the process itself."""
MANY = ("--max-updates", "1000000", "--train.eval-every", "1000000", "--train.checkpoint-every", "1000000")
"""So many updates that it ends only when it is stopped."""
TRAIN = str(ROOT / "scripts/train_ray.py")
TUNE = str(ROOT / "scripts/tune_ray.py")
SECONDS = 120.0
"""What a process may take for what a test waits for, on a machine that does other things too."""


def _as_from_a_terminal() -> None:
    """A shell that starts pytest in the background has it and its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(args: Sequence[str], cwd: Path = ROOT, **options: Any) -> subprocess.Popen[str]:
    """Python with these arguments, in a process group of its own, output and errors in pipes.

    It leads a session, so that a signal to all of its group finds it and its children alone.
    """
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(
        [sys.executable, *args],
        cwd=cwd,
        env=environment,
        text=True,
        preexec_fn=_as_from_a_terminal,
        start_new_session=True,
        **{**pipes, **options},
    )


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, as long as the process lives."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if process.poll() is not None:
            raise AssertionError(f"it ended too early, with {process.returncode}: {process.communicate()}")
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"it took too long: {process.communicate()}")
        time.sleep(0.02)


def ended(process: subprocess.Popen[str], seconds: float = SECONDS) -> tuple[int, str, str]:
    """Exit status as a shell says it, output and errors of a process, which may take so long to end."""
    try:
        out, errors = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    code = process.returncode
    return code if code >= 0 else 128 - code, out, errors


def updates(folder: Path) -> int:
    """The last update that a run has recorded, 0 for none."""
    metrics = RunFolder(folder).metrics
    records = read_metrics(metrics) if metrics.exists() else []
    return int(records[-1]["update"]) if records else 0


def saved(folder: Path) -> int:
    """The update of a run's newest checkpoint, which is sound; 0 for none."""
    found = selection.checkpoints(folder / "checkpoints")
    if not found:
        return 0
    assert selection.damage(found[0]) is None
    return selection.update_of(found[0])
