"""When the GPU had nothing to do during a recorded stretch of work, and what the CPU was at meanwhile.

Reads what torch.profiler writes for chrome://tracing: events with a start and a length in microseconds, of
kernels and copies on the GPU, of calls of the CUDA runtime, of operators, and of the phases of an update.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
WAITING = ("cuda_runtime", "cuda_driver")
OPERATOR, PHASE = "cpu_op", "user_annotation"
LEAST_US = 20.0
"""Shorter pauses between two kernels are no gaps."""


@dataclass(frozen=True)
class Event:
    """A stretch of time, in microseconds."""

    name: str
    kind: str
    start: float
    end: float


@dataclass(frozen=True)
class Gap:
    """Time without work on the device."""

    start: float
    end: float
    before: str
    """The work before it."""
    after: str
    phase: str
    """Of the update."""
    cpu: str
    """What the CPU was at in the middle of it."""

    @property
    def us(self) -> float:
        return self.end - self.start


class Covering:
    """Events, to be asked which of them a moment lies in."""

    def __init__(self, events: Sequence[Event]):
        self._names = [event.name for event in events]
        self._starts = np.array([event.start for event in events])
        self._ends = np.array([event.end for event in events])

    def innermost(self, moment: float) -> str:
        """The name of the shortest event that covers a moment; empty if none does."""
        covering = np.flatnonzero((self._starts <= moment) & (moment < self._ends))
        if not len(covering):
            return ""
        return self._names[covering[np.argmin((self._ends - self._starts)[covering])]]


def read_trace(path: Path) -> list[Event]:
    """The events of a trace (.json or .json.gz) that have a length."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        events: list[dict[str, Any]] = json.load(file)["traceEvents"]
    return [
        Event(e["name"], e["cat"], float(e["ts"]), float(e["ts"]) + float(e["dur"]))
        for e in events
        if e.get("ph") == "X" and "cat" in e
    ]


def busy_share(events: Sequence[Event]) -> float:
    """Share of the time from the first piece of work to the last in which there was some."""
    work = _work(events)
    if not work:
        return 0.0
    span = max(event.end for event in work) - work[0].start
    return 1 - sum(end - start for start, end, _, _ in _pauses(work)) / span


def find_gaps(events: Sequence[Event], least_us: float = LEAST_US) -> list[Gap]:
    """The gaps of at least so many microseconds, the longest first."""
    phases, calls, operators = (
        Covering([e for e in events if e.kind in kinds]) for kinds in ((PHASE,), WAITING, (OPERATOR,))
    )
    found = []
    for start, end, before, after in _pauses(_work(events)):
        if end - start >= least_us:
            middle = (start + end) / 2
            cpu = calls.innermost(middle) or operators.innermost(middle) or "Python"
            found.append(Gap(start, end, before, after, phases.innermost(middle) or "other", cpu))
    return sorted(found, key=lambda gap: -gap.us)


def summed(gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    """A row for each phase and occupation of the CPU: how many gaps and how long together, the most first."""
    rows: dict[tuple[str, str], list[float]] = {}
    for gap in gaps:
        rows.setdefault((gap.phase, gap.cpu), []).append(gap.us)
    by_time = sorted(rows.items(), key=lambda row: -sum(row[1]))
    return [
        {"phase": phase, "cpu": cpu, "gaps": len(us), "ms": sum(us) / 1000, "longest_ms": max(us) / 1000}
        for (phase, cpu), us in by_time
    ]


def _work(events: Sequence[Event]) -> list[Event]:
    """What the device did, by its start; operators of the CPU where there is no other device."""
    kinds = ON_DEVICE if any(e.kind in ON_DEVICE for e in events) else (OPERATOR,)
    return sorted((e for e in events if e.kind in kinds), key=lambda e: e.start)


def _pauses(work: Sequence[Event]) -> list[tuple[float, float, str, str]]:
    """Start, end, the work before and the work after of every pause."""
    found = []
    if work:
        last = work[0]
        for event in work[1:]:
            if event.start > last.end:
                found.append((last.end, event.start, last.name, event.name))
            if event.end > last.end:
                last = event
    return found
