"""How much faster adaptive inference is than a fixed budget, and what watching costs: the
same model and puzzles, in one run.

Halting after `mean` segments of a budget makes budget / mean possible. How much of that arrives is for
continuous batching to say: slots that wait, carries that are replaced and batches that shrink cost the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping, StoppingRule, Thoughts
from hrm_rl.benchmarks.measure import Aim
from hrm_rl.config import Config, get_preset
from hrm_rl.data.held_out import generate_held_out, held_out_rng, trained_levels
from hrm_rl.data.streams import build_task
from hrm_rl.models import RecurrentModel, build_model
from hrm_rl.models.tracing import trace
from hrm_rl.runs.loading import load_model
from hrm_rl.utils.devices import choose_device

LEAST_SHARE = 0.85
"""Share of budget / mean segments that adaptive inference has to reach."""
DTYPES = ("float32", "bfloat16")
ROUNDS = 2


@dataclass(frozen=True)
class Schedule:
    """A rule that looks at no Q-value: puzzle n stops after `segments[n]`. For timing
    without a trained model."""

    budget: int
    segments: NDArray[np.int64]
    """(N,)"""

    @staticmethod
    def drawn(puzzles: int, budget: int, rng: np.random.Generator) -> Schedule:
        """Most puzzles stop early, some never: 1 plus a geometric number with mean
        budget / 4, cut at the budget."""
        return Schedule(budget, np.minimum(rng.geometric(1 / (1 + budget / 4), puzzles), budget))

    def stops(self, thoughts: Thoughts, solver: Solver) -> NDArray[np.bool_]:
        """As in `StoppingRule`."""
        return thoughts.segment >= self.segments[thoughts.index]


def time_adaptive(checkpoint: str | None, slots: int, puzzles: int, device: str) -> dict[str, Any]:
    """Time the engine with a fixed budget and with halting, in turns, and take the faster of ROUNDS of each.

    checkpoint: a model whose own halting is timed, in its own type; without one, a sudoku4-quick network with
    random weights and the lengths of `Schedule.drawn`, in each of DTYPES.
    """
    found: dict[str, Any] = {
        "model": checkpoint or "sudoku4-quick, random weights",
        "halting": "its own" if checkpoint else "drawn lengths",
        "puzzles": puzzles,
        "slots": slots,
        "aims": [],
    }
    for dtype in DTYPES if checkpoint is None else (None,):
        model, task, config = _network(checkpoint, dtype)
        model = model.to(choose_device(device))  # type: ignore[arg-type]
        solver, batch = Solver.of(config, model, task), _puzzles(task, config, puzzles)
        times = _time_halting(solver, config.halting.halt_max_steps, batch, slots, checkpoint is None)
        name = config.model.dtype
        found[name] = times
        found["aims"].append(
            Aim(f"adaptive evaluation, {name}: share of possible", times["share_of_possible"], LEAST_SHARE)
        )
    return found


def _time_halting(
    solver: Solver, budget: int, batch: PuzzleBatch, slots: int, drawn: bool
) -> dict[str, float]:
    halting: StoppingRule = Stopping(budget)
    if drawn:
        halting = Schedule.drawn(len(batch), budget, np.random.default_rng(0))
    rules = {"fixed": Stopping(budget, "fixed"), "adaptive": halting}
    seconds = dict.fromkeys(rules, float("inf"))
    mean = 0.0
    for _ in range(ROUNDS):
        for name, rule in rules.items():
            taken, mean = _run(solver, batch, rule, slots)
            seconds[name] = min(seconds[name], taken)
    speedup = seconds["fixed"] / seconds["adaptive"]
    return {
        "budget": budget,
        "mean_segments": mean,
        "fixed_puzzles_per_s": len(batch) / seconds["fixed"],
        "adaptive_puzzles_per_s": len(batch) / seconds["adaptive"],
        "speedup": speedup,
        "budget_over_mean": budget / mean,
        "share_of_possible": speedup / (budget / mean),
    }


def time_tracing(checkpoint: str | None, slots: int, segments: int) -> dict[str, Any]:
    """What the hooks of `hrm_rl.models.tracing` cost a segment on the CPU: a network that was never watched,
    one that was and is no longer, and one that is. They take turns; medians, in ms of this process."""
    never, task, config = _network(checkpoint)
    watched = deepcopy(never)
    with trace(watched):
        pass
    tokens = torch.from_numpy(_puzzles(task, config, slots).inputs).long()
    identifier = torch.zeros(slots, dtype=torch.int64)
    ways: dict[str, tuple[RecurrentModel, Callable[[], Any]]] = {
        "never watched": (never, nullcontext),
        "no longer watched": (watched, nullcontext),
        "watched": (watched, lambda: trace(watched)),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for _ in range(segments + 1):
            for name, (model, context) in ways.items():
                carry = model.initial_carry(slots)
                with context():
                    started = time.process_time()
                    model(carry, tokens, identifier)
                    taken[name].append(time.process_time() - started)
    ms = {name: 1000 * float(np.median(times[1:])) for name, times in taken.items()}
    return {
        "slots": slots,
        "segments": segments,
        "segment_ms": ms,
        "off_costs": ms["no longer watched"] / ms["never watched"] - 1,
        "on_costs": ms["watched"] / ms["never watched"] - 1,
    }


def _network(
    checkpoint: str | None, dtype: str | None = DTYPES[0]
) -> tuple[RecurrentModel, PuzzleTask, Config]:
    if checkpoint is not None:
        loaded = load_model(checkpoint)
        return loaded.model, loaded.task, loaded.config
    preset = get_preset("sudoku4-quick")
    config = preset.model_copy(update={"model": preset.model.model_copy(update={"dtype": dtype})})
    task = build_task(config)
    torch.manual_seed(0)
    return build_model(config.model, task.vocab_size, task.coordinates()), task, config


def _puzzles(task: PuzzleTask, config: Config, count: int) -> PuzzleBatch:
    """Puzzles of the model's levels, mixed: `count`, the same ones several times where a board has fewer."""
    levels = [level for level in trained_levels(config) if level in task.levels] or list(task.levels)
    made = generate_held_out(task, levels, count, seed=0)
    return made.take(held_out_rng(0).permutation(np.arange(count) % len(made)))


def _run(solver: Solver, puzzles: PuzzleBatch, rule: StoppingRule, slots: int) -> tuple[float, float]:
    """Seconds, and the mean number of segments. On a CPU those that this process computed, so that others
    on the same machine do not count."""
    clock = time.process_time if solver.device.type == "cpu" else time.perf_counter
    started, segments = clock(), 0
    for thoughts in think(solver, [puzzles], rule, slots):
        segments += int(thoughts.segment[thoughts.done].sum())
    return clock() - started, segments / len(puzzles)
