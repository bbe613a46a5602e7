"""What each format costs and keeps: size, accuracy, halting, the state's fidelity, speed. Tables in Markdown,
for a terminal and for a page.

Legend: N puzzles, K segments.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.puzzle import PAD
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import exact
from hrm_rl.evaluation.intervals import wilson
from hrm_rl.export.bundle import WrittenFormat
from hrm_rl.export.proof import AnswerTrace, Comparison
from hrm_rl.models import RecurrentModel

REPORT = "report.md"
BATCHES = (1, 64)
TIMED = 0.5
"""Seconds for which each format is timed at each batch size."""
LEAST_ROUNDS = 4


@dataclass(frozen=True)
class Reporter:
    """The tables of one model."""

    task: PuzzleTask
    puzzles: PuzzleBatch
    network: RecurrentModel
    """In float32."""
    made: Sequence[WrittenFormat]
    as_trained: Comparison | None
    """The network in the type that it was trained in, if that is not float32."""

    def tables(self) -> str:
        """All of them."""
        parts = [self._accuracy(), self._levels(), self._fidelity(), self._speed()]
        return "\n\n".join("\n".join(lines) for lines in parts) + "\n"

    @property
    def _traces(self) -> dict[str, AnswerTrace]:
        """By name, the network first."""
        found = {"network, float32": self.made[0].comparison.network}
        if self.as_trained is not None:
            found["network, bfloat16"] = self.as_trained.other
        return found | {one.kind: one.comparison.other for one in self.made}

    def _accuracy(self) -> list[str]:
        sizes: dict[str, int] = {one.kind: one.size for one in self.made}
        compared: dict[str, Comparison] = {one.kind: one.comparison for one in self.made}
        if self.as_trained is not None:
            compared["network, bfloat16"] = self.as_trained
        lines = _head(
            "format", "KiB", "exact", "lost, won", "cells", "segments", "logits within", "same halting",
            "same answer",
        )  # fmt: skip
        for name, trace in self._traces.items():
            right = exact(trace.handed_in(), self.puzzles.solution)
            changes = "{}, {}".format(*compared[name].changes()) if name in compared else ""
            found = compared[name].agreement() if name in compared else None
            agreed = (
                [f"{found.logits:.1e}", f"{found.halting:.1%}", f"{found.handed_in:.1%}"]
                if found
                else [""] * 3
            )
            size = f"{sizes[name] / 1024:,.0f}" if name in sizes else ""
            cells, segments = f"{self._cells(trace):.1%}", f"{trace.segments().mean():.2f}"
            lines.append(_row(name, size, _share(right), changes, cells, segments, *agreed))
        return lines

    def _levels(self) -> list[str]:
        """Solved by the rule, by level."""
        numbers = [n for n in range(len(self.task.levels)) if (self.puzzles.level == n).any()]
        lines = _head("solved by level", *(self.task.levels[n] for n in numbers))
        for name, trace in self._traces.items():
            solved = self.task.right(self.puzzles.inputs, trace.handed_in(), self.puzzles.solution)
            lines.append(_row(name, *(_share(solved[self.puzzles.level == n]) for n in numbers)))
        return lines

    def _fidelity(self) -> list[str]:
        budget = len(self.made[0].comparison.cosine)
        shown = sorted({2**i for i in range(budget.bit_length()) if 2**i <= budget} | {budget})
        lines = _head("state cosine after segment", *map(str, shown))
        for one in self.made:
            means = one.comparison.cosine.mean(axis=1)
            lines.append(_row(one.kind, *(f"{means[k - 1]:.5f}" for k in shown)))
        return lines

    def _speed(self) -> list[str]:
        threads = torch.get_num_threads()
        head = f"ms a segment, {threads} thread{'s' if threads > 1 else ''}"
        lines = _head(head, *(f"batch {size}" for size in BATCHES), "what it is")
        names = [("network, float32", "torch"), *((one.kind, one.about) for one in self.made)]
        models = [self.network, *(one.model.as_network() for one in self.made)]
        columns = [seconds_a_segment(models, self.puzzles, size) for size in BATCHES]
        for (name, about), *times in zip(names, *columns, strict=True):
            lines.append(_row(name, *(f"{1000 * t:.2f}" for t in times), about))
        return lines

    def _cells(self, trace: AnswerTrace) -> float:
        """Share of the cells to be found that are right."""
        open_cells = self.task.unknown(self.puzzles.inputs) & (self.puzzles.solution != PAD)
        return float((trace.handed_in() == self.puzzles.solution)[open_cells].mean())


@torch.no_grad()
def seconds_a_segment(models: Sequence[RecurrentModel], puzzles: PuzzleBatch, size: int) -> list[float]:
    """For each model the shortest of several runs of a first segment on `size` puzzles. They take turns,
    since others use the machine too."""
    some = puzzles.take(np.arange(size) % len(puzzles))
    tokens, identifier = torch.from_numpy(some.inputs).long(), torch.from_numpy(some.identifier)
    carries = [model.initial_carry(size) for model in models]
    shortest, rounds, end = [float("inf")] * len(models), 0, 0.0
    while rounds < LEAST_ROUNDS or time.perf_counter() < end:
        for i, (model, carry) in enumerate(zip(models, carries, strict=True)):
            begun = time.perf_counter()
            model(carry, tokens, identifier)
            shortest[i] = min(shortest[i], time.perf_counter() - begun)
        rounds += 1
        end = end or time.perf_counter() + TIMED * len(models)  # the first round warms up
    return shortest


def _share(right: NDArray[np.bool_]) -> str:
    """`93.8% (91.0-95.8)`, with the interval of Wilson."""
    low, high = wilson(int(right.sum()), len(right))
    return f"{right.mean():.1%} ({100 * low:.1f}-{100 * high:.1f})"


def _head(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
