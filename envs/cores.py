"""How many processors this process may use: what it is pinned to, and the CPU quota of its control groups, by
which containers and batch systems hold a process to less than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

V1 = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
"""Folders under /sys/fs/cgroup that the controller of CPU time has been mounted at, in version 1."""
V2 = ("", "unified")


def usable_cpus() -> int:
    """Processors for threads and workers, at least 1. A quota of 2.5 CPUs counts as 2."""
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    return max(1, min(cpus, int(cpu_quota() or cpus)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs that the control groups of this process allow, the least of the group and those above it; None
    without a limit. root: where `proc` and `sys` are, for tests."""
    found = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders in which limits of this process may stand. In a container the path of its group may be that
    of the machine outside, of which only the upper end, the container's own group, is to be seen."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for mount in V1 if controllers else V2:
            for depth in range(len(parts), -1, -1):
                yield mounts.joinpath(mount, *parts[:depth])


def _quota(folder: Path) -> float | None:
    """The limit of one group, in CPUs."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # `max`: no limit
        return None
    return limit if limit > 0 else None
