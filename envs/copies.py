"""What it takes to copy and send environments and sources: a thread that works ahead as an object, and arrays
that can be written to again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import numpy as np

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


def writable(state: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a copy, with arrays that can be written to: what Ray sends to an actor lies in memory
    that may only be read."""
    return {
        name: value.copy() if isinstance(value, np.ndarray) and not value.flags.writeable else value
        for name, value in state.items()
    }
