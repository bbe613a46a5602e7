"""`scripts/benchmark.py`: how fast this machine makes puzzles, steps environments, learns and answers.

Everything is timed in one process and one run, so that the ratios mean something on any machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Column, Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from envs import ActVectorEnv, PoolSource, make_task
from hrm_rl import learner as learner_module
from hrm_rl.benchmark_inference import time_adaptive, time_tracing
from hrm_rl.benchmark_targets import KINDS, matmul_peak, time_targets
from hrm_rl.cli import flag_value, parse
from hrm_rl.config import Config, Positive
from hrm_rl.data import build_data, held_out_rng
from hrm_rl.devices import choose_device
from hrm_rl.errors import UserError
from hrm_rl.evaluation import evaluate
from hrm_rl.files import provenance, write_atomically
from hrm_rl.inference import Stopping
from hrm_rl.learner import Learner
from hrm_rl.presets import get_preset
from hrm_rl.training import build_learner, use_threads

PROGRAM = "python scripts/benchmark.py"
PARTS = ("generator", "canonical", "env", "update", "evaluation", "adaptive", "tracing", "targets")
GENERATED = (("sudoku", 4), ("sudoku", 6), ("sudoku", 9), ("maze", 6), ("maze", 10), ("maze", 30))
ENV_SLOTS = 512
PHASES = ("data", "env", "forward", "bootstrap forward", "backward", "optimiser", "other")


class BenchmarkCommand(Config):
    """Flags of scripts/benchmark.py: what to time, and every setting of a run for the update it times."""

    only: tuple[str, ...] = PARTS
    """Parts to run: generator, canonical, env, update, evaluation, adaptive, tracing, targets (minutes)."""
    checkpoint: str | None = None
    """Parts adaptive and tracing: a run's folder, whose own halting is timed; a random network with drawn lengths if
    not given."""
    adaptive_puzzles: Positive = 1024
    """Part adaptive: puzzles, the fewer of which the more of the time is spent on the end of the queue."""
    threads: Positive = 1
    """CPU threads of torch."""
    seconds: float = 2.0
    """Time spent on each measurement."""
    json_file: str | None = None
    """File to write the numbers to."""


def main(args: Sequence[str]) -> int:
    """Run scripts/benchmark.py. Returns the exit status; raises UserError."""
    base = get_preset(flag_value(args, "preset") or "sudoku9-curriculum").model_dump()
    base["train"]["global_batch_size"] = 64
    base["data"]["exclude_twins"] = False  # nobody is judged here
    command = parse(BenchmarkCommand(**base), args, "Time the parts of the system.", PROGRAM)
    for part in command.only:
        if part not in PARTS:
            raise UserError(f"--only {part}: the parts are {', '.join(PARTS)}")
    use_threads(command.threads)
    console = Console(highlight=False)
    measure: dict[str, Callable[[BenchmarkCommand], dict[str, Any]]] = {
        "generator": time_generator,
        "canonical": time_canonical,
        "env": time_env,
        "update": time_update,
        "evaluation": time_evaluation,
        "adaptive": time_halting,
        "tracing": time_watching,
        "targets": lambda _: time_targets(KINDS),
    }
    results: dict[str, Any] = {"versions": provenance(), "threads": command.threads}
    for part in command.only:
        results[part] = measure[part](command)
        _print(console, part, results[part])
    if command.json_file is not None:
        try:
            write_atomically(Path(command.json_file), json.dumps(results, indent=1))
        except OSError as error:
            raise UserError(f"cannot write {command.json_file}: {error.strerror}") from None
    return 0


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Units a second of `work`, which returns how many it did; one call before the clock starts."""
    work()
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        done += work()
    return done / elapsed


def time_generator(command: BenchmarkCommand) -> dict[str, Any]:
    """Puzzles a second and core, by task, size and level: Sudokus, every one proven unique, and mazes of the levels
    that are made on the fly."""
    rates: dict[str, Any] = {}
    for name, size in GENERATED:
        task = make_task(name, size=size)
        for level in task.levels if name == "sudoku" else task.levels[:-1]:
            rng = held_out_rng(0)

            def work(level: str = level, task: Any = task, rng: np.random.Generator = rng) -> int:
                return len(task.generate(level, 500, rng))

            rates[f"{name} {size}x{size} {level}"] = _rate(work, command.seconds)
    return {"puzzles_per_s_and_core": rates}


