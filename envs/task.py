"""What a task is: the one class that a new task fills in.

Three methods and four attributes make a task; everything else has a default that a task replaces where it
knows better.

Legend: N puzzles, L tokens a puzzle (the cells of a grid, row by row), V token values, M measures.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from envs import drawing
from envs.csv_files import parse_cells, read_csv, refuse_bad_rows
from envs.drawing import DrawnAs
from envs.errors import DataError, MisfitError, unknown
from envs.puzzle import NO_LEVEL, PAD, Collection, PuzzleBatch, Puzzles, Tokens, View, fingerprint

ReportProgress = Callable[[str, int, int], None]
"""Told of slow work: what is being made, how much is done, how much there is."""


class Symmetries(Protocol):
    """A symmetry of the task for each of N puzzles."""

    def apply(self, boards: Tokens) -> Tokens:
        """The puzzles (N, L), each under its symmetry."""

    def undo(self, boards: Tokens) -> Tokens:
        """Answers (N, L) to these, as answers to the puzzles that they were made of: right exactly where they
        were. Any tokens below V may stand in them."""

    def undo_chances(self, chances: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for the probabilities (N, L, V) of an answer's tokens."""


class PuzzleTask(ABC):
    """A family of puzzles: its tokens, its levels, its rule, its generator, its files, its pictures.

    ## Description

    A puzzle is a grid of L cells, each a token; an answer has a token for every cell. A task says which
    answers are right; `envs.ActEnv` makes an environment of it.

    ## Action Space

    An answer: L tokens, 0 to V - 1.

    ## Observation Space

    A puzzle: L tokens, 0 to V - 1, the grid row by row. 0 is PAD, a cell that is not there.

    ## Rewards

    `solved` decides from the question and the answer alone, without a solution.

    ## Starting State

    A puzzle that `generate` makes, of one of `levels`, or one that `read` finds in a file.

    ## Episode End

    A task ends no episodes; `envs.ActEnv` does.

    ## Arguments

    Those of the subclass.

    ## Version History

    - v0: initial version.
    """

    name: str
    characters: str
    """How token t is written in files and in a terminal: characters[t]. The first is that of PAD."""
    grid_shape: tuple[int, int]
    """(rows, columns); L = rows * columns."""
    levels: tuple[str, ...]
    """Names of the difficulties, the easiest first."""
    measures: tuple[str, ...] = ()
    """Names of what `measure` gives."""
    rules: tuple[str, ...] = ()
    """What can be wrong with an answer, in words, for `broken`."""
    traits: tuple[str, ...] = ()
    """Names of what `trait` gives, apart from the level."""
    at_once: int | None = None
    """The most puzzles to ask `generate` for at a time where a puzzle takes long, so that progress can be
    shown; None where it does not."""
    box_shape: tuple[int, int] | None = None
    """Rows and columns of the boxes that pictures of a board show, if there are any."""
    one_solution: bool = False
    """Whether `prove` shows that no other answer is right; else it gives one of those that may be."""
    label_decides: bool = False
    """Whether a question leaves open which answer is right, so that only its label tells: then `solved` is
    never asked. What needs a rule, such as search and verified retries, is not offered."""
    next_token: bool = False
    """Whether the answer to each token is the one that follows it. Networks that learn that must be causal;
    each token is an episode of its own, which halts where its own Q-values say so."""
    assumable: tuple[int, ...] = ()
    """Tokens that a search agent may write into unknown cells, which are then no longer `unknown`. Without
    any, the task cannot be searched."""

    drawn_as: DrawnAs = "board"
    """How pictures and the page of `hrm-rl serve` show a puzzle: a board of cells, a grid of colours (token t
    is colour c if its character is the digit c; an end mark is no colour), or a string that ends where its
    padding begins."""

    remarks: tuple[str, ...] = ()
    """What a run should say about the task's data before it trains on them, a line each."""
    identifiers: int = 1
    """Rows of the puzzle-embedding table: `PuzzleBatch.identifier` of the task's puzzles is below that."""

    @property
    def vocab_size(self) -> int:
        """V: tokens are 0..V-1, with 0 = PAD."""
        return len(self.characters)

    @property
    def length(self) -> int:
        """L."""
        return self.grid_shape[0] * self.grid_shape[1]

    def level_index(self, level: str) -> int:
        """The place of a level in `levels`. Raises UserError for an unknown one."""
        if level not in self.levels:
            raise unknown("level", level, self.levels)
        return self.levels.index(level)

    def coordinates(self) -> NDArray[np.int64]:
        """(L, K) where each cell is, in numbers from 0, for networks that are told (`model.pos_encodings
        axial`): its row and its column. A task adds what else cells can share."""
        return np.indices(self.grid_shape).reshape(2, -1).T

    def token_widths(self) -> NDArray[np.int64]:
        """(V,) bytes of text that each token stands for."""
        return np.ones(self.vocab_size, np.int64)

    @abstractmethod
    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N,) whether each answer (N, L) is right by the task's rule. Needs no solution."""

    def right(self, inputs: Tokens, answer: Tokens, solution: Tokens) -> NDArray[np.bool_]:
        """(N,) whether each answer (N, L) is right: by the rule, or by its label where that decides."""
        if not self.label_decides:
            return self.solved(inputs, answer)
        labelled = solution != PAD
        found: NDArray[np.bool_] = ((answer == solution) | ~labelled).all(axis=1) & labelled.any(axis=1)
        return found

    def decidable(self, solution: Tokens) -> NDArray[np.bool_]:
        """(N,) whether `right` can tell for puzzles with these labels: always by a rule, else where there
        is a label."""
        return (solution != PAD).any(axis=1) | (not self.label_decides)

    def identities(self) -> Mapping[int, str]:
        """Names of identities that a person may choose for a puzzle of their own, by identifier; none where
        all puzzles share one."""
        return {}

    def identity_names(self) -> Sequence[str]:
        """What each identifier stands for, as identifiers.json of a folder has it."""
        return ["<blank>"]

    @abstractmethod
    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        """(N, L) the cells that an answer has to find; the others are given."""

    @abstractmethod
    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        """`count` new puzzles of `level`: a pure function of its arguments.

        `held_out` matters only where a task draws on a file: then the two values never share a puzzle, nor
        puzzles that are symmetric. Raises UserError for a level that is unknown or out of the generator's
        reach.
        """

    def prepare(self, levels: Sequence[str], progress: ReportProgress) -> None:  # noqa: B027
        """Make, once, what `generate` of these levels draws on and what takes long to make, such as a cache
        on disk. `generate` does so itself where this was not called. Safe to call from several processes."""

    def stock(self, level: str) -> PuzzleBatch | None:
        """The training puzzles of a level, up to symmetry, where `generate` draws on a file or a cache of
        them; None where it makes new ones without end."""
        return None

    def collection(self, seed: int) -> Collection | None:
        """All the puzzles of the data that `generate` draws on, to be written as a folder; None where it
        makes new ones. seed: of what is random in how they are written."""
        return None

    def level_of(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) index into `levels` of puzzles (N, L) from a file, or NO_LEVEL."""
        return np.full(len(inputs), NO_LEVEL, np.int64)

    def measure(self, inputs: Tokens, answer: Tokens) -> NDArray[np.float64]:
        """(N, M) numbers that tell how good answers (N, L) are, apart from right or wrong, for `measures`;
        NaN where one does not apply. Reports show the mean over where it does."""
        return np.zeros((len(inputs), 0))

    def trait(self, name: str, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) what is counted as one of `traits` in puzzles (N, L), such as their
        clues: what reports can be split by."""
        raise NotImplementedError(f"{self.name} has the traits {self.traits}, but no {name}")

    def ranges_of(self, trait: str) -> tuple[int, ...] | None:
        """The least value of each range that reports split this trait into, or None for ranges with about as
        many puzzles each."""
        return None

    def broken(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, R) which of `rules` each answer (N, L) breaks. An answer that breaks none is right (if there
        are rules)."""
        return np.zeros((len(inputs), len(self.rules)), np.bool_)

    def violations(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N, L) the cells of each answer (N, L) that break the rule, to be shown as such: at least one of
        every answer that breaks any of `rules`, none of one that is right. As long as a task does not say
        more, those where what was given is changed."""
        return (answer != inputs) & ~self.unknown(inputs)

    def contradicts(self, boards: Tokens) -> NDArray[np.bool_]:
        """(N,) whether what stands on each board (N, L), a puzzle with some unknown cells filled in, breaks
        the rule at a glance, so that no answer can agree with it. A board that passes may still have no
        answer: nothing is searched, and no solution is known. A task with `assumable` tokens replaces
        this."""
        raise NotImplementedError(f"{self.name} has no assumable tokens")

    def secret(self, puzzles: PuzzleBatch) -> NDArray[np.bool_]:
        """(N,) which puzzles, with their solutions, are those that a benchmark is decided by. They are never
        trained on, whatever file or folder they come from."""
        return np.zeros(len(puzzles), np.bool_)

    def augment(self, batch: PuzzleBatch, rng: np.random.Generator) -> PuzzleBatch:
        """Every puzzle under a random symmetry of the task, with the solution that belongs to it. Takes the
        same amount of randomness for each puzzle, in order, so that augmenting 2 + 3 puzzles equals
        augmenting 5."""
        return batch

    def symmetries(self, inputs: Tokens, rng: np.random.Generator) -> Symmetries | None:
        """A random symmetry for each of the puzzles (N, L), to solve a puzzle in another form and to map the
        answer back; None where the task has none. Randomness is taken as in `augment`."""
        return None

    def canonical(self, inputs: Tokens) -> Tokens:
        """(N, L) the same tokens for two puzzles exactly if a symmetry of the task maps one to the other."""
        return inputs

    def invariant(self, inputs: Tokens) -> NDArray[np.uint64]:
        """(N,) a hash that all symmetries of a puzzle share. Other puzzles may share it too, if rarely: where
        that matters `canonical` decides, and this saves its time."""
        return fingerprint(self.canonical(inputs))

    def faults(self, inputs: Tokens, solution: Tokens) -> dict[int, str]:
        """What is wrong with puzzles from a file: row -> reason, for rows that are no puzzle or whose
        solution (N, L) is not right. Tokens are already known to be below V."""
        wrong = np.flatnonzero(~self.right(inputs, solution, solution))
        return {int(row): "the solution does not solve the puzzle" for row in wrong}

    def encode(self, text: str) -> Tokens:
        """(L,) the one puzzle that `text` is, as a person types it; line ends do not count, nor blanks in a
        string that has none, which padding follows. Only its form is looked at. Raises DataError, in one
        line, for text that is no puzzle."""
        if self.drawn_as == "string":
            parts = text.splitlines() if " " in self.characters else text.split()
            text = "".join(parts).ljust(self.length, self.characters[0])
        return parse_cells(text, self.characters, self.length)[0]

    def check(self, tokens: Tokens) -> None:
        """Whether tokens, any number of them, have the form of a puzzle (L,), as those of `encode` do. Raises
        DataError, with the cell that is at fault."""
        if len(tokens) != self.length:
            raise MisfitError(f"the puzzle has {len(tokens)} cells, not {self.length}")
        for cell in np.flatnonzero(tokens >= self.vocab_size)[:1]:
            row, column = divmod(int(cell), self.grid_shape[1])
            where = f"row {row + 1}, column {column + 1}"
            raise DataError(f"{where} is token {tokens[cell]}; it must be below {self.vocab_size}", int(cell))

    def prove(self, inputs: Tokens) -> Tokens:
        """(L,) a right answer to a puzzle (L,) whose form is sound, PAD throughout where the task cannot tell
        one. It takes a second at most, whatever the puzzle. Raises DataError, in one line and with the cell
        to blame, for a puzzle without a solution and, where `one_solution` is promised, with several."""
        return np.zeros_like(inputs)

    def parse(self, text: str) -> PuzzleBatch:
        """The one puzzle that `text` is, and its solution as `prove` gives it. Raises DataError, in one line,
        for text that is no puzzle and for a puzzle that cannot be solved."""
        inputs = self.encode(text)
        found = self._batch_of(inputs[None], self.prove(inputs)[None])
        return replace(found, identifier=np.full(1, self.identify(text), np.int64))

    def identify(self, text: str) -> int:
        """The identity that the text of a puzzle names, 0 where it names none. Raises DataError for a name
        that there is not."""
        return 0

    def quick(self, level: str) -> bool:
        """Whether `generate` makes a puzzle of this level at once, without a cache on disk that would have to
        be made before, and without a long search."""
        return self.at_once is None

    def split(self, text: str) -> list[str]:
        """The puzzles of a text without a header line, each as `parse` takes it: its lines, if there are some
        of a puzzle's length, else its blocks of lines. Raises DataError for text that is neither."""
        lines = text.splitlines()
        if any(len(line.strip()) == self.length for line in lines):
            return [line for line in lines if line.strip()]
        return [block for block in re.split(r"(?:\r?\n){2,}", text.strip("\r\n")) if block]

    def read(self, path: Path) -> PuzzleBatch:
        """All puzzles of a text file, checked. Raises DataError naming the line and the reason."""
        lines, inputs, solution = read_csv(path, self.characters, self.length)
        faults = self.faults(inputs, solution)
        refuse_bad_rows(path, {lines[row]: reason for row, reason in faults.items()})
        return self._batch_of(inputs, solution)

    def read_training(self, path: Path) -> tuple[Puzzles, Puzzles | None]:
        """The puzzles of a file to train on, and those that it holds out, if the task divides it. Raises
        DataError."""
        return self.read(path), None

    def _batch_of(self, inputs: Tokens, solution: Tokens) -> PuzzleBatch:
        """Puzzles (N, L) from a text or a file, with their levels and without identities."""
        return PuzzleBatch(inputs, solution, self.level_of(inputs), np.zeros(len(inputs), np.int64))

    def write_text(self, tokens: Tokens) -> str:
        """One row of tokens (L,) as a CSV file of this task has it."""
        return "".join(self.characters[token] for token in tokens)

    def render_text(self, view: View) -> str:
        """One puzzle as text for a terminal, with what the view has."""
        return drawing.render_text(self.drawn_as, self.characters, self.grid_shape, view)

    def render_rgb(self, view: View) -> NDArray[np.uint8]:
        """The same as an image (height, width, 3)."""
        return drawing.render_rgb(self.drawn_as, self.characters, self.grid_shape, view)
