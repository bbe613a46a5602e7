"""What the phases of an update cost: part `update` of scripts/benchmark.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from envs import PuzzleBatch
from envs.puzzle import PuzzleSource
from hrm_rl.agents.build import build_learner
from hrm_rl.benchmarks.measure import flop_of_update, matmul_peak, peak_bytes
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data
from hrm_rl.utils.devices import choose_device

PHASES = ("data", "env", "forward", "bootstrap forward", "backward", "optimiser", "other")


class Stopwatch:
    """Adds up the time spent in phases; time in a nested phase counts there alone."""

    def __init__(self, device: torch.device):
        self.device = device
        self.spent = dict.fromkeys(PHASES, 0.0)
        self._stack: list[str] = ["other"]
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Add the time since the last change of phase."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.spent[self._stack[-1]] += now - self._since
        self._since = now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """As a learner's `Phase`."""
        self.stop()
        self._stack.append(name)
        try:
            yield
        finally:
            self.stop()
            self._stack.pop()

    def restart(self) -> None:
        self.stop()
        self.spent = dict.fromkeys(PHASES, 0.0)


class TimedSource:
    """A source whose draws are the phase `data`; everything else is the source's own."""

    def __init__(self, source: PuzzleSource, watch: Stopwatch):
        self._source = source
        self._watch = watch

    def draw(self, count: int) -> PuzzleBatch:
        with self._watch.phase("data"):
            return self._source.draw(count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def time_update(config: Config, seconds: float) -> dict[str, Any]:
    """Time of an update, its phases, its share of the machine's own matrix-multiply peak, and the memory it
    takes on top of weights, optimisers and carry."""
    device = choose_device(config.train.device)
    watch = Stopwatch(device)
    data = build_data(config)
    source: Any = TimedSource(data.source, watch)
    learner = build_learner(config, replace(data, source=source), device, 0, 1, watch.phase)
    note = {"not_compiled": learner.not_compiled} if learner.not_compiled else {}
    learner.start()
    learner.update()
    memory = peak_bytes(learner.update, device)
    flop = flop_of_update(config, device)
    learner.update()
    watch.restart()
    updates, started = 0, time.perf_counter()
    while updates < 3 or time.perf_counter() - started < seconds:
        learner.update()
        updates += 1
    watch.stop()
    data.source.close()
    each = sum(watch.spent.values()) / updates
    peak = matmul_peak(device, getattr(torch, config.model.dtype))
    shares = {phase: spent / updates / each for phase, spent in watch.spent.items()}
    model_share = shares["forward"] + shares["bootstrap forward"] + shares["backward"] + shares["optimiser"]
    return note | {
        "slots": config.train.global_batch_size,
        "update_ms": 1000 * each,
        "gflop_per_update": flop / 1e9,
        "matmul_peak_gflops": peak / 1e9,
        "share_of_peak": flop / each / peak,
        "share_outside_model": 1 - model_share,
        "peak_memory_mb": memory / 1e6,
        "phases": shares,
    }
