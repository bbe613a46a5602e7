"""scripts/time_to_accuracy.py: run what is missing of the comparison, then print and draw it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hrm_rl.benchmarks.against.boards import CONTESTS, OPPONENTS, OURS, contest, settings_of, trainers
from hrm_rl.benchmarks.against.report import draw, table
from hrm_rl.benchmarks.against.runs import append, measure, read
from hrm_rl.benchmarks.against.theirs import check_checkout
from hrm_rl.utils.errors import UserError, nearest


def parser() -> argparse.ArgumentParser:
    """The flags of the script."""
    parser = argparse.ArgumentParser(
        prog="scripts/time_to_accuracy.py",
        description="Train Sudoku with HRM's and TRM's own code beside ours, on the same puzzles and one "
        "thread each, until a held-out accuracy. Results go to a file as soon as each is done; a later call "
        "measures the rest.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--hrm", type=Path, help="checkout of sapientinc/HRM; without it, its runs are skipped"
    )
    parser.add_argument("--trm", type=Path, help="checkout of TinyRecursiveModels; likewise")
    parser.add_argument("--boards", nargs="+", default=list(CONTESTS), help="boards to train on")
    parser.add_argument("--trainers", nargs="+", default=trainers(), help="who trains")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--seconds", type=float, help="CPU seconds a run gets; each board has its own otherwise"
    )
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="other settings of theirs")
    parser.add_argument("--most", type=int, help="measure so many runs at most, then stop")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/time-to-accuracy"), help="folder of the puzzles"
    )
    parser.add_argument("--results", type=Path, default=Path("docs/data/time-to-accuracy.jsonl"))
    parser.add_argument("--picture", type=Path, default=Path("docs/images/time-to-accuracy.png"))
    parser.add_argument("--report", action="store_true", help="measure nothing; print and draw what there is")
    return parser


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    flags = parser().parse_args(args)
    for name in flags.trainers:
        if name not in trainers():
            raise UserError(
                f"unknown trainer '{name}'{nearest(name, trainers())} (trainers: {', '.join(trainers())})"
            )
    changes = _changes(flags.set)
    checkouts = {name: path for name, path in (("HRM", flags.hrm), ("TRM", flags.trm)) if path is not None}
    for path in checkouts.values():
        check_checkout(path)
    done = read(flags.results)
    skipped: set[str] = set()
    measured = 0
    for seed in flags.seeds:
        for board in flags.boards:
            limit = flags.seconds or contest(board).limit_s
            for trainer in flags.trainers:
                project = None if trainer == OURS else OPPONENTS[trainer].project
                if flags.report or (project and project not in checkouts):
                    skipped |= {project} if project else set()
                    continue
                settings = {} if project is None else settings_of(board, trainer, changes)
                if any(
                    (r.board, r.trainer, r.seed, r.settings) == (board, trainer, seed, settings)
                    and (r.limit_s >= limit or r.reached(contest(board).goal) is not None)
                    for r in done
                ):
                    continue
                if flags.most is not None and measured >= flags.most:
                    continue
                race = measure(board, trainer, seed, limit, flags.work, checkouts, changes)
                done = append(flags.results, race)
                measured += 1
                seconds = race.reached(contest(board).goal)
                print(
                    f"{board} {trainer} seed {seed}: "
                    + (
                        f"goal after {seconds:.1f}"
                        if seconds is not None
                        else f"best {race.best:.1%} in {limit:g}"
                    )
                    + f" CPU seconds, {race.update_ms:.0f} ms an update",
                    flush=True,
                )
    for project in sorted(skipped) if not flags.report else ():
        print(f"{project} was skipped: give a checkout of its repository with --{project.lower()} PATH")
    if not done:
        raise UserError(f"{flags.results} holds no results: leave out --report to measure")
    for board in flags.boards:
        print(table(board, [r for r in done if r.board == board]))
    draw(done, flags.picture)
    return 0


def _changes(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE pairs, values as in YAML. Raises UserError."""
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--set takes NAME=VALUE, not '{pair}'")
        found[name] = float(value) if "e-" in value else yaml.safe_load(value)  # YAML takes 1e-3 for text
    return found
