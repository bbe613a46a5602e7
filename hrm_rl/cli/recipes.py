"""`hrm-rl recipes`: run what is missing of the comparison, then draw it and print it as a table.

Results go to a file, one line a measurement, as soon as each is done; a later call measures the rest.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console

from hrm_rl.benchmarks.recipes import (
    ABLATION_LIMIT_S,
    BOARDS,
    Measurement,
    ablations,
    measure,
    recipes,
)
from hrm_rl.benchmarks.recipes_report import ablation_table, draw, table
from hrm_rl.cli.flags.common import parse
from hrm_rl.config import PathText, Positive, Section
from hrm_rl.utils.console import slow_work
from hrm_rl.utils.errors import UserError, nearest, one_line
from hrm_rl.utils.files import write_atomically
from hrm_rl.utils.stops import Stopped


class RecipesCommand(Section):
    """Compare models, gradients and Q-targets on small Sudokus."""

    boards: tuple[str, ...] = tuple(BOARDS)
    """Boards to measure on: 4x4 (to 90 % exact), 6x6 (to 50 %)."""
    recipes: tuple[str, ...] = ()
    """Recipes MODEL/GRADIENT/Q_TARGET to measure; on 4x4 all, on 6x6 those of the last
    cycle, if not given."""
    ablations: bool = False
    """Measure single changes of the optimisation instead, each for the same number of segments."""
    seeds: Positive = 3
    """Seeds of each, from 0."""
    seconds: tuple[Positive, ...] = ()
    """CPU seconds of training that a measurement gets at most, for each of the boards;
    24 and 150 if not given."""
    processes: Positive = 2
    """Measurements at a time, each with one thread: at most the cores that have nothing else to do."""
    results: PathText = "docs/data/recipes.jsonl"
    """File of results; what is in it already is not measured again."""
    pictures: PathText = "docs/images"
    """Folder for recipes-BOARD.png and halting-BOARD.png."""
    report: bool = False
    """Measure nothing; draw and print what there is."""


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(RecipesCommand(), args, "recipes")
    for board in command.boards:
        if board not in BOARDS:
            raise UserError(f"unknown board '{board}' (boards: {', '.join(BOARDS)})")
    for recipe in command.recipes:
        if recipe not in recipes():
            raise UserError(
                f"unknown recipe '{recipe}'{nearest(recipe, recipes())} (MODEL/GRADIENT/Q_TARGET, such as "
                f"{next(iter(recipes()))})"
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
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
    """The measurements in a file of results; none if there is no such file. Raises
    UserError for a damaged one."""
    if not path.exists():
        return []
    try:
        return [Measurement(**json.loads(line)) for line in path.read_text().splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} is no file of results ({one_line(error)}): move it away to start again"
        ) from None


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
        except KeyboardInterrupt as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # what it is at would take minutes
            line = f"interrupted; {len(done)} results are in {path}: the same command measures the rest"
            raise Stopped.of(error, line) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done
