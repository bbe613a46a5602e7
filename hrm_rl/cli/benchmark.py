"""`scripts/benchmark.py`: how fast this machine makes puzzles, steps environments, learns and answers.

All parts are timed in one run, and all but whole runs with and without Ray in one process, so that the ratios mean
something on any machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from envs import ActVectorEnv, PoolSource, make_task
from hrm_rl.agents.act.engine import Stopping
from hrm_rl.benchmarks.adaptive import time_adaptive, time_tracing
from hrm_rl.benchmarks.growth import draw, time_growth
from hrm_rl.benchmarks.measure import Aim
from hrm_rl.benchmarks.report import print_part, summary
from hrm_rl.benchmarks.roofline import KINDS, time_targets
from hrm_rl.benchmarks.update import time_update
from hrm_rl.benchmarks.workers import time_ray
from hrm_rl.cli.flags import flag_value, parse
from hrm_rl.config import Config, Positive, get_preset
from hrm_rl.data.streams import build_data, held_out_rng
from hrm_rl.evaluation.evaluate import evaluate
from hrm_rl.training.loop import build_learner, use_threads
from hrm_rl.utils.devices import choose_device
from hrm_rl.utils.errors import UserError
from hrm_rl.utils.files import provenance, write_atomically

PROGRAM = "python scripts/benchmark.py"
PARTS = (
    "generator", "canonical", "env", "update", "evaluation", "adaptive", "tracing", "growth", "targets", "ray"
)  # fmt: skip
GENERATED = (("sudoku", 4), ("sudoku", 6), ("sudoku", 9), ("maze", 6), ("maze", 10), ("maze", 30))
ENV_SLOTS = 512


class BenchmarkCommand(Config):
    """Flags of scripts/benchmark.py: what to time, and every setting of a run for the update it times."""

    only: tuple[str, ...] = PARTS
    """Parts to run: generator, canonical, env, update, evaluation, adaptive, tracing, and the three that take
    minutes: growth, targets, ray."""
    plot: str | None = None
    """Picture of part growth to write, a PNG; if part ray runs too, with a panel for its workers."""
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
    if command.plot is not None and "growth" not in command.only:
        raise UserError("--plot draws what part growth measures: add growth to --only")
    use_threads(command.threads)
    console = Console(highlight=False)
    config = Config(**{name: getattr(command, name) for name in Config.model_fields})
    slots, device = config.train.global_batch_size, config.train.device
    measure: dict[str, Callable[[], dict[str, Any]]] = {
        "generator": lambda: time_generator(command.seconds),
        "canonical": lambda: time_canonical(command.seconds),
        "env": lambda: time_env(command.seconds),
        "update": lambda: time_update(config, command.seconds),
        "evaluation": lambda: time_evaluation(config, command.seconds),
        "adaptive": lambda: time_adaptive(command.checkpoint, slots, command.adaptive_puzzles, device),
        "tracing": lambda: time_tracing(command.checkpoint, slots, max(3, round(100 * command.seconds))),
        "growth": lambda: time_growth(choose_device(device)),
        "targets": lambda: time_targets(KINDS),
        "ray": time_ray,
    }
    results: dict[str, Any] = {"versions": provenance(), "threads": command.threads}
    aims: list[Aim] = []
    for part in command.only:
        results[part] = measure[part]()
        aims += results[part].pop("aims", [])
        print_part(console, part, results[part])
    results["aims"] = [{**vars(aim), "reached": aim.reached} for aim in aims]
    if aims:
        console.print(summary(aims))
    _write(command.json_file, lambda path: write_atomically(path, json.dumps(results, indent=1)))
    _write(command.plot, lambda path: draw(results["growth"], results.get("ray"), path))
    return 0


def _write(file: str | None, write: Callable[[Path], None]) -> None:
    if file is None:
        return
    try:
        write(Path(file))
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Units a second of `work`, which returns how many it did; one call before the clock starts."""
    work()
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        done += work()
    return done / elapsed


def time_generator(seconds: float) -> dict[str, Any]:
    """Puzzles a second and core, by task, size and level: Sudokus, every one proven unique, and mazes of the levels
    that are made on the fly."""
    rates: dict[str, Any] = {}
    for name, size in GENERATED:
        task = make_task(name, size=size)
        for level in task.levels if name == "sudoku" else task.levels[:-1]:
            rng = held_out_rng(0)

            def work(level: str = level, task: Any = task, rng: np.random.Generator = rng) -> int:
                return len(task.generate(level, 500, rng))

            rates[f"{name} {size}x{size} {level}"] = _rate(work, seconds)
    return {"puzzles_per_s_and_core": rates}


def time_canonical(seconds: float) -> dict[str, Any]:
    """Canonical forms a second and core, of the check that no held-out puzzle was trained on."""
    rates: dict[str, Any] = {}
    for name, size in (("sudoku", 9), ("maze", 30)):
        task = make_task(name, size=size)
        inputs = task.generate("medium", 1000, held_out_rng(0)).inputs

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
    budget = config.halting.halt_max_steps

    def work() -> int:
        evaluate(learner.model, data.task, puzzles, Stopping(budget, "fixed"))
        return len(puzzles)

    return {"budget": budget, "puzzles_per_s": _rate(work, seconds)}