def time_canonical(command: BenchmarkCommand) -> dict[str, Any]:
    """Canonical forms a second and core, of the check that no held-out puzzle was trained on."""
    rates: dict[str, Any] = {}
    for name, size in (("sudoku", 9), ("maze", 30)):
        task = make_task(name, size=size)
        inputs = task.generate("medium", 1000, held_out_rng(0)).inputs

        def work(task: Any = task, inputs: Any = inputs) -> int:
            return len(task.canonical(inputs))

        rates[f"{name} {size}x{size} medium"] = _rate(work, command.seconds)
    return {"puzzles_per_s_and_core": rates}


def time_env(command: BenchmarkCommand) -> dict[str, Any]:
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

    return {"slots": ENV_SLOTS, "slot_steps_per_s": _rate(work, command.seconds)}


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


def time_update(command: BenchmarkCommand) -> dict[str, Any]:
    """Time of an update, its phases, and its share of the machine's own matrix-multiply peak."""
    config = Config(**{name: getattr(command, name) for name in Config.model_fields})
    data = build_data(config)
    device = choose_device(config.train.device)
    learner = build_learner(config, data, device, rank=0, world_size=1)
    learner.start()
    # The counter knows no fused attention on the CPU; spelled out, its products are counted.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as flops:
        learner.update()
    original = learner_module.clip_gradients
    watch = Stopwatch(device)
    _instrument(learner, watch)
    learner.update()
    watch.restart()
    updates, started = 0, time.perf_counter()
    while updates < 3 or time.perf_counter() - started < command.seconds:
        learner.update()
        updates += 1
    watch._switch()
    learner_module.clip_gradients = original
    data.source.close()

    seconds = sum(watch.spent.values()) / updates
    peak = matmul_peak(device, getattr(torch, config.model.dtype))
    shares = {phase: spent / updates / seconds for phase, spent in watch.spent.items()}
    model_share = shares["forward"] + shares["bootstrap forward"] + shares["backward"] + shares["optimiser"]
    return {
        "slots": config.train.global_batch_size,
        "update_ms": 1000 * seconds,
        "gflop_per_update": flops.get_total_flops() / 1e9,
        "matmul_peak_gflops": peak / 1e9,
        "share_of_peak": flops.get_total_flops() / seconds / peak,
        "share_outside_model": 1 - model_share,
        "phases": shares,
    }


def time_evaluation(command: BenchmarkCommand) -> dict[str, Any]:
    """Puzzles a second with the whole budget spent on each."""
    config = Config(**{name: getattr(command, name) for name in Config.model_fields})
    data = build_data(config)
    data.source.close()
    learner = build_learner(config, data, choose_device(config.train.device), rank=0, world_size=1)
    puzzles = data.held_out.take(slice(0, config.train.global_batch_size))
    budget = config.halting.halt_max_steps

    def work() -> int:
        evaluate(learner.model, data.task, puzzles, Stopping(budget, "fixed"))
        return len(puzzles)

    return {"budget": budget, "puzzles_per_s": _rate(work, command.seconds)}


def time_halting(command: BenchmarkCommand) -> dict[str, Any]:
    """Adaptive inference against a fixed budget (see hrm_rl/benchmark_inference.py)."""
    return time_adaptive(
        command.checkpoint, command.train.global_batch_size, command.adaptive_puzzles, command.train.device
    )


def time_watching(command: BenchmarkCommand) -> dict[str, Any]:
    """What the hooks that watch states cost (see hrm_rl/benchmark_inference.py)."""
    return time_tracing(
        command.checkpoint, command.train.global_batch_size, max(3, round(100 * command.seconds))
    )


def _print(console: Console, part: str, numbers: dict[str, Any]) -> None:
    table = Table(Column(part), Column("", justify="right"))
    for name, value in numbers.items():
        if isinstance(value, dict):
            percent = name == "phases"
            for key, entry in value.items():
                digits = 2 if name == "segment_ms" else 0
                table.add_row(f"  {key}", f"{entry:.1%}" if percent else f"{entry:,.{digits}f}")
        elif name.startswith("share") or name.endswith("costs"):
            table.add_row(name, f"{value:.1%}")
        else:
            digits = 2 if isinstance(value, float) and abs(value) < 100 else 1
            table.add_row(name, f"{value:,.{digits}f}" if isinstance(value, float) else str(value))
    console.print(table)
