"""Timers of generators, canonical forms, environments and evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from envs import ActVectorEnv, PoolSource, make_task
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.build import build_learner
from hrm_rl.config import Config
from hrm_rl.data.held_out import held_out_rng
from hrm_rl.data.streams import build_data
from hrm_rl.evaluation.scores import evaluate
from hrm_rl.utils.devices import choose_device

GENERATED = (("sudoku", 4), ("sudoku", 6), ("sudoku", 9), ("maze", 6), ("maze", 10), ("maze", 30))

ENV_SLOTS = 512
PUZZLES, FORMS = 500, 1000
"""Puzzles that are made, or brought into canonical form, by one call."""


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Units a second of `work`, which returns how many it did; one call before the clock starts."""
    work()
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        done += work()
    return done / elapsed


def time_generator(seconds: float) -> dict[str, Any]:
    """Puzzles a second and core, by task, size and level: Sudokus, every one proven unique, and mazes of the
    levels that are made on the fly."""
    rates: dict[str, Any] = {}
    for name, size in GENERATED:
        task = make_task(name, size=size)
        for level in task.levels if name == "sudoku" else task.levels[:-1]:
            rng = held_out_rng(0)

            def work(level: str = level, task: Any = task, rng: np.random.Generator = rng) -> int:
                return len(task.generate(level, PUZZLES, rng))

            rates[f"{name} {size}x{size} {level}"] = _rate(work, seconds)
    return {"puzzles_per_s_and_core": rates}


def time_canonical(seconds: float) -> dict[str, Any]:
    """Canonical forms a second and core, of the check that no held-out puzzle was trained on."""
    rates: dict[str, Any] = {}
    for name, size in (("sudoku", 9), ("maze", 30)):
        task = make_task(name, size=size)
        inputs = task.generate("medium", FORMS, held_out_rng(0)).inputs

        def work(task: Any = task, inputs: Any = inputs) -> int:
            return len(task.canonical(inputs))

        rates[f"{name} {size}x{size} medium"] = _rate(work, seconds)
    return {"puzzles_per_s_and_core": rates}


def time_env(seconds: float) -> dict[str, Any]:
    """Slot-steps a second of the vector environment under a random policy, puzzles from memory."""
    task = make_task("sudoku", size=9)
    source = PoolSource(task, task.generate("easy", 10_000, held_out_rng(0)), seed=0)
    env = ActVectorEnv(task, source, ENV_SLOTS, halt_max_steps=16)
    rng = np.random.default_rng(0)
    answer = rng.integers(0, task.vocab_size, (ENV_SLOTS, 81), dtype=np.uint8)
    env.reset()

    def work() -> int:
        env.step({"answer": answer, "halt": rng.integers(0, 2, ENV_SLOTS)})
        return ENV_SLOTS

    return {"slots": ENV_SLOTS, "slot_steps_per_s": _rate(work, seconds)}


def time_evaluation(config: Config, seconds: float) -> dict[str, Any]:
    """Puzzles a second with the whole budget spent on each."""
    data = build_data(config)
    data.source.close()
    learner = build_learner(config, data, choose_device(config.train.device), rank=0, world_size=1)
    puzzles = data.held_out.take(slice(0, config.train.global_batch_size))
    budget, solver = config.halting.halt_max_steps, Solver.of(config, learner.model, data.task)

    def work() -> int:
        evaluate(solver, puzzles, Stopping(budget, "fixed"))
        return len(puzzles)

    return {"budget": budget, "puzzles_per_s": _rate(work, seconds)}
