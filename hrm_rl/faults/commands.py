"""Commands in processes of their own, which a fault can strike at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAM = (
    "hrm_rl.cli.main", "hrm_rl.cli.train", "hrm_rl.cli.evaluate", "hrm_rl.cli.export",
    "hrm_rl.data.streams", "hrm_rl.training.local", "hrm_rl.training.plan",
)  # fmt: skip
"""The program, and what its commands would import."""
LONGEST = 120.0
"""Seconds after which a command on a tiny run is said to hang."""


@dataclass
class Running:
    """A command that was started."""

    commands: Commands
    pid: int
    log: Path
    started: float
    status: int | None = None
    """Its exit status once it has ended; minus the signal that ended it."""

    def poll(self) -> int | None:
        if self.status is None:
            self.status = self.commands.ask({"wait": self.pid})["status"]
        return self.status

    def wait(self, seconds: float = LONGEST) -> int | None:
        """Its exit status; None if it is still running after `seconds`, when it is killed."""
        if not self.until(lambda: False, seconds):
            return self.status
        self.kill()
        return None

    def until(self, reached: Callable[[], bool], seconds: float = LONGEST, every: float = 0.002) -> bool:
        """Wait for `reached`. Returns False if the command ended before."""
        end = time.monotonic() + seconds
        polled = 0.0
        while time.monotonic() < end and not reached():
            if time.monotonic() > polled + 0.02:
                polled = time.monotonic()
                if self.poll() is not None:
                    return False
            time.sleep(every)
        return True

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, and for SIGKILL wait until it is gone."""
        if self.poll() is not None:
            return
        os.kill(self.pid, number)
        while number == signal.SIGKILL and self.poll() is None:
            time.sleep(0.002)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")


class Commands:
    """Starts commands of `hrm-rl`; a context manager."""

    def __init__(self, folder: Path):
        """folder: where the commands run, and where their output is kept."""
        self.folder = folder
        self._count = 0

    def __enter__(self) -> Commands:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        environment.pop("RAY_ADDRESS", None)
        self._forker = subprocess.Popen(
            [sys.executable, "-m", "hrm_rl.faults.forker", *PROGRAM],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._forker.kill()
        self._forker.communicate()

    def ask(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self._forker.stdin is not None
        self._forker.stdin.write(json.dumps(what) + "\n")
        self._forker.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._forker.stdout is not None
        line = self._forker.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks commands has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def start(
        self,
        args: Sequence[str],
        env: Mapping[str, str | None] | None = None,
        limits: Mapping[str, int] | None = None,
        user: int | None = None,
    ) -> Running:
        """Start `hrm-rl ARGS`.

        env: changes of the environment; None takes a variable away.  limits: soft limits by their names in
        `resource`, such as RLIMIT_FSIZE.  user: number of the user to run as.
        """
        self._count += 1
        log = self.folder / f"command-{self._count}.log"
        asked = {
            "args": [str(arg) for arg in args],
            "folder": str(self.folder),
            "log": str(log),
            "env": dict(env or {}),
            "limits": dict(limits or {}),
            "user": user,
        }
        return Running(self, int(self.ask(asked)["pid"]), log, time.monotonic())

    def run(self, args: Sequence[str], seconds: float = LONGEST, **changes: Any) -> Running:
        """Run `hrm-rl ARGS` to its end."""
        running = self.start(args, **changes)
        running.wait(seconds)
        return running


def verdict(ended: Running) -> str | None:
    """What is wrong with how a command ended, whatever was done to it; None if it succeeded, or said in one
    line why it could not."""
    text = ended.output
    if "Traceback (most recent call last)" in text:
        return "a traceback"
    if ended.status is None:
        return "no end"
    if ended.status < 0:
        return f"killed by {signal.Signals(-ended.status).name}"
    if ended.status == 0:
        return None
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    return None if len(errors) == 1 else f"exit {ended.status} with {len(errors)} lines that say why"
