"""Text as tokens and back: the bytes of UTF-8, or the vocabulary of a `tokenizers` file.

Legend: V token values. Token 0 is PAD, and one token is the mark that stands before a text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError, UserError
from envs.puzzle import PAD, Tokens

_BYTES = 0xF5
"""UTF-8 has no bytes from here on."""
_MARK = 0xC0
"""A byte that UTF-8 never uses."""
LARGEST = 245
"""The most token values there can be: tokens are single bytes in memory and in files of puzzles."""


class Vocabulary(Protocol):
    """Text as tokens and back."""

    size: int
    """V."""
    mark: int
    """The token that stands before a text, and after one that has ended."""

    def encode(self, text: str) -> Tokens:
        """The tokens of a text, without marks. Raises DataError for what cannot be said in them."""

    def decode(self, tokens: Tokens) -> str:
        """The text of tokens. Marks and PAD say nothing; bytes that are no UTF-8 become U+FFFD."""

    def widths(self) -> NDArray[np.int64]:
        """(V,) bytes that each token stands for; a mark counts as one, as a line's end in a file does."""

    def shown(self) -> list[str]:
        """(V,) each token in a picture."""


class Bytes:
    """Every byte of UTF-8 is a token: token t is byte t."""

    size, mark = _BYTES, _MARK

    def encode(self, text: str) -> Tokens:
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"the text has half a character (U+{ord(text[error.start]):04X}) at position {error.start}: "
                "give it in UTF-8"
            ) from None
        if 0 in data:
            raise DataError(f"the text has a NUL character at byte {data.index(0)}: leave it out")
        return np.frombuffer(data, np.uint8).copy()

    def decode(self, tokens: Tokens) -> str:
        return bytes(t for t in tokens.tolist() if t not in (PAD, _MARK)).decode(errors="replace")

    def widths(self) -> NDArray[np.int64]:
        return np.ones(self.size, np.int64)

    def shown(self) -> list[str]:
        """Printable bytes as themselves, control characters as Unicode's pictures of them, parts of longer
        characters as Braille patterns: one character for each."""
        plain = [chr(0x2400 + t) if t < 32 else chr(t) for t in range(127)]
        found = [*plain, chr(0x2421), *(chr(0x2800 + t) for t in range(128, self.size))]
        found[self.mark] = "\u00b6"
        return found


class TokenizerFile:
    """The vocabulary of a file of the `tokenizers` package: its token i is token i + 1; the mark is the
    last."""

    def __init__(self, path: str) -> None:
        """Raises UserError for a file that cannot be read or holds too many tokens."""
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UserError(
                "a vocabulary from a file needs the package tokenizers: pip install 'hrm-rl[text]'"
            ) from None
        if not Path(path).is_file():
            raise UserError(f"there is no tokenizer file {path}; tokenizers' Tokenizer.save writes one")
        try:
            self._tokenizer: Any = Tokenizer.from_file(path)
        except Exception as error:  # tokenizers raises nothing narrower
            raise UserError(f"{path} is no tokenizer file: {' '.join(str(error).split())[:100]}") from None
        count = self._tokenizer.get_vocab_size()
        if count + 2 > LARGEST:
            raise UserError(
                f"{path} has {count} tokens; at most {LARGEST - 2} can be used: train one with vocab_size="
                f"{LARGEST - 2}, or leave the option out for bytes"
            )
        self.path, self.size, self.mark = path, count + 2, count + 1

    def encode(self, text: str) -> Tokens:
        found = np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64) + 1
        said = self.decode(found.astype(np.uint8))
        if said != text:
            at = next((i for i, (a, b) in enumerate(zip(text, said, strict=False)) if a != b), len(said))
            raise DataError(
                f"{self.path} has no token for {text[at : at + 1]!r} at character {at + 1}, or changes it: "
                "leave it out, or use bytes"
            )
        return found.astype(np.uint8)

    def decode(self, tokens: Tokens) -> str:
        ids = [t - 1 for t in tokens.tolist() if t not in (PAD, self.mark)]
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def widths(self) -> NDArray[np.int64]:
        spoken = [len(self.decode(np.array([t], np.uint8)).encode()) for t in range(1, self.mark)]
        return np.array([1, *spoken, 1], np.int64)

    def shown(self) -> list[str]:
        """One character for each token: its own where it has one, else a Braille or a private one."""
        found = ["\u2400"]
        for token in range(1, self.mark):
            own = self.decode(np.array([token], np.uint8))
            found.append(own if len(own) == 1 and own.isprintable() else chr(0xE000 + token))
        return [*found, "\u00b6"]


def vocabulary(tokenizer: str | None) -> Vocabulary:
    """That of a tokenizer's file, else bytes. Raises UserError."""
    return Bytes() if tokenizer is None else TokenizerFile(tokenizer)
