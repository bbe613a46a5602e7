"""Mazes as a task: square mazes of any size, with levels by size and length of the shortest path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.maze import files, rendering
from envs.maze.cache import Pools, stderr_progress
from envs.maze.generator import generate_mazes, is_rare
from envs.maze.grid import CHARACTERS, FREE, PATH
from envs.maze.levels import LARGEST, SMALLEST, Level, default_levels, level_of, parse_levels
from envs.maze.rule import broken_rules, contradicts, judge, label, violations
from envs.maze.symmetries import SYMMETRIES, MazeSymmetries, canonical, extents, transform
from envs.puzzle import PAD, PuzzleBatch, Tokens, View
from envs.task import PuzzleTask, ReportProgress


class MazeTask(PuzzleTask):
    """Mark a shortest path from S to G.

    ## Description

    Square mazes on a canvas of `size` x `size` cells. A smaller maze lies at the top left; the rest is
    padding, which counts as wall and has no label. Mazes have many shortest paths: the rule accepts any, and
    the solution is the one that Maze-Hard would have (see `envs.maze.rule.label`).

    Measures of an answer: `valid_longer` is 1 if it draws a path that is not a shortest one, else 0;
    `excess_length` is the number of cells by which its path is too long, NaN where it draws none. A path is a
    line of `o` from S to G without branches that neither crosses nor touches itself, and nothing else is
    marked; S and G side by side need no `o`.

    ## Action Space

    size*size tokens, row by row: 5 (`o`) marks a free cell as part of the path, 2 leaves it free. Walls, S
    and G have to be repeated.

    ## Observation Space

    size*size tokens, row by row: 0 padding, 1 wall (`#`), 2 free (blank), 3 S, 4 G.

    ## Rewards

    An answer is right if it keeps walls, S and G, answers every free cell with 2 or 5, and its marks are a
    path from S to G that is as short as possible.

    ## Starting State

    A maze of a level, by cells of its shortest path, S and G counted. With the default size:

    | level     | cells  |
    |-----------|--------|
    | very-easy | 3-4    |
    | easy      | 5-9    |
    | medium    | 10-33  |
    | hard      | 34-    |

    `envs.maze.levels` has the levels of every size. Mazes are drawn at random and kept if their path has the
    length wanted. A level that fewer than one in 1,000 random mazes reaches, such as hard, is made once and
    kept on disk (see `envs.maze.cache`); puzzles are then drawn from these under random symmetries.

    ## Episode End

    That of `envs.ActEnv`: when the agent halts, or at the end of the budget.

    ## Arguments

    - `size` (`10`): rows and columns of the canvas, 5 to 64.
    - `levels` (`""`): levels of one's own, as NAME=SIZE:FEWEST-MOST with commas between:
      `"s6=6:3-,s10=10:10-36,hard=30:110-"`. Without it, the four default levels of `size`.
    - `cache` (`1000`): mazes made and kept for each rare level; a tenth more are held out.
    - `cache_seed` (`0`): another number makes other mazes for these.
    - `rule` (`"unbiased"`): nothing else; runs made before 0.2.0 may name it.

    ## Version History

    - v0: initial version.
    """

    name = "maze"
    characters = CHARACTERS
    measures = ("valid_longer", "excess_length")
    rules = (
        "wall, S or G overwritten",
        "S and G not joined",
        "branch, loop or stray mark",
        "longer than a shortest",
    )
    traits = ("length",)
    assumable = (PATH,)

    def __init__(
        self,
        size: int = 10,
        levels: str = "",
        cache: int = 1000,
        cache_seed: int = 0,
        rule: str = "unbiased",
    ) -> None:
        if not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
            raise UserError(f"maze size is {size!r}; it must be a whole number, {SMALLEST} to {LARGEST}")
        if rule != "unbiased":
            raise UserError(
                f"maze rule is {rule!r} (two-sweeps was removed in 0.2.0); leave the option rule out"
            )
        for option, value, least in (("cache", cache, 1), ("cache_seed", cache_seed, 0)):
            if not isinstance(value, int) or value < least:
                raise UserError(f"{option} is {value!r}; it must be a whole number, {least} or more")
        self.size = size
        self.grid_shape = (size, size)
        self.ranges: tuple[Level, ...] = parse_levels(levels, size) if levels else default_levels(size)
        self.levels = tuple(level.name for level in self.ranges)
        self._pools = Pools(cache, cache_seed)

    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N,) whether each answer (N, L) is a shortest path."""
        return judge(inputs, answer, self.grid_shape)[0]

    def measure(self, inputs: Tokens, answer: Tokens) -> NDArray[np.float64]:
        """(N, 2) `valid_longer` and `excess_length` of answers (N, L)."""
        excess = judge(inputs, answer, self.grid_shape)[1]
        return np.stack([(excess > 0).astype(np.float64), excess], axis=1)

    def broken(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, 4) which of `rules` each answer (N, L) breaks: the first of those that it does."""
        return broken_rules(inputs, answer, self.grid_shape)

    def violations(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, L) the cells of answers (N, L) that are no shortest path (see `envs.maze.rule.violations`)."""
        return violations(inputs, answer, self.grid_shape)

    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        """(N, L) the free cells."""
        return inputs == FREE

    def contradicts(self, boards: Tokens) -> NDArray[np.bool_]:
        """(N,) whether the marks on each board (N, L) branch, end, run in a circle or join S and G wrongly
        (see `envs.maze.rule.contradicts`)."""
        return contradicts(boards, self.grid_shape)

    def path_lengths(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) cells of the shortest path of each maze (N, L), both ends counted; 0 where there is none."""
        return label(inputs, self.grid_shape)[1]

    def trait(self, name: str, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) cells of the shortest path."""
        return {"length": self.path_lengths}[name](inputs)

    def level_of(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) index of the first level that has mazes (N, L) of this size and length of path, or NO_LEVEL.
        The size is that of the rectangle without padding."""
        return level_of(self.ranges, extents(inputs, self.size), self.path_lengths(inputs))

    def prepare(self, levels: Sequence[str], progress: ReportProgress) -> None:
        """Make, or read from disk, the mazes of those levels that are too rare to be made on the fly."""
        for name in levels:
            level = self._level(name)
            if is_rare(level):
                self._pools.of(level, progress)

    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        """`count` new mazes of `level` with their solutions: a pure function of its arguments.

        held_out: take mazes of a level that is kept on disk from its held-out part, which shares none with
        the other part, not even up to symmetry; mazes made on the fly know no parts.
        Raises UserError for a level that is unknown or too rare.
        """
        wanted = self._level(level)
        if is_rare(wanted):
            mazes = self._pools.of(wanted, stderr_progress).part(held_out)
            mazes = mazes[rng.integers(len(mazes), size=count)]
            mazes = transform(mazes, wanted.size, rng.integers(SYMMETRIES, size=count))
        else:
            mazes = generate_mazes(wanted, count, rng)
        return self._batch(wanted, mazes)

    def stock(self, level: str) -> PuzzleBatch | None:
        """The mazes that a level too rare to be made on the fly is trained on, up to symmetry."""
        wanted = self._level(level)
        if not is_rare(wanted):
            return None
        return self._batch(wanted, self._pools.of(wanted, stderr_progress).training)

    def augment(self, batch: PuzzleBatch, rng: np.random.Generator) -> PuzzleBatch:
        """Every maze under a random one of the eight symmetries of the square, and the solution that the rule
        gives it: the old solution, rotated or mirrored, would be another of its shortest paths."""
        inputs = transform(batch.inputs, self.size, rng.integers(SYMMETRIES, size=len(batch)))
        return PuzzleBatch(inputs, label(inputs, self.grid_shape)[0], batch.level, batch.identifier)

    def symmetries(self, inputs: Tokens, rng: np.random.Generator) -> MazeSymmetries:
        """One of the seven symmetries that change each maze (N, L)."""
        return MazeSymmetries.of(inputs, self.size, rng.integers(1, SYMMETRIES, size=len(inputs)))

    def canonical(self, inputs: Tokens) -> Tokens:
        """(N, L) the smallest of the eight transforms of each maze."""
        return canonical(inputs, self.size)

    def faults(self, inputs: Tokens, solution: Tokens) -> dict[int, str]:
        """What is wrong with mazes from a file: row -> reason (see envs/maze/files.py)."""
        return files.faults(inputs, solution, self.size)

    def encode(self, text: str) -> Tokens:
        """(L,) the maze that `text` is (see envs/maze/files.py). Raises DataError."""
        return files.encode(text, self.size)

    def check(self, tokens: Tokens) -> None:
        """Raises DataError unless `tokens` are a maze at the top left of the canvas with one S and one G."""
        super().check(tokens)
        files.check(tokens, self.size)

    def prove(self, inputs: Tokens) -> Tokens:
        """(L,) a shortest path of a maze (L,), as the label has it. Raises DataError where there is none."""
        return files.prove(inputs, self.size)

    def quick(self, level: str) -> bool:
        """Whether mazes of a level are common enough to be made on the fly."""
        return not is_rare(self._level(level))

    def split(self, text: str) -> list[str]:
        """The mazes of a text (see envs/maze/files.py)."""
        return files.mazes_of(text, self.size)[1]

    def read(self, path: Path) -> PuzzleBatch:
        """All mazes of a file (see envs/maze/files.py). Raises DataError naming line and reason."""
        return self._batch_of(*files.read_mazes(path, self.size))

    def render_text(self, view: View) -> str:
        """One maze as text with ANSI colours."""
        return rendering.render_text(view, self.size)

    def render_rgb(self, view: View) -> NDArray[np.uint8]:
        """One maze as an image (height, width, 3)."""
        return rendering.render_rgb(view, self.size)

    def write_text(self, tokens: Tokens) -> str:
        """One row of tokens (L,) as a CSV file of mazes has it, without padding."""
        return files.write_maze(tokens, self.size)

    def _batch(self, level: Level, mazes: Tokens) -> PuzzleBatch:
        """Mazes (N, n*n) of a level on the canvas, with their solutions."""
        canvas = np.full((len(mazes), *self.grid_shape), PAD, np.uint8)
        canvas[:, : level.size, : level.size] = mazes.reshape(-1, level.size, level.size)
        inputs = canvas.reshape(-1, self.length)
        index = np.full(len(mazes), self.ranges.index(level))
        return PuzzleBatch(inputs, label(inputs, self.grid_shape)[0], index, np.zeros(len(mazes), np.int64))

    def _level(self, name: str) -> Level:
        return self.ranges[self.level_index(name)]
