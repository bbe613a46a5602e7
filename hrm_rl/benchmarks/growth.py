"""How the cost of an update grows with each of its quantities, one at a time from one base network.

Time and memory are measured, and compared with what the matrix products alone would take. A worker's own cost
does not depend on how many there are: what workers give is part `ray` (hrm_rl/benchmarks/workers.py), and
what many of them would give is modelled (hrm_rl/benchmarks/scaling/fleet.py).
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from envs.puzzle import PuzzleBatch, PuzzleSource
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.build import build_learner
from hrm_rl.benchmarks.measure import Aim, Work, fastest, flop_of, numpy_bytes, peak_bytes
from hrm_rl.benchmarks.scaling.fitting import exponent
from hrm_rl.config import Config
from hrm_rl.data.streams import build_data
from hrm_rl.evaluation.scores import Evaluation, evaluate, sums_of_parts
from hrm_rl.utils.files import write_atomically
from hrm_rl.utils.plots import BLUE, DPI, GREY, ORANGE, canvas, tidy

BASE: dict[str, int] = {
    "h_cycles": 2, "l_cycles": 2, "segments": 4, "tokens": 36, "hidden_size": 64, "slots": 64,
    "held_out": 4096,
}  # fmt: skip
VALUES: dict[str, tuple[int, ...]] = {
    "h_cycles": (1, 2, 4, 8),
    "l_cycles": (1, 2, 4, 8),
    "segments": (1, 2, 4, 8, 16),
    "tokens": (16, 36, 81, 144, 256, 400, 900),
    "hidden_size": (32, 64, 128, 256),
    "slots": (16, 32, 64, 128, 256),
    "held_out": (1024, 4096, 8192),
}
"""What each quantity is set to while the others are as in BASE. `segments` is the budget of an evaluation
that spends it all, which is timed in place of an update; so is `held_out`, the puzzles of one of a single
segment, for all of which the time is."""
ROUNDS = 3
"""Calls that are timed, the fastest of which counts."""
SUDOKUS = (4, 6, 9)
"""Sizes of boards that are Sudokus; the others are mazes."""
SAME = {"h_cycles": 1.01, "l_cycles": 1.01, "held_out": 1.2}
"""What memory does not grow with, and the most of any of its values over that of the base: the parts of an
evaluation leave their sums."""
BASED = {"ms": "time_over_base", "gflop": "gflop_over_base", "peak_memory_mb": "memory_over_base"}
POWERS = {"ms": "time", "gflop": "products", "peak_memory_mb": "memory"}
STEEPER = 0.15
"""Most that the exponent of a time may be above that of the products, or above 1."""
CURVES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("gflop_over_base", "as the products say", {"color": GREY, "linestyle": "--"}),
    ("time_over_base", "time, measured", {"color": BLUE, "marker": "o", "linestyle": "none"}),
    ("memory_over_base", "peak memory", {"color": ORANGE, "marker": "^", "linestyle": ":"}),
)


def config_of(quantities: Mapping[str, int], held_out: int = 64) -> Config:
    """HRM with 1+1 layers, its one-step gradient and its bootstrap target, not compiled."""
    size = math.isqrt(quantities["tokens"])
    return Config.model_validate(
        {
            "env": {"task": "sudoku" if size in SUDOKUS else "maze", "size": size},
            "data": {"exclude_twins": False, "eval_puzzles": held_out},
            "model": {
                "hidden_size": quantities["hidden_size"],
                "h_layers": 1,
                "l_layers": 1,
                "h_cycles": quantities["h_cycles"],
                "l_cycles": quantities["l_cycles"],
                "swiglu_multiple": 32,
            },
            "train": {"global_batch_size": quantities["slots"], "compile": "off"},
            "curriculum": {"stages": ("easy=1",)},
        }
    )


def time_growth(device: torch.device, values: Mapping[str, Sequence[int]] = VALUES) -> dict[str, Any]:
    """A row for each quantity and value: milliseconds, products in GFLOP and memory, of an
    update or, for `segments`, of the evaluation of a puzzle (memory: of the batch), and
    each of them over that of the base."""
    rows, aims, exponents = [], [], []
    for quantity, column in values.items():
        found = over_base(_measure(quantity, column, device), BASE[quantity])
        rows += found
        powers = {name: exponent(column, [row[name] for row in found]) for name in BASED}
        exponents.append({"quantity": quantity} | {new: powers[old] for old, new in POWERS.items()})
        wanted = max(1.0, powers["gflop"]) + STEEPER
        aims.append(Aim(f"{quantity}: exponent of the time", powers["ms"], most=wanted, form=".2f"))
        if quantity in SAME:
            most = max(row["memory_over_base"] for row in found)
            aims.append(
                Aim(f"{quantity} up to {column[-1]}: memory over base", most, most=SAME[quantity], form=".3f")
            )
    return {"base": BASE, "rows": rows, "exponents": exponents, "aims": aims}


def _measure(quantity: str, values: Sequence[int], device: torch.device) -> list[dict[str, Any]]:
    works: dict[int, Work] = {}
    sources: list[PuzzleSource] = []
    flop, memory, parts = {}, {}, 1
    for value in values:
        config = config_of({**BASE, quantity: value}, value if quantity == "held_out" else 64)
        data = build_data(config)
        sources.append(data.source)
        learner = build_learner(config, data, device, rank=0, world_size=1)
        learner.start()
        works[value] = learner.update
        if quantity == "segments":
            parts, solver = len(data.held_out), Solver.of(config, learner.model, data.task)
            works[value] = partial(evaluate, solver, data.held_out, Stopping(value, "fixed"))
        if quantity == "held_out":
            solver, levels = Solver.of(config, learner.model, data.task), len(data.task.levels)
            judge = partial(_judge, solver)
            works[value] = partial(sums_of_parts, data.held_out, levels, 0, 1, judge)
        flop[value] = flop_of(works[value])
        memory[value] = (numpy_bytes if quantity == "held_out" else peak_bytes)(works[value], device)
    seconds = fastest(works, ROUNDS, device)
    for source in sources:
        source.close()
    return [
        {
            "quantity": quantity,
            "value": value,
            "ms": 1000 * seconds[value] / parts,
            "gflop": flop[value] / 1e9 / parts,
            "peak_memory_mb": memory[value] / 1e6,
        }
        for value in values
    ]


def _judge(solver: Solver, puzzles: PuzzleBatch) -> Evaluation:
    return evaluate(solver, puzzles, Stopping(1, "fixed"))


def over_base(rows: Sequence[dict[str, Any]], base: int) -> list[dict[str, Any]]:
    """The rows with their time, products and memory over those of the row whose value is `base`."""
    (reference,) = (row for row in rows if row["value"] == base)
    return [row | {new: row[old] / reference[old] for old, new in BASED.items()} for row in rows]


def draw(growth: Mapping[str, Any], ray: Mapping[str, Any] | None, path: Path) -> None:
    """A panel for each quantity, and one for the workers if they were timed."""
    quantities = list(dict.fromkeys(row["quantity"] for row in growth["rows"]))
    panels = len(quantities) + (ray is not None)
    columns = min(4, panels)
    figure, axes = canvas(
        3 * columns, 2.9 * math.ceil(panels / columns), math.ceil(panels / columns), columns, squeeze=False
    )
    for axis, quantity in zip(axes.flat, quantities, strict=False):
        _draw_quantity(axis, [row for row in growth["rows"] if row["quantity"] == quantity])
    if ray is not None:
        _draw_workers(axes.flat[len(quantities)], ray["runs"])
    for axis in axes.flat[panels:]:
        axis.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    _write(figure, path)


def _draw_quantity(axis: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    values = [row["value"] for row in rows]
    for name, label, look in CURVES:
        axis.plot(values, [row[name] for row in rows], label=label, markersize=4.5, **look)
    quantity = rows[0]["quantity"]
    _logarithmic(axis, values)
    tidy(axis, quantity, "over the base", "an evaluation" if quantity == "segments" else "an update")


def _draw_workers(axis: Axes, runs: Sequence[Mapping[str, Any]]) -> None:
    """Time of a segment over that with one Ray worker."""
    rates = {run["workers"]: run["segments_per_s"] for run in runs if run["workers"]}
    workers = list(rates)
    axis.plot(workers, [1 / n for n in workers], color=GREY, linestyle="--")
    axis.plot(workers, [rates[1] / rates[n] for n in workers], color=BLUE, marker="o", linestyle="none")
    _logarithmic(axis, workers)
    tidy(axis, "Ray workers", "over one worker", "a segment")


def _logarithmic(axis: Axes, values: Sequence[int]) -> None:
    """Both axes, with ticks at the values and, upwards, at powers of two."""
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set_xticks(values, [str(value) for value in values])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())


def _write(figure: Figure, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=DPI)
    write_atomically(path, image.getvalue())
