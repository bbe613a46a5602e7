"""Compiling the kernels of tasks with Numba, and keeping what was compiled where it can be kept.

Numba writes beside the code, else into the cache folder of the home. In a container neither may be writable;
then it is a folder of this user's in the temporary one. The variable NUMBA_CACHE_DIR names another.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Any:
    """`function`, compiled when it is first called, without Python's lock, and kept for the next process."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # `cannot cache function ...: no locator available`
        folder = _temporary_folder()
    if folder is None:
        return numba.njit(nogil=True)(function)
    # The processes that this one starts shall not look for it again.
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return numba.njit(cache=True, nogil=True)(function)


@functools.cache
def _temporary_folder() -> Path | None:
    """A folder in the temporary one that nobody else can write to, since code in it is run; None, which is
    said once, where there can be none."""
    try:
        folder = Path(tempfile.gettempdir()) / f"hrm-rl-numba-{os.getuid() if hasattr(os, 'getuid') else 0}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
            folder = Path(tempfile.mkdtemp(prefix="hrm-rl-numba-"))
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        print(
            f"warning: compiled code cannot be kept ({error}), so every process compiles it again: set "
            "NUMBA_CACHE_DIR to a folder that can be written to",
            file=sys.stderr,
        )
        return None
    return folder
