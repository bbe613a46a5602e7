"""How the shipped models are made: the one list that `hrm-rl weights --make` follows and the cards quote."""

from __future__ import annotations

from typing import NamedTuple

ALONE = "--num-workers 0 --cpus-per-worker 1"
"""One process on one core."""

MAZE = (
    "--preset maze-quick --model.pos-encodings axial --model.gradient last_cycle --model.dtype bfloat16 "
    "--optim.name muon --optim.lr-min-ratio 0.05"
)
"""The recipe of docs/tasks/maze.md, but for what differs below."""
SMALL_MAZE = f"{MAZE} --curriculum.stages easy=1,medium=1,hard=1 --seed 1"
LARGE_MAZE = (
    f"{MAZE} --optim.lr 2e-3 --halting.q-target delayed --halting.halt-max-steps 16 --model.name transformer "
    "--model.hidden-size 128 --model.num-heads 4 --model.h-layers 1 --model.l-layers 1 --model.h-cycles 1 "
    "--model.swiglu-multiple 64 --data.eval-puzzles 192"
)
"""The network of the 9x9 presets, which takes a third of the time on large boards."""


class Recipe(NamedTuple):
    """How one model is made and judged."""

    trained: tuple[str, ...]
    """Flags of `hrm-rl train`, run after run; each but the first starts from the one before."""
    budget: int
    """Segments of a search when it is judged."""
    about: str
    """What it solves, in a line."""

    def run_name(self, name: str, number: int) -> str:
        """Of run `number`, from 0, of the model called `name`."""
        return name if len(self.trained) == 1 else f"{name}-{number + 1}"

    def flags(self, name: str, number: int, storage: str = "runs") -> list[str]:
        """All flags of `hrm-rl train` for run `number`, from 0."""
        start = ["--train.init-from", f"{storage}/{self.run_name(name, number - 1)}"] if number else []
        where = ["--storage-path", storage] if storage != "runs" else []
        return [*self.trained[number].split(), *ALONE.split(), "--run-name", self.run_name(name, number)] + (
            start + where
        )


RECIPES = {
    "sudoku9": Recipe(
        ("--preset sudoku9-hard-cpu", "--preset sudoku9-search-cpu"),
        256,
        "9x9 Sudokus of all levels, trained to search",
    ),
    "sudoku6": Recipe(("--preset sudoku6",), 256, "6x6 Sudokus of all levels"),
    "sudoku4": Recipe(("--preset sudoku4-quick",), 128, "4x4 Sudokus of all levels"),
    "maze6": Recipe(
        (
            f"{SMALL_MAZE} --optim.lr 2e-3 --halting.q-target delayed",
            f"{SMALL_MAZE} --optim.lr 1e-3 --train.global-batch-size 32 --max-updates 800 "
            "--halting.q-target lambda --halting.rollout-segments 2 --halting.q-lambda 0.9 "
            "--halting.discount 0.97 --search.share 0.8 --search.assume-every 4 --data.eval-puzzles 128",
        ),
        64,
        "6x6 mazes of all lengths, trained to search",
    ),
    "maze15": Recipe(
        (
            # An 8x8 board costs a fifth of a 15x15 one, and what is learned on it carries over.
            f"{LARGE_MAZE} --env.size 8 --env.options levels s6=6:3-,s8=8:3-,long8=8:14- "
            "--curriculum.stages s6=1,s8=1,long8=1 --max-updates 1500 --optim.lr-min-ratio 0.5",
            f"{LARGE_MAZE} --env.size 15 --env.options levels "
            "s6=6:3-,s8=8:3-,s10=10:4-,s12=12:6-,s15=15:8-,long15=15:28- --curriculum.stages "
            "s8=1,s10=2,s12=1 s8=0.5,s10=1,s12=1.5,s15=1.5 s6=0.5,s8=0.5,s10=1,s12=1.5,s15=2,long15=2 "
            "--curriculum.threshold 0.75 --curriculum.window 150 --curriculum.min-updates 150 "
            "--max-updates 2800 --optim.ema-decay 0.998",
        ),
        64,
        "mazes of 5x5 to 15x15",
    ),
}
