"""Being asked to stop: Ctrl-C, and the signals with which systems end a process.

SIGTERM comes from slurm, docker stop, systemd and timeout, SIGHUP from a terminal that is closed, SIGUSR1
and SIGUSR2 from schedulers before they end a job, SIGXCPU from a limit of CPU time; all ask for what the
first Ctrl-C asks for. What then happens depends on what the process is doing:

ending at once   nothing would be lost: one line, and the process is gone. So while it imports or Ray starts.
raising          a command works: it raises `Stopped`, so that what it has begun is put in order.
asking           a training or a sweep: it is told to end with a checkpoint (`asking`). A second Ctrl-C ends
                 the process at once; other signals that follow the first one change nothing.

A program that merely imports this project keeps its own handlers: only `asking` takes the signals, as long as
it lasts. A command begins with `listen`. This module is among the first that a command imports, so it imports
nothing that takes time.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
SAME_SECONDS = 0.5
"""Signals so close together are one request: `timeout` and `uv run` send theirs twice."""
AT_ONCE = "stopped at once"
"""What a second Ctrl-C is answered with, where there is nothing to add."""
GRACE_SECONDS = 10.0
"""What a command that was told to stop by an exception may take for that; then the process ends at once."""


class Stopped(KeyboardInterrupt):
    """A signal that asks this process to end; `line` is all that the user hears of it."""

    def __init__(self, signum: int, line: str | None = None):
        self.signum = signum
        self.line = line or said_of(signum)
        super().__init__(self.line)

    @staticmethod
    def of(error: KeyboardInterrupt, line: str | None = None) -> Stopped:
        """The same stop with something to say."""
        return Stopped(error.signum if isinstance(error, Stopped) else signal.SIGINT, line)


class _State:
    """What there is one of in a process."""

    def __init__(self) -> None:
        self.listening = False
        self.signum: int | None = None
        """The first signal that asked for an end."""
        self.since = 0.0
        self.line: str | None = None
        """What to say when the process ends at once."""
        self.answer: Callable[[int, bool], None] = _end
        """What to do about a signal; the second argument says whether it is not the first one."""
        self.to_raise = False
        self.before_end: Callable[[], None] = lambda: None

    def hear(self, signum: int) -> None:
        now = time.monotonic()
        again = self.signum is not None
        if again and now - self.since < SAME_SECONDS:
            return
        if not again:
            self.signum, self.since = signum, now
        try:
            self.answer(signum, again)
        except Exception:  # what was to be asked cannot be, on a full disk for example
            _end(signum, again)


def tell(line: str) -> None:
    """Write a line to standard error from wherever a signal finds the process, even in the middle of another
    line."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())


def name_of(signum: int) -> str:
    """`SIGTERM`."""
    return signal.Signals(signum).name


def prefix(signum: int) -> str:
    """What names the signal in front of a line about what it does; nothing for Ctrl-C."""
    return "" if signum == signal.SIGINT else f"{name_of(signum)}: "


def said_of(signum: int) -> str:
    """What a process says that a signal ended."""
    return "interrupted" if signum == signal.SIGINT else f"stopped by {name_of(signum)}"


def status(signum: int | None = None) -> int:
    """The exit status of a process that a signal ended: the one given, else the first that was heard, else
    Ctrl-C."""
    return 128 + (signum or _state.signum or signal.SIGINT)


def _end(signum: int, again: bool) -> None:
    line = said_of(signum) if _state.line is None else _state.line
    if line:
        show_cursor = "\033[?25h" if os.isatty(2) else ""  # which a progress bar hides
        tell(show_cursor + line)
    with suppress(Exception):
        _state.before_end()
    os._exit(128 + signum)


def _raise(signum: int, again: bool) -> None:
    if again:
        _end(signum, again)
    # Whatever swallows the exception (a destructor, a library) does not keep the process alive.
    watchdog = threading.Timer(GRACE_SECONDS, _end, (signum, again))
    watchdog.daemon = True
    watchdog.start()
    if threading.current_thread() is threading.main_thread():
        raise Stopped(signum)
    _state.to_raise = True
    _thread.interrupt_main(signal.Signals(signum))


def _on_signal(signum: int, frame: object) -> None:
    if _state.to_raise:
        _state.to_raise = False
        raise Stopped(_state.signum or signum)
    _state.hear(signum)


