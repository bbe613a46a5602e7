"""One step of the kit: a process of its own, with a limit, whose children end with it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal

from hrm_rl.benchmarks.processes import descendants

Figures = dict[str, Any]
"""What a step has found, by name; or one row of several."""
Status = Literal["done", "failed", "out of time", "not run"]
GRACE = 10.0
"""Seconds, within its limit, that a step has to end by itself after it was asked to."""
EVERY = 0.1
"""Seconds between two looks at a step."""
LAST_LINES = 15
"""Of the output of a step that failed, for the report."""


def json_lines(output: str) -> list[Figures]:
    """The lines of a step's output that are JSON objects."""
    found = []
    for line in output.splitlines():
        if line.startswith("{"):
            with suppress(ValueError):
                found.append(json.loads(line))
    return found


@dataclass(frozen=True)
class GpuStep:
    """What is run, and what is made of it."""

    name: str
    about: str
    """What it shows, in half a sentence."""
    command: tuple[str, ...]
    limit: float
    """Seconds."""
    read: Callable[[str], list[Figures]] = json_lines
    """Rows of figures, from its output. May raise what it likes: the step then has none."""
    endless: bool = False
    """Runs until its limit, when it is asked to end (Ctrl-C), and is then as it should be."""
    reserved: float = 0.0
    """Seconds that the steps before it leave for it."""
    missing: str = ""
    """Why it cannot be run here."""


@dataclass(frozen=True)
class GpuOutcome:
    """What became of a step: a line of results.jsonl."""

    step: str
    about: str
    status: Status
    seconds: float
    """From its start to its end."""
    command: str
    exit: int | None = None
    """Its exit status; minus the signal that ended it. None if it did not run."""
    found: tuple[Figures, ...] = ()
    why: str = ""
    """Why it is not done."""
    last: tuple[str, ...] = ()
    """The last lines of its output, if it is not done."""


def not_run(step: GpuStep, why: str) -> GpuOutcome:
    """Of a step that cannot begin."""
    return GpuOutcome(step.name, step.about, "not run", 0.0, shlex.join(step.command), why=why)


def run(step: GpuStep, log: Path, limit: float, stop: Event) -> GpuOutcome:
    """Run a step for at most `limit` seconds, or until `stop`, its output in `log`. What it has found counts
    also when it fails."""
    if step.missing:
        return not_run(step, step.missing)
    began = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment(os.environ),
            start_new_session=True,
        )
        try:
            late = _wait(process, step, began + limit, stop)
        finally:
            end(process)
    seconds = time.monotonic() - began
    output = log.read_text(errors="replace")
    asked = step.endless and not late and process.returncode in (0, 128 + signal.SIGINT, -signal.SIGINT)
    status: Status = "out of time" if late else "done" if process.returncode == 0 or asked else "failed"
    why = {"out of time": f"ended after {seconds:.0f} s", "failed": f"exit status {process.returncode}"}
    try:
        found = tuple(step.read(output))
    except Exception as error:  # whatever is missing from the files of a step that did not get far
        found = ()
        if status == "done":
            status, why = "failed", {"failed": f"it left no figures ({type(error).__name__}: {error})"}
    last = () if status == "done" else tuple(output.splitlines()[-LAST_LINES:])
    told = why.get(status, "")
    command = shlex.join(step.command)
    return GpuOutcome(step.name, step.about, status, seconds, command, process.returncode, found, told, last)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Of a step: output as it comes, without colours, and no Ray cluster of the user's."""
    return {k: v for k, v in own.items() if k != "RAY_ADDRESS"} | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def _wait(process: subprocess.Popen[bytes], step: GpuStep, deadline: float, stop: Event) -> bool:
    """Wait for a step until its deadline. Returns whether it has to be ended."""
    to_ask = deadline - GRACE if step.endless else deadline
    while process.poll() is None and time.monotonic() < deadline and not stop.is_set():
        if time.monotonic() > to_ask:
            process.send_signal(signal.SIGINT)
            to_ask = deadline
        time.sleep(EVERY)
    return process.poll() is None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a step and all that it started, also what has left its process group, as Ray's processes do."""
    running = process.poll() is None
    children = list(descendants(process.pid)) if running else []
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM if running else signal.SIGKILL)
    if not running:
        return
    with suppress(subprocess.TimeoutExpired):
        process.wait(2.0)
    children += [child for pid in children for child in descendants(pid) if child not in children]
    for kill, number in ((os.killpg, process.pid), *((os.kill, child) for child in children)):
        with suppress(ProcessLookupError):
            kill(number, signal.SIGKILL)
    process.wait()
