"""A thread that works ahead, as an object that can be copied and sent to other processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Background:
    """One thread, started by the first call that it is given. A copy has a thread of its own and none of the
    calls."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Make this call after those before it."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="puzzles")
        return self._executor.submit(call, *args, **kwargs)

    def close(self) -> None:
        """Let the thread end after the call that it is in."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    def __reduce__(self) -> tuple[type[Background], tuple[()]]:
        return Background, ()
