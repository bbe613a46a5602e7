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

from tests.helpers.paths import ROOT

SECONDS = 120.0
"""What a process may take for what a test waits for, on a machine that does other things too."""


def _as_from_a_terminal() -> None:
    """A shell that starts pytest in the background has it and its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(args: Sequence[str], cwd: Path = ROOT, **options: Any) -> subprocess.Popen[str]:
    """Python with these arguments, in a process group of its own, output and errors in pipes.

    It leads a session, so that a signal to all of its group finds it and its children alone."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    defaults: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, *args],
        cwd=cwd,
        env=environment,
        text=True,
        preexec_fn=_as_from_a_terminal,
        start_new_session=True,
        **{**defaults, **options},
    )


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, as long as the process lives."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if process.poll() is not None:
            raise AssertionError(f"it ended too early, with {process.returncode}: {process.communicate()}")
        assert time.monotonic() < deadline, "it took too long"
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
