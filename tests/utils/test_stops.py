"""Signals that ask a process to stop, in processes of their own: what they do in each phase of a command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hrm_rl.utils import stops
from tests.helpers.paths import ROOT
from tests.helpers.processes import ended, start

SHIELDED = pytest.mark.parametrize("shielded", [False, True])


def begin(body: str, shielded: bool, before: str = "") -> subprocess.Popen[str]:
    """A process that listens and then runs `body`, which says `ready` when it may be sent signals."""
    lines = "\n    ".join(body.strip().splitlines())
    process = start(["-u", "-c", f"""
import os, signal, sys, threading, time
{before}
from hrm_rl.utils import stops
stops.listen(shielded={shielded})
try:
    {lines}
except stops.Stopped as stop:
    print(stop.line, file=sys.stderr)
    sys.exit(stops.status(stop.signum))
finally:
    stops.let_go()
"""])  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


WORK = "print('ready'); time.sleep(30)"
LOOK = "while not asked: time.sleep(0.01)"


@SHIELDED
@pytest.mark.parametrize("signum", stops.SIGNALS)
def test_before_a_command_works_a_signal_ends_it_in_one_line(signum: signal.Signals, shielded: bool) -> None:
    process = begin(WORK, shielded)
    process.send_signal(signum)
    line = "interrupted" if signum == signal.SIGINT else f"stopped by {signum.name}"
    assert ended(process, 10) == (128 + signum, "", f"{line}\n")


@SHIELDED
def test_a_command_at_work_is_told_by_an_exception(shielded: bool) -> None:
    process = begin(
        """
with stops.raising():
    try:
        print("ready")
        for _ in range(3000): time.sleep(0.01)
    finally:
        print("in order")""",
        shielded,
    )
    process.send_signal(signal.SIGTERM)
    assert ended(process, 10) == (143, "in order\n", "stopped by SIGTERM\n")


@SHIELDED
def test_who_swallows_the_exception_is_ended_all_the_same(shielded: bool) -> None:
    process = begin(
        """
stops.GRACE_SECONDS = 0.3
with stops.raising():
    try:
        print("ready")
        for _ in range(3000): time.sleep(0.01)
    except BaseException:
        print("swallowed")
    time.sleep(30)""",
        shielded,
    )
    process.send_signal(signal.SIGINT)
    assert ended(process, 10) == (130, "swallowed\n", "interrupted\n")


@SHIELDED
def test_signals_close_together_are_one_request_and_only_another_ctrl_c_does_not_wait(shielded: bool) -> None:
    process = begin(
        """
asked = []
with stops.asking(lambda s: not asked.append(s), "resume with: this"):
    print("ready")
    while True: time.sleep(0.01)""",
        shielded,
    )
    for _ in range(3):
        process.send_signal(signal.SIGTERM)  # as timeout and uv do
        time.sleep(0.05)
    time.sleep(stops.SAME_SECONDS)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert ended(process, 10) == (130, "", "resume with: this\n")


@SHIELDED
def test_what_is_asked_to_end_ends_in_its_own_time_with_the_status_of_the_signal(shielded: bool) -> None:
    process = begin(
        f"""
asked = []
with stops.asking(lambda s: not asked.append(s), ""):
    print("ready")
    {LOOK}
print(asked)
sys.exit(stops.status())""",
        shielded,
    )
    process.send_signal(signal.SIGUSR1)
    assert ended(process, 10) == (138, f"[{int(signal.SIGUSR1)}]\n", "")


@SHIELDED
def test_what_cannot_be_asked_is_ended(shielded: bool) -> None:
    process = begin(
        """
def full(signum): raise OSError(28, "No space left on device")
with stops.asking(full, "resume with: this"):
    print("ready")
    while True: time.sleep(0.01)""",
        shielded,
    )
    process.send_signal(signal.SIGTERM)
    assert ended(process, 10) == (143, "", "resume with: this\n")


@SHIELDED
def test_nohup_is_respected(shielded: bool) -> None:
    process = begin(WORK, shielded, before="signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    assert ended(process, 10)[0] == 143


@SHIELDED
def test_the_last_moments_end_in_silence(shielded: bool) -> None:
    process = begin(
        """
import atexit
stops.let_go()
atexit.register(time.sleep, 30)
print("ready")""",
        shielded,
    )
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert ended(process, 10) == (130, "", "")


def test_processes_that_a_shielded_one_starts_do_not_hear_a_signal_to_all_of_the_group() -> None:
    process = begin(
        """
import subprocess
other = subprocess.Popen(["sleep", "30"])
asked = []
with stops.asking(lambda s: not asked.append(s), ""):
    print("ready")
    while not asked: time.sleep(0.01)
    time.sleep(0.2)
    print("lives" if other.poll() is None else "is dead")
other.kill()""",
        shielded=True,
    )
    os.killpg(process.pid, signal.SIGTERM)
    assert ended(process, 10) == (0, "lives\n", "")


def test_a_program_that_imports_this_has_its_own_handlers_back() -> None:
    heard: list[int] = []
    mine = signal.signal(signal.SIGUSR1, lambda signum, frame: heard.append(signum))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        asked: list[int] = []

        def ask(signum: int) -> bool:
            asked.append(signum)
            return True

        with stops.asking(ask, "line"):
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGINT)
            while not asked:
                time.sleep(0.01)
            time.sleep(stops.SAME_SECONDS)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert (heard, asked) == ([signal.SIGUSR1], [signal.SIGINT])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGUSR1, mine)
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_is_taken() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def run() -> None:
        with stops.asking(lambda signum: True, ""):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_stop_in_a_librarys_callback_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(
        sys, "unraisablehook", stops._without_stops(lambda about: seen.append(about.exc_value))
    )

    class Library:
        def __init__(self, error: BaseException):
            self.error = error

        def __del__(self) -> None:
            raise self.error

    fault = ValueError("a real one")
    for error in (stops.Stopped(signal.SIGINT), fault):
        Library(error)
    assert seen == [fault]


def test_a_process_that_leaves_writes_what_it_has_said_and_takes_along_what_it_started() -> None:
    code = """
import atexit, subprocess, sys
from hrm_rl.utils import stops
atexit.register(lambda: print("never"))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
stops.before_end(child.kill)
print(child.pid)
stops.leave(3)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert (done.returncode, done.stderr) == (3, "")
    pid = int(done.stdout)  # and nothing else
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert time.monotonic() < deadline
