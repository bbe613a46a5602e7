"""A trained causal model that reads text and goes on with it.

Legend: L tokens of a window, T tokens of a text, V token values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs.puzzle import NO_LEVEL, PAD, PuzzleBatch, Tokens
from envs.text import TextTask
from envs.text.windows import Windows
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.text.reading import Read, read_tokens
from hrm_rl.agents.text.thinking import think_tokens
from hrm_rl.models.tracing import updates_of
from hrm_rl.runs.checkpoint import Weights
from hrm_rl.runs.loading import LoadedModel, load_model
from hrm_rl.text.sampling import Sampling
from hrm_rl.utils.console import typed_command
from hrm_rl.utils.errors import UserError


@dataclass(frozen=True)
class TokenOutput:
    """What a model makes of the tokens of a text, the mark before it first: T = its tokens + 1."""

    tokens: Tokens
    """(T,)"""
    logits: NDArray[np.float32]
    """(T, V) log-probabilities of what follows each token, where that token stopped."""
    steps: NDArray[np.int64]
    """(T,) segments that each token was thought about."""
    halted: NDArray[np.bool_]
    """(T,) whether it halted by itself, and not because the budget was spent."""


@dataclass(frozen=True)
class Spoken:
    """One token that was generated."""

    token: int
    bits: float
    """How unlikely the model thought it, before temperature, top_k and top_p: -log2 of its probability."""
    steps: int
    """Segments spent on it."""
    halted: bool
    """Whether the model halted by itself."""


@dataclass(frozen=True)
class Generated:
    """A prompt and what the model said after it."""

    prompt: str
    tokens: Tokens
    """Of the prompt and of what was said, without the mark that begins and the one that ends it."""
    text: str
    """The same as text; bytes that make no character are U+FFFD."""
    spoken: tuple[Spoken, ...]
    """Each token that was generated, the mark that ended the text included."""
    ended: bool
    """Whether the text came to its end by a mark."""

    @property
    def steps(self) -> int:
        """Segments in all."""
        return sum(token.steps for token in self.spoken)


class TextModel:
    """A model with its vocabulary, as `hrm-rl generate` uses it."""

    def __init__(self, loaded: LoadedModel) -> None:
        """Raises UserError for a model of puzzles."""
        if not isinstance(loaded.task, TextTask):
            raise UserError(
                f"{loaded.name} is a model of {loaded.task.name}, which answers puzzles (solve --model "
                f"{loaded.name}); one of text comes from {typed_command('train')} --preset text-names"
            )
        self.loaded = loaded
        self.task = loaded.task

    @classmethod
    def from_pretrained(cls, path: str | Path, weights: Weights | None = None) -> TextModel:
        """The model of a run, a checkpoint or a folder for others. Raises UserError."""
        return cls(load_model(path, weights).on(torch.device("cpu")))

    def to(self, device: torch.device) -> TextModel:
        """The same model on a device."""
        self.loaded.on(device)
        return self

    @property
    def solver(self) -> Solver:
        return self.loaded.solver

    @property
    def budget(self) -> int:
        """The most segments a token in training."""
        return self.loaded.config.halting.halt_max_steps

    @property
    def context(self) -> int:
        """The most tokens that are seen at once, beside the mark."""
        return self.task.size - 1

    def blocks(self, use_hrm: bool = True) -> int:
        """Blocks that a token passes in a segment."""
        model: Any = self.loaded.model if use_hrm else self.loaded.model.flat()
        modules = [getattr(model, f"{place.level}_level", None) or model.level for place in updates_of(model)]
        return sum(len(module.layers) for module in modules)

    def forward(
        self, text: str, use_hrm: bool = True, max_segments: int | None = None, threshold: float = 0.0
    ) -> TokenOutput:
        """Read a text of at most `context` tokens.

        use_hrm: as in `generate`.  max_segments: the budget, that of training if not given.  threshold: as of
        `hrm_rl.agents.act.stopping.Stopping`. Raises DataError for a longer text, which `read` takes, and for
        what the vocabulary cannot say."""
        row = self.task.encode(text)
        count = int((row != PAD).sum())
        rule = Stopping(max_segments or self.budget, threshold=threshold)
        log_p, steps, halted = self._think(row, rule, use_hrm, np.arange(count))
        return TokenOutput(row[:count], log_p[:count], steps[:count], halted[:count])

    def read(self, text: str, use_hrm: bool = True, stopping: Stopping | None = None) -> Read:
        """Bits, and segments, of every token of a text of any length, in windows side by side: what is left
        of a last window that is not full counts too."""
        tokens = self.task.vocabulary.encode(text)
        starts = np.arange(0, max(len(tokens), 1), self.task.size)
        windows = Windows(tokens, starts, self.task.size, self.task.vocabulary.mark)
        return read_tokens(
            self.solver, windows.take(slice(None)), stopping or Stopping(self.budget), not use_hrm
        )

    def stream(
        self,
        prompt: str = "",
        max_length: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        use_hrm: bool = True,
        seed: int = 0,
        max_segments: int | None = None,
        threshold: float = 0.0,
    ) -> Iterator[Spoken]:
        """As `generate`, one token after the other."""
        if max_length < 0:
            raise UserError(f"max_length is {max_length}; it must be 0 or more tokens, the prompt included")
        sampling, rng = Sampling(temperature, top_k, top_p), np.random.default_rng([seed, 0x74657874])
        rule, mark = Stopping(max_segments or self.budget, threshold=threshold), self.task.vocabulary.mark
        tokens = self.task.vocabulary.encode(prompt).tolist()
        while len(tokens) < max_length:
            seen = tokens[-self.context :]
            row = np.zeros(self.task.size, np.uint8)
            row[0], row[1 : len(seen) + 1] = mark, seen
            last = np.array([len(seen)])
            log_p, steps, halted = (found[last[0]] for found in self._think(row, rule, use_hrm, last))
            possible = log_p.astype(np.float64)
            possible[PAD] = -np.inf
            token = sampling.draw(possible, rng)
            yield Spoken(token, float(-log_p[token] / np.log(2)), int(steps), bool(halted))
            if token == mark:
                return
            tokens.append(token)

    def generate(
        self,
        prompt: str = "",
        max_length: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        use_hrm: bool = True,
        seed: int = 0,
        max_segments: int | None = None,
        threshold: float = 0.0,
    ) -> Generated:
        """Go on with a prompt, until the model ends the text or it has `max_length` tokens, the prompt's
        included: a prompt that has so many is given back as it is.

        The model sees the last `context` tokens. temperature, top_k, top_p: see `Sampling`.  use_hrm: False
        takes the flat path: every block once, no recurrence, one segment.  seed: of what is drawn.
        max_segments, threshold: as in `forward`. Raises UserError for values out of range and for a prompt
        that the vocabulary cannot say.
        """
        spoken = tuple(
            self.stream(prompt, max_length, temperature, top_k, top_p, use_hrm, seed, max_segments, threshold)
        )
        said = [token.token for token in spoken]
        ended = bool(said) and said[-1] == self.task.vocabulary.mark
        before = self.task.vocabulary.encode(prompt)
        tokens = np.concatenate([before, np.array(said[: len(said) - ended], np.uint8)])
        return Generated(prompt, tokens, self.task.vocabulary.decode(tokens), spoken, ended)

    def _think(
        self, row: Tokens, rule: Stopping, use_hrm: bool, asked: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """Log-probabilities (L, V), segments (L,) and whether it halted (L,) of each token of a window (L,),
        as far as they are among those asked for; others may have been thought about for less."""
        one = PuzzleBatch(row[None], np.zeros_like(row[None]), np.array([NO_LEVEL]), np.array([0]))
        log_p = np.zeros((len(row), self.task.vocab_size), np.float32)
        steps, halted = np.zeros(len(row), np.int64), np.zeros(len(row), np.bool_)
        for found in think_tokens(self.solver, one, rule, flat=not use_hrm):
            going = ~halted
            log_p[going] = found.log_p[0].numpy()[going]
            steps[going] += 1
            halted |= found.thoughts.done & use_hrm
            if halted[asked].all():
                break
        return log_p, steps, halted
