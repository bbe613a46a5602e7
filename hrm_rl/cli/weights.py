"""`hrm-rl weights`: the models that come with this project, and how to make them again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hrm_rl.cli.flags.common import parse
from hrm_rl.config import PathText, Positive, Section
from hrm_rl.models.saving import CARD
from hrm_rl.utils.errors import UserError, unknown
from hrm_rl.weights import folder_of, shipped
from hrm_rl.weights.cards import ALL, read
from hrm_rl.weights.recipes import RECIPES

EVERY = "all"


class WeightsCommand(Section):
    """List the models that come with this project, or make them again.

    With --make, the runs that are not there yet, or not finished, are trained on one core, and a folder is
    written for each model, with a card of what it makes of fresh puzzles. Typed again, the command goes on
    where it stopped."""

    make: tuple[str, ...] = ()
    """Models to make again, by name; `all` for all of them."""
    out: PathText = "weights"
    """With --make: folder for the folders of the models."""
    storage_path: PathText = "runs"
    """With --make: folder of the runs."""
    puzzles: Positive = 1000
    """With --make: fresh puzzles of each level for the card."""


def main(args: Sequence[str]) -> int:
    """Run the command. Returns the exit status; raises UserError."""
    command = parse(WeightsCommand(), args, "weights")
    if not command.make:
        for flag in command.model_dump(exclude_defaults=True):
            raise UserError(f"--{flag.replace('_', '-')} belongs to --make NAME: add that, or leave it out")
        _list(Console(highlight=False))
        return 0
    for name in command.make:
        if name not in (*RECIPES, EVERY):
            raise unknown("model", name, [*RECIPES, EVERY])
    from hrm_rl.export.shipping import make

    names = shipped() if EVERY in command.make else command.make
    for name in dict.fromkeys(names):
        make(name, command.storage_path, Path(command.out), command.puzzles, partial(print, flush=True))
    return 0


def _list(console: Console) -> None:
    """A line for each model, by its card."""
    table = Table("name", "solves", "fresh puzzles", "searching", "halting alone", "kB")
    for name in shipped():
        folder = folder_of(name)
        assert folder is not None
        total = read(folder / CARD)[ALL]
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1000
        shares = (f"{n / total.puzzles:.1%}" for n in (total.searched, total.halted))
        table.add_row(name, RECIPES[name].about, f"{total.puzzles:,}", *shares, f"{size:.0f}")
    console.print(table)
    console.print("hrm-rl solve --model NAME uses one; each folder's README.md has its results by level")
