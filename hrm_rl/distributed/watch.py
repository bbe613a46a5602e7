"""Waiting for Ray Train or Ray Tune, while the user sees how it goes and can stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hrm_rl.utils import stops

LOOK_EVERY = 0.2
"""Seconds between two looks at what there is to show."""
Result = TypeVar("Result")


def watch(
    fit: Callable[[], Result],
    show: Callable[[], None],
    has_begun: Callable[[], bool],
    stop_request: Path,
    say: Callable[[str], None],
    stopping: str,
    at_once: str = stops.AT_ONCE,
) -> Result | BaseException:
    """Run `fit` in a thread, so that this one can show how it goes and hear Ctrl-C. Returns the result of
    `fit`, or the error that ended it, for the caller to explain.

    show: called several times a second, and once more at the end.
    has_begun: whether `fit` has something to end in good order. Before that, when Ray starts processes or
        waits for room on a busy cluster, Ctrl-C does not wait for it.
    stop_request: the file with which the first Ctrl-C, or another signal to stop, asks for an early end;
        `say` is told that this is `stopping`. Another Ctrl-C ends a command at once, with the line `at_once`,
        and raises KeyboardInterrupt elsewhere (hrm_rl/utils/stops.py).
    """
    ended: list[Result | BaseException] = []
    done = threading.Event()  # Thread.join takes an interrupted thread for a finished one (CPython 3.11)
    asked: list[int] = []

    def run() -> None:
        try:
            ended.append(fit())
        except BaseException as error:
            ended.append(error)
        finally:
            done.set()

    def ask(signum: int) -> bool:
        if not has_begun():
            return False
        stop_request.touch()
        asked.append(signum)
        return True

    with stops.asking(ask, at_once):
        threading.Thread(target=run, name="fit", daemon=True).start()
        said = False
        while not done.is_set():
            done.wait(LOOK_EVERY)
            show()
            if asked and not said:
                said = True
                say(f"{stops.prefix(asked[0])}{stopping}; Ctrl-C again to stop at once")
        show()
    return ended[0]
