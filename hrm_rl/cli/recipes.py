"""`scripts/compare_recipes.py`: run what is missing of the comparison, then draw it and print it as a table.

Results go to a file, one line a measurement, as soon as each is done; a later call goes on from there.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from hrm_rl.benchmarks.recipes import (
    ABLATION_LIMIT_S,
    BOARDS,
    CHANGES,
    GRADIENTS,
    MODELS,
    Q_TARGETS,
    Measurement,
    ablations,
    measure,
    recipes,
)
from hrm_rl.cli.flags import parse
from hrm_rl.config import Positive, Section
from hrm_rl.utils.console import slow_work
from hrm_rl.utils.errors import UserError, nearest
from hrm_rl.utils.files import write_atomically

PROGRAM = "python scripts/compare_recipes.py"


class RecipesCommand(Section):
    """Flags of scripts/compare_recipes.py."""

    boards: tuple[str, ...] = tuple(BOARDS)
    """Boards to measure on: 4x4 (to 90 % exact), 6x6 (to 50 %)."""
    recipes: tuple[str, ...] = ()
    """Recipes MODEL/GRADIENT/Q_TARGET to measure; on 4x4 all, on 6x6 those of the last cycle, if not given."""
    ablations: bool = False
    """Measure single changes of the optimisation instead, each for the same number of segments."""
    seeds: Positive = 3
    """Seeds of each, from 0."""
    seconds: tuple[Positive, ...] = ()
    """CPU seconds of training that a measurement gets at most, for each of the boards; 24 and 150 if not given."""
    processes: Positive = 2
    """Measurements at a time, each with one thread: at most the cores that have nothing else to do."""
    results: str = "docs/recipes.jsonl"
    """File of results; what is in it already is not measured again."""
    pictures: str = "docs"
    """Folder for recipes-BOARD.png and halting-BOARD.png."""
    report: bool = False
    """Measure nothing; draw and print what there is."""


def main(args: Sequence[str]) -> int:
    """Run scripts/compare_recipes.py. Returns the exit status; raises UserError."""
    command = parse(
        RecipesCommand(), args, "Compare models, gradients and Q-targets on small Sudokus.", PROGRAM
    )
    for board in command.boards:
        if board not in BOARDS:
            raise UserError(f"unknown board '{board}' (boards: {', '.join(BOARDS)})")
    for recipe in command.recipes:
        if recipe not in recipes():
            raise UserError(
                f"unknown recipe '{recipe}'{nearest(recipe, recipes())} (MODEL/GRADIENT/Q_TARGET)"
            )
    if command.ablations and (command.recipes or command.seconds):
        raise UserError("--ablations has its own recipe and length: leave out --recipes and --seconds")
    if command.seconds and len(command.seconds) != len(command.boards):
        raise UserError(
            f"--seconds gives {len(command.seconds)} limits for {len(command.boards)} boards: one for each"
        )
    path = Path(command.results)
    done = read_results(path)
    if not command.report:
        path.parent.mkdir(parents=True, exist_ok=True)
        done = _run(command, path, done)
    if not done:
        raise UserError(f"{path} holds no results: leave out --report to measure")
    console = Console(highlight=False, soft_wrap=True)
    for board in command.boards:
        ablated = [m for m in done if m.board == board and m.ablation]
        if ablated:
            console.print(ablation_table(ablated))
        mine = [m for m in done if m.board == board and not m.ablation]
        if mine:
            console.print(table(board, mine))
            limits = ", ".join(f"{s:g}" for s in sorted({m.limit_s for m in mine}))
            console.print(
                f"at most {limits} CPU seconds; code: {', '.join(sorted({m.commit for m in mine}))}"
            )
            draw(board, mine, Path(command.pictures) / f"recipes-{board}.png", "exact")
            draw(board, mine, Path(command.pictures) / f"halting-{board}.png", "segments")
    return 0


def read_results(path: Path) -> list[Measurement]:
    """The measurements in a file of results; none if there is no such file. Raises UserError for a damaged one."""
    if not path.exists():
        return []
    try:
        return [Measurement(**json.loads(line)) for line in path.read_text().splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no file of results ({error}): move it away to begin anew") from None


def _run(command: RecipesCommand, path: Path, done: list[Measurement]) -> list[Measurement]:
    """Measure what is missing, seed by seed, so that a stopped comparison has something of everything."""
    known = {(m.board, m.recipe, m.seed, m.limit_s) for m in done}
    limits: tuple[float, ...] = command.seconds or tuple(BOARDS[board].limit_s for board in command.boards)
    if command.ablations:
        limits = (ABLATION_LIMIT_S,) * len(command.boards)
    wanted = [
        (board, recipe, seed, float(seconds))
        for seed in range(command.seeds)
        for board, seconds in zip(command.boards, limits, strict=True)
        for recipe in (ablations() if command.ablations else command.recipes or BOARDS[board].recipes)
        if (board, recipe, seed, float(seconds)) not in known
    ]
    replaced = {what[:3] for what in wanted}
    done = [m for m in done if (m.board, m.recipe, m.seed) not in replaced]  # of another limit
    context = multiprocessing.get_context("spawn")
    with (
        slow_work() as progress,
        ProcessPoolExecutor(command.processes, mp_context=context) as pool,
    ):
        progress("measuring", 0, len(wanted))
        try:
            futures = [pool.submit(measure, *what) for what in wanted]
            for count, future in enumerate(as_completed(futures), start=1):
                done = [*done, Measurement(**future.result())]
                lines = sorted(json.dumps(m.__dict__) for m in done)
                write_atomically(path, "\n".join(lines) + "\n")
                progress("measuring", count, len(wanted))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise UserError(
                f"interrupted; {len(done)} results are in {path}: the same command goes on"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done


def table(board: str, measurements: list[Measurement]) -> str:
    """A Markdown table: for each recipe the updates and seconds to the goal, or what was reached."""
    goal = BOARDS[board].goal
    by_recipe: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        by_recipe[measurement.recipe].append(measurement)
    lines = [
        f"| recipe | seeds | reached {goal:.0%} | updates | seconds | best exact | segments at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    for recipe in sorted(by_recipe, key=lambda name: _order(by_recipe[name], goal)):
        runs = by_recipe[recipe]
        reached = [point for run in runs if (point := run.reached(goal)) is not None]
        best = [100 * run.best for run in runs]
        segments = [run.curve[-1][3] for run in runs if run.curve]
        cells = [
            f"`{recipe}`", str(len(runs)), str(len(reached)), _range([u for u, _ in reached], "{:.0f}"),
            _range([s for _, s in reached], "{:.0f}"), _range(best, "{:.0f} %"), _range(segments, "{:.1f}"),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ablation_table(measurements: list[Measurement]) -> str:
    """A Markdown table: held-out accuracy after each change, for the same number of segments."""
    rows = ["| change | seeds | updates | exact at the end | CPU seconds |", "|---|---|---|---|---|"]
    for change in CHANGES:
        runs = [m for m in measurements if m.ablation == change and m.curve]
        if runs:
            ends = [m.curve[-1] for m in runs]
            cells = [
                change, str(len(runs)), _range([u for u, *_ in ends], "{:.0f}"),
                _range([100 * accuracy for _, _, accuracy, _ in ends], "{:.0f} %"),
                _range([s for _, s, *_ in ends], "{:.0f}"),
            ]  # fmt: skip
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _order(runs: list[Measurement], goal: float) -> tuple[float, float]:
    """The most successful recipes first, then the fastest."""
    reached = [point[1] for run in runs if (point := run.reached(goal)) is not None]
    mean = sum(reached) / len(reached) if reached else 0.0
    return -len(reached) / len(runs), mean or -sum(run.best for run in runs) / len(runs)


def _range(values: Sequence[float], form: str) -> str:
    """`mean (least-most)`."""
    if not values:
        return "-"
    mean = form.format(sum(values) / len(values))
    if len(set(values)) == 1:
        return mean
    return f"{mean} ({form.format(min(values))} to {form.format(max(values))})"


def draw(
    board: str, measurements: list[Measurement], path: Path, shown: Literal["exact", "segments"]
) -> None:
    """Held-out accuracy, or segments spent on a held-out puzzle, against training time, a panel for each model: mean
    and range over the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = dict(zip(Q_TARGETS, ("#0072B2", "#E69F00", "#009E73", "#CC79A7"), strict=True))
    figure, axes = plt.subplots(
        1, len(MODELS), figsize=(15, 4), sharex=True, sharey=True, layout="constrained"
    )
    lines: dict[str, Any] = {}
    for axis, model in zip(axes, MODELS, strict=True):
        for target in Q_TARGETS:
            for gradient in GRADIENTS:
                runs = [m for m in measurements if m.recipe == f"{model}/{gradient}/{target}" and m.curve]
                if not runs:
                    continue
                seconds, curves = _on_common_times(runs, shown)
                style = "-" if gradient == "last_cycle" else "--"
                (line,) = axis.plot(seconds, curves.mean(0), style, color=colours[target])
                lines[f"{target}, {gradient}"] = line
                axis.fill_between(seconds, curves.min(0), curves.max(0), color=colours[target], alpha=0.12)
        if shown == "exact":
            axis.axhline(100 * BOARDS[board].goal, color="0.6", linewidth=0.8)
        axis.set_title(model)
        axis.set_xlabel("training (CPU seconds, one thread)")
    what = {"exact": "exactly right (%)", "segments": "segments, of 8"}[shown]
    axes[0].set_ylabel(f"held-out {board}: {what}")
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _on_common_times(
    runs: list[Measurement], shown: Literal["exact", "segments"]
) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,) and the accuracy in %, or the segments, of each run (R, T); a run that ended at its goal stays
    where it was."""
    column, factor, start = {"exact": (2, 100.0, [0.0]), "segments": (3, 1.0, [8.0])}[shown]
    times = np.linspace(0, max(run.curve[-1][1] for run in runs), 100)
    curves = [
        np.interp(times, [0.0, *[p[1] for p in run.curve]], start + [factor * p[column] for p in run.curve])
        for run in runs
    ]
    return times, np.stack(curves)
