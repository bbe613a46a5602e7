"""What the phases of an update cost: part `update` of scripts/benchmark.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from hrm_rl.agents.act import learner as learner_module
from hrm_rl.agents.act.learner import Learner
from hrm_rl.agents.build import build_learner
from hrm_rl.benchmarks.measure import flop_of_update, matmul_peak, peak_bytes
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data
from hrm_rl.utils.devices import choose_device

PHASES = ("data", "env", "forward", "bootstrap forward", "backward", "optimiser", "other")


class Stopwatch:
    """Adds up the time spent inside wrapped calls, by phase; time in a nested phase counts there alone."""

    def __init__(self, device: torch.device):
        self.device = device
        self.spent = dict.fromkeys(PHASES, 0.0)
        self._stack: list[str] = ["other"]
        self._since = time.perf_counter()

    def _switch(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.spent[self._stack[-1]] += now - self._since
        self._since = now

    def wrap(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._stack.append(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._stack.pop()

        return timed

    def restart(self) -> None:
        self.spent = dict.fromkeys(PHASES, 0.0)
        self._switch()
        self.spent = dict.fromkeys(PHASES, 0.0)


class _TimedModel:
    """A model whose calls are timed; everything else is the model's own."""

    def __init__(self, model: Any, call: Callable[..., Any]):
        self._model = model
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _instrument(learner: Learner, watch: Stopwatch) -> None:
    """Time the phases of `learner.update` where it hands over to them."""
    model: Any = learner.model
    learner.training_model = watch.wrap("forward", model)
    learner.model = _TimedModel(model, watch.wrap("bootstrap forward", model))  # type: ignore[assignment]
    env: Any = learner.env
    env.step = watch.wrap("env", env.step)
    env.source.draw = watch.wrap("data", env.source.draw)
    this: Any = learner
    this._backward = watch.wrap("backward", learner._backward)
    optimizer: Any = learner.optimizer
    optimizer.step = watch.wrap("optimiser", optimizer.step)
    module: Any = learner_module
    module.clip_gradients = watch.wrap("optimiser", learner_module.clip_gradients)
    if learner.averaged is not None:
        averaged: Any = learner.averaged
        averaged.update = watch.wrap("optimiser", averaged.update)


def time_update(config: Config, seconds: float) -> dict[str, Any]:
    """Time of an update, its phases, its share of the machine's own matrix-multiply peak, and the memory it
    takes beside weights, optimisers and carry."""
    data = build_data(config)
    device = choose_device(config.train.device)
    learner = build_learner(config, data, device, rank=0, world_size=1)
    note = {"not_compiled": learner.not_compiled} if learner.not_compiled else {}
    learner.start()
    learner.update()
    memory = peak_bytes(learner.update, device)
    flop = flop_of_update(config, device)
    original = learner_module.clip_gradients
    watch = Stopwatch(device)
    _instrument(learner, watch)
    learner.update()
    watch.restart()
    updates, started = 0, time.perf_counter()
    while updates < 3 or time.perf_counter() - started < seconds:
        learner.update()
        updates += 1
    watch._switch()
    learner_module.clip_gradients = original
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
