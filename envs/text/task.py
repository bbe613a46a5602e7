"""Text as a task: a puzzle is a window of a text, and the answer to each token is the one that follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError, MisfitError, UserError
from envs.puzzle import NO_LEVEL, PAD, PuzzleBatch, Tokens
from envs.task import PuzzleTask
from envs.text.names import SHORT, names
from envs.text.vocabulary import vocabulary
from envs.text.windows import Windows, read_tokens, split, window

LONGEST = 4096


class TextTask(PuzzleTask):
    """Say what comes next.

    ## Description

    A text in windows of `size` tokens. A token is a byte of UTF-8, or what a file of the `tokenizers` package
    makes one. A window begins with a mark, which stands for whatever came before; then follows text. The
    answer to each token is the token after it. Every token is judged alone (`next_token`): it is right where
    it is the one that the text has there. Networks that learn this must be causal.

    The measure `bits_per_byte` is the cross entropy of the text under the network's probabilities; a mark
    that ends a name counts as a byte. It cannot be told from an answer and is filled in where a network is
    evaluated.

    ## Action Space

    `size` tokens: for each token of the window the one that follows.

    ## Observation Space

    `size` tokens: 0 after the end of a text, else a byte, or the mark (192, a byte that UTF-8 never uses).

    ## Rewards

    A window is right if every token in it that has a successor is answered by that: rarely. What a network is
    taught and evaluated by are its tokens.

    ## Starting State

    - `short` and `long`: made-up names in random order, each between two marks (`envs.text.names`); `short`
      ones have at most nine letters. An eighth of the 32,768 names is held out.
    - A file (`--data.path`): windows that begin anywhere in its first nine tenths. The last tenth is held
      out, in windows side by side, but for those that also stand before. No window has tokens of both.

    ## Episode End

    That of `envs.ActEnv`: when the agent halts, or at the end of the budget.

    ## Arguments

    - `size` (`64`): tokens of a window, 2 to 4096: the longest text that a network sees at once.
    - `tokenizer` (`None`): a file of the `tokenizers` package with at most 243 tokens; bytes without it.

    ## Version History

    - v0: initial version.
    """

    name = "text"
    levels = ("short", "long")
    measures = ("bits_per_byte",)
    label_decides = True
    drawn_as = "string"
    next_token = True

    def __init__(self, size: int = 64, tokenizer: str | None = None) -> None:
        if not isinstance(size, int) or not 2 <= size <= LONGEST:
            raise UserError(f"text size is {size!r}; it must be a whole number of tokens, 2 to {LONGEST}")
        self.size = size
        self.grid_shape = (1, size)
        self.vocabulary = vocabulary(tokenizer)
        self.characters = "".join(self.vocabulary.shown())

    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        """(N,) whether each answer says what the window itself has next, wherever it has more."""
        return self.right(inputs, answer, self._next(inputs))

    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        """(N, L) every token that is there: what follows it is to be found."""
        return inputs != PAD

    def level_of(self, inputs: Tokens) -> NDArray[np.int64]:
        """(N,) by the length of a window's first name; NO_LEVEL where no mark ends one."""
        marks = inputs[:, 1:] == self.vocabulary.mark
        letters = [
            len(self.vocabulary.decode(row[: at + 1]))
            for row, at in zip(inputs, marks.argmax(1), strict=True)
        ]
        found = (np.array(letters, np.int64) > SHORT).astype(np.int64)
        return np.where(marks.any(axis=1), found, NO_LEVEL)

    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        """`count` windows of names in random order, each followed by a mark. Raises UserError."""
        self.level_index(level)
        words, mark = names(held_out, level == "short"), self.vocabulary.mark
        inputs, solution = np.zeros((2, count, self.size), np.uint8)
        for row in range(count):
            text: list[int] = []
            while len(text) < self.size:
                text += [*self.vocabulary.encode(words[rng.integers(len(words))]).tolist(), mark]
            inputs[row], solution[row] = window(mark, np.array(text[: self.size], np.uint8), self.size)
        levels = np.full(count, self.level_index(level))
        return PuzzleBatch(inputs, solution, levels, np.zeros(count, np.int64))

    def token_widths(self) -> NDArray[np.int64]:
        """(V,) bytes that each token stands for; a mark counts as one."""
        return self.vocabulary.widths()

    def measure(self, inputs: Tokens, answer: Tokens) -> NDArray[np.float64]:
        """(N, 1) NaN: an answer does not say how probable the text was."""
        return np.full((len(inputs), 1), np.nan)

    def encode(self, text: str) -> Tokens:
        """(L,) the mark and a text of at most L - 1 tokens. Raises DataError."""
        tokens = self.vocabulary.encode(text)
        if len(tokens) >= self.size:
            raise MisfitError(f"the text has {len(tokens)} tokens; a window holds {self.size - 1} and a mark")
        found = np.zeros(self.size, np.uint8)
        found[0], found[1 : len(tokens) + 1] = self.vocabulary.mark, tokens
        return found

    def prove(self, inputs: Tokens) -> Tokens:
        """(L,) what follows each token of a window, PAD for the last."""
        return self._next(inputs[None])[0]

    def split(self, text: str) -> list[str]:
        """The text itself, one window."""
        return [text.strip("\r\n")]

    def read(self, path: Path) -> PuzzleBatch:
        """All of a file, in windows side by side. Raises DataError."""
        text = read_tokens(path, self.vocabulary)
        return Windows.side_by_side(text, self.size, self.vocabulary.mark).take(slice(None))

    def read_training(self, path: Path) -> tuple[Windows, Windows]:
        """The windows of a file to train on and those held out, without what stands word by word in the part
        to train on. Raises DataError."""
        kept, held_out = split(read_tokens(path, self.vocabulary))
        train = Windows.anywhere(kept, self.size, self.vocabulary.mark)
        new = Windows.side_by_side(held_out, self.size, self.vocabulary.mark).without(train)
        if not len(new):
            raise DataError(f"{path}: all of its end also stands before: nothing new is left to hold out")
        return train, new

    def faults(self, inputs: Tokens, solution: Tokens) -> dict[int, str]:
        """Rows from a file whose solution is not what follows."""
        known = self._next(inputs)
        wrong = ((solution != known) & (known != PAD)).any(axis=1)
        return {int(row): "the solution is not the text one token on" for row in np.flatnonzero(wrong)}

    def _next(self, inputs: Tokens) -> Tokens:
        """(N, L) what follows each token inside its window."""
        return np.concatenate([inputs[:, 1:], np.zeros((len(inputs), 1), np.uint8)], axis=1)