def _ignored(signum: int) -> bool:
    """Whether whoever started this process had it ignore a signal, as nohup does; SIGTERM is heard always."""
    return signum != signal.SIGTERM and signal.getsignal(signum) is signal.SIG_IGN


_state = _State()


def listen(shielded: bool = False) -> None:
    """Hear the signals from now on; at first they end the process at once. For the main thread of a process
    that is a command.

    shielded: for a command that starts Ray. Its signals are blocked and a thread waits for them. So Ray,
        which installs handlers of its own, takes none away; and the processes that it starts, and those that
        they start, have them blocked too. A signal that goes to all of a terminal, job or control group
        would otherwise end them before their checkpoint.
    """
    heard = {s for s in SIGNALS if not _ignored(s)}
    for signum in heard:
        signal.signal(signum, _on_signal)
    _state.listening = True
    sys.unraisablehook = _without_stops(sys.unraisablehook)
    atexit.register(_hand_back)  # the first to be registered is the last to be called
    if not shielded:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)

    def wait() -> None:
        while True:
            _state.hear(int(signal.sigwait(heard)))

    threading.Thread(target=wait, name="signals", daemon=True).start()


Unraisable = Callable[["sys.UnraisableHookArgs"], object]
"""A hook for errors that could not be raised."""


def _without_stops(hook: Unraisable) -> Unraisable:
    """`hook`, which says nothing of a stop that was raised where none can be, such as in a callback of a
    library: it is remembered."""

    def quiet(unraisable: sys.UnraisableHookArgs) -> object:
        return None if isinstance(unraisable.exc_value, Stopped) else hook(unraisable)

    return quiet


def shields() -> bool:
    """Whether the processes that this one starts have its signals blocked."""
    return signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def before_end(action: Callable[[], None]) -> None:
    """Have `action` done before a signal ends this process at once: what it has started, which does not hear
    the signals, has to end with it."""
    _state.before_end = action


def let_go() -> None:
    """Have the signals end this process in silence from now on: for its last moments, when all is written and
    said. Only in a process that listens."""
    if _state.listening:
        _state.answer, _state.line = _end, ""


def leave(status: int) -> NoReturn:
    """End a process that is a command and has done all of its work: at once, and with it what it has started.
    Python would first call every function registered for its exit, Ray's among them, and take down thousands
    of modules, which takes seconds and helps nobody."""
    let_go()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(Exception):
        _state.before_end()
    os._exit(status)


def _hand_back() -> None:
    """After all that is done at the exit, when no Python will run any more: the signals are the system's."""
    for signum in SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def _answering(answer: Callable[[int, bool], None], line: str | None) -> Iterator[None]:
    before = _state.answer, _state.line
    _state.answer, _state.line = answer, line
    try:
        yield
    finally:
        _state.answer, _state.line = before


@contextmanager
def raising() -> Iterator[None]:
    """Inside, a signal raises `Stopped` in the main thread; a second one, or GRACE_SECONDS, end the process
    at once. Only in a process that listens."""
    with _answering(_raise, None):
        yield


@contextmanager
def at_once(line: str | None = None) -> Iterator[None]:
    """Inside, a signal ends the process at once, with this line or that of the context around. Only in a
    process that listens."""
    with _answering(_end, _state.line if line is None else line):
        yield


@contextmanager
def asking(ask: Callable[[int], bool], line: str) -> Iterator[None]:
    """Inside, the first signal calls `ask` with its number, in whichever thread hears it. Another Ctrl-C ends
    a process that listens at once, with `line`. In any other it raises KeyboardInterrupt; there the signals
    are taken as long as this lasts, except those that somebody else handles.

    ask: must be quick and must not print (`tell` does). Returns whether there is anything to wait for: if
        not, the process ends at once.
    """

    def answer(signum: int, again: bool) -> None:
        if again and signum != signal.SIGINT:
            return
        if again or not ask(signum):
            if _state.listening:
                _end(signum, again)
            raise Stopped(signum)

    taken: dict[int, object] = {}
    if not _state.listening and threading.current_thread() is threading.main_thread():
        _state.signum = None
        for signum in SIGNALS:
            if signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler):
                taken[signum] = signal.signal(signum, _on_signal)
    try:
        with _answering(answer, line):
            if _state.listening and _state.signum is not None:
                answer(_state.signum, False)  # heard a moment ago, before there was anything to ask
            yield
    finally:
        _state.line = line  # of all that is done from here to the end it is still the right thing to say
        for signum, handler in taken.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]
