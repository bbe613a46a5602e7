"""What Linux tells of processes: who started whom, and what they take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process started, and those that these started."""
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            children.setdefault(int(_stat(folder.name)[1]), []).append(int(folder.name))
        except OSError:
            continue
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            waiting.append(child)
            yield child


def title(pid: int) -> str:
    """The command line of a process, as it shows itself; empty if it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process has in use. Raises OSError if it is gone."""
    pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Of a process so far, without those that it started. Raises OSError if it is gone."""
    stat = _stat(str(pid))
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def _stat(pid: str) -> list[str]:
    """The fields from the state on: before it is the name, in brackets, which may hold blanks."""
    return (PROC / pid / "stat").read_text().rpartition(")")[2].split()
