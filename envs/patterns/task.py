"""Patterns as a task: strings of one pattern, with their lengths as levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.csv_files import refuse_bad_rows
from envs.errors import DataError, UserError, unknown
from envs.patterns import files
from envs.patterns.canvas import PatternSymmetries, Strings, canonical, pack
from envs.patterns.catalogue import PATTERNS
from envs.patterns.levels import LARGEST, SMALLEST, LengthRange, default_levels, level_of, parse_levels
from envs.puzzle import PAD, PuzzleBatch, Tokens
from envs.task import PuzzleTask

HELD_OUT_ONE_IN = 8
"""One puzzle in so many, told by its hash, is held out, and none of the others."""
MOST_ROUNDS = 200
"""Draws in a row without a puzzle of the part wanted, after which a level is taken not to have any."""

RANGES = 16
"""Rows that reports split lengths into."""

PLACEMENTS = ("anywhere", "left")


class PatternsTask(PuzzleTask):
    """Complete, judge, repair, copy, sort or add strings, longer and longer ones.

    ## Description

    One of ten patterns. A string lies in a rectangle of cells (`/` between its rows) anywhere on the canvas,
    or several lie side by side; the rest is padding.

    | pattern  | question      | answer        |                                                          |
    |----------|---------------|---------------|----------------------------------------------------------|
    | anbn     | `?aaab....`   | `yaaabbb--`   | does it belong to a^n b^n, or can it be completed to one? |
    | anbncn   | `?aabb...`    | `yaabbcc-`    | the same of a^n b^n c^n                                  |
    | balanced | `?([)]`       | `n([)]`       | do all brackets match?                                   |
    | partner  | `([])/.^..`   | `([])/-^^-`   | mark the bracket that belongs to the marked one          |
    | repair   | `([]]/....`   | `([]]/([])`   | exchange one bracket, so that all match                  |
    | parity   | `0110/....`   | `0110/0100`   | the parity of the bits up to each, the last that of all  |
    | copy     | `cab=...`     | `cab=cab`     | the string again                                         |
    | reverse  | `cab=...`     | `cab=bac`     | the string backwards                                     |
    | sort     | `cab=...`     | `cab=abc`     | the same symbols in order                                |
    | addition | `019/073/...` | `019/073/092` | the sum, digit under digit, with room for a carry        |

    Several answers may be right: `?aa......` can become aabb, aaabbb or aaaabbbb, and of `(((())` any of
    three brackets can be turned round. The rule takes any; the label is the shortest completion, and the
    first bracket from the left.

    The length of a string is that of the word that may belong, of the brackets, bits or symbols, or the
    number of digits of each number; that of a puzzle is that of its longest string.

    Measures of an answer: `right_before_mistake` is the number of cells, in order, that are answered as the
    label has them before the first that is not, NaN where the answer is right.

    ## Action Space

    A token for each cell of the canvas, row by row. What is given has to be repeated; what stands at padding
    does not matter.

    ## Observation Space

    A token for each cell, row by row: 0 padding (`_`), 1 a blank (`.`), then those of the pattern, in the
    order of `characters`; `?` (a verdict that is asked for) is to be filled like a blank.

    ## Rewards

    An answer is right if it keeps what is given, leaves no blank, and follows the pattern's rule.

    ## Starting State

    A random string of a level, at a random place. With the default size:

    | level | lengths |
    |-------|---------|
    | n4    | 1-4     |
    | n8    | 5-8     |
    | n12   | 9-12    |
    | n16   | 13-16   |
    | n20   | 17-20   |
    | n24   | 21-24   |
    | n28   | 25-28   |
    | n32   | 29-32   |

    Lengths are drawn evenly; those of brackets are even. One puzzle in eight, told by a hash that all its
    forms share (see `envs.patterns.canvas`), is held out: it is never made for training, whatever the seed.

    ## Episode End

    That of `envs.ActEnv`: when the agent halts, or at the end of the budget.

    ## Arguments

    - `pattern` (`"anbn"`): one of the ten.
    - `size` (`32`): the length of the longest string, 4 to 200. The canvas is as wide as that needs.
    - `levels` (`""`): levels of one's own, as NAME=FEWEST-MOST with commas between: `"short=1-8,long=9-32"`.
    - `kinds` (`0`): kinds of brackets (1 to 4, usually 2), symbols of copy, reverse and sort (2 to 26,
      usually 10), or the base of addition (2 to 10); 0 for the usual number.
    - `placement` (`"anywhere"`): where generated strings lie on the canvas; `"left"` puts all at its left.

    - `strings` (`1`): the most strings that lie side by side on a canvas made for training, a column of
      padding or more between them; such a puzzle is solved where all are. Held-out ones are alone.

    ## Version History

    - v0: initial version.
    """

    name = "patterns"
    measures = ("right_before_mistake",)
    traits = ("length",)
    drawn_as = "string"

    def __init__(
        self,
        pattern: str = "anbn",
        size: int = 32,
        levels: str = "",
        kinds: int = 0,
        placement: str = "anywhere",
        strings: int = 1,
    ) -> None:
        if pattern not in PATTERNS:
            raise unknown("pattern", pattern, PATTERNS)
        if not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
            raise UserError(f"patterns size is {size!r}; it must be a whole number, {SMALLEST} to {LARGEST}")
        if placement not in PLACEMENTS:
            raise unknown("placement", placement, PLACEMENTS)
        self.pattern = PATTERNS[pattern](kinds)
        self.size = size
        self.characters = self.pattern.characters
        self.rules = self.pattern.rules
        self.columns = self.pattern.width(size)
        self.grid_shape = (self.pattern.rows, self.columns)
        self.ranges: tuple[LengthRange, ...] = parse_levels(levels, size) if levels else default_levels(size)
        self.levels = tuple(level.name for level in self.ranges)
        self.placement = placement
        if not isinstance(strings, int) or strings < 1:
            raise UserError(f"strings is {strings!r}; it must be a whole number, 1 or more")
        self.strings = strings

    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N,) whether each answer (N, L) breaks none of the rules."""
        return np.logical_not(self.broken(inputs, answer).any(axis=1))

    def broken(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, R) which of `rules` each answer (N, L) breaks."""
        strings = self._strings(inputs)
        return strings.any_of(self.pattern.broken(strings.cut(inputs), strings.cut(answer)))

    def violations(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, L) of each string that is answered wrongly, what is given and changed, and blanks left; where
        there are none, the cells that differ from the label (repair: the brackets without a partner)."""
        strings = self._strings(inputs)
        boards, answers = strings.cut(inputs), strings.cut(answer)
        return strings.paste(self.pattern.violations(boards, answers).astype(np.uint8)) > 0

    def measure(self, inputs: Tokens, answer: Tokens) -> NDArray[np.float64]:
        """(N, 1) `right_before_mistake` of answers (N, L)."""
        blank = self.unknown(inputs)
        off = blank & (answer != self.solution(inputs))
        before = (blank & (np.cumsum(off, axis=1) == 0)).sum(axis=1)
        return np.where(self.solved(inputs, answer), np.nan, before)[:, None]

    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        """(N, L) the blanks, and verdicts that are asked for."""
        return self.pattern.unknown(inputs)

    def solution(self, inputs: Tokens) -> Tokens:
        """(N, L) the label of each puzzle (N, L)."""
        strings = self._strings(inputs)
        return strings.paste(self.pattern.solve(strings.cut(inputs)))

    def trait(self, name: str, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) the length of the longest string of each puzzle (N, L)."""
        return {"length": self._longest}[name](inputs)

    def ranges_of(self, trait: str) -> tuple[int, ...]:
        """RANGES ranges of lengths, or one for each length where there are fewer."""
        return tuple(range(1, self.size + 1, -(-self.size // RANGES)))

    def level_of(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) index of the first level that has strings (N, L) of their length, or NO_LEVEL."""
        return level_of(self.ranges, self.trait("length", inputs))

    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        """`count` new strings of `level`, of the part that is held out or of the other, which share no puzzle
        in any form. Raises UserError for a level that is unknown or has no puzzle in that part."""
        index = self.level_index(level)
        wanted = self.ranges[index]
        lengths = self.pattern.lengths(wanted.fewest, wanted.most)
        if not len(lengths):
            raise UserError(
                f"level '{level}': {self.pattern.name} has no string of {wanted.fewest} to {wanted.most}"
            )
        made = np.zeros((0, self.length), np.uint8)
        most = 1 if held_out else self.strings
        empty = 0
        while len(made) < count:
            tries = (count - len(made)) * most * (HELD_OUT_ONE_IN if held_out else 2) + 8
            boards = self.pattern.questions(rng.choice(lengths, tries), rng)
            boards = boards[self._is_held_out(boards) == held_out]
            anywhere = self.placement == "anywhere"
            inputs = pack(boards, self.columns, most, anywhere, rng)
            made = np.concatenate([made, inputs[: count - len(made)]])
            empty = 0 if len(inputs) else empty + 1
            if empty == MOST_ROUNDS:
                part = "hold out" if held_out else "train on"
                raise UserError(
                    f"level '{level}' of {self.pattern.name} has no puzzle to {part}: take longer strings"
                )
        return PuzzleBatch(made, self.solution(made), np.full(count, index), np.zeros(count, np.int64))

    def _is_held_out(self, boards: Tokens) -> NDArray[np.bool_]:
        """(M,) of strings (M, R, w)."""
        wide = np.zeros((len(boards), self.pattern.rows, self.columns), np.uint8)
        wide[:, :, : boards.shape[2]] = boards
        found: NDArray[np.bool_] = (
            self.invariant(wide.reshape(-1, self.length)) % np.uint64(HELD_OUT_ONE_IN) == 0
        )
        return found

    def augment(self, batch: PuzzleBatch, rng: np.random.Generator) -> PuzzleBatch:
        """Every puzzle in a random other form, with the label that the rule gives it."""
        inputs = self.symmetries(batch.inputs, rng).apply(batch.inputs)
        return PuzzleBatch(inputs, self.solution(inputs), batch.level, batch.identifier)

    def symmetries(self, inputs: Tokens, rng: np.random.Generator) -> PatternSymmetries:
        """A random form of each puzzle (N, L): elsewhere on the canvas, and renamed where that is sound."""
        return PatternSymmetries.of(inputs, self.pattern, rng)

    def canonical(self, inputs: Tokens) -> Tokens:
        """(N, L) one form of each puzzle that all its forms share."""
        return canonical(inputs, self.pattern)

    def faults(self, inputs: Tokens, solution: Tokens) -> dict[int, str]:
        """What is wrong with puzzles from a file: row -> reason."""
        reasons = super().faults(inputs, solution)
        for row, tokens in enumerate(inputs):
            try:
                self.check(tokens)
                self.prove(tokens)
            except DataError as error:
                reasons[row] = str(error)
        return reasons

    def encode(self, text: str) -> Tokens:
        """(L,) the question that `text` is, in full or as a person types it (see envs/patterns/files.py).
        Raises DataError."""
        tokens = files.encode(text, self.pattern, self.columns)
        self.check(tokens)
        return tokens

    def check(self, tokens: Tokens) -> None:
        """Raises DataError, with a cell, unless `tokens` are one rectangle that is a question."""
        super().check(tokens)
        tokens = np.asarray(tokens, np.uint8)
        if not (tokens != PAD).any():
            raise DataError("the question is empty: there is nothing but padding")
        strings = self._strings(tokens[None])
        for board, left, width in zip(strings.cut(tokens[None]), strings.start, strings.width, strict=True):
            for row, column in np.argwhere(board[:, :width] == PAD)[:1].tolist():
                raise self._fault("padding within a string", row, int(left) + column)
            if (found := self.pattern.reason(board[:, :width])) is not None:
                reason, row, column = found
                raise self._fault(reason, row, int(left) + column)

    def prove(self, inputs: Tokens) -> Tokens:
        """(L,) the label of a question (L,). Raises DataError for brackets that no exchange repairs."""
        found = self.solution(inputs[None])
        if not self.solved(inputs[None], found)[0]:
            raise DataError("no exchange of one bracket makes all match")
        return found[0]

    def split(self, text: str) -> list[str]:
        """The questions of a text: its lines."""
        return [line for line in text.splitlines() if line.strip()]

    def read(self, path: Path) -> PuzzleBatch:
        """All puzzles of a file (see envs/patterns/files.py). Raises DataError naming line and reason."""
        lines, inputs, solution, given = files.read(Path(path), self.pattern, self.columns)
        own = np.array(given)
        solution[~own] = self.solution(inputs[~own])
        faults = self.faults(inputs, solution)
        refuse_bad_rows(Path(path), {lines[row]: reason for row, reason in faults.items()})
        return self._batch_of(inputs, solution)

    def write_text(self, tokens: Tokens) -> str:
        """One puzzle or answer (L,) as a file has it, without the padding behind it."""
        return files.write(tokens, self.pattern)

    def _strings(self, inputs: Tokens) -> Strings:
        return Strings.on(inputs, self.pattern.rows)

    def _longest(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) length of the longest string."""
        strings = self._strings(inputs)
        found = np.zeros(len(inputs), np.int64)
        np.maximum.at(found, strings.owner, self.pattern.lengths_of(strings.cut(inputs)))
        return found

    def _fault(self, reason: str, row: int, column: int) -> DataError:
        return DataError(f"row {row + 1}, column {column + 1}: {reason}", row * self.columns + column)
