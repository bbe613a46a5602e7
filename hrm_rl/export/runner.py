"""Solve puzzles with a segment in ONNX. Needs onnxruntime and numpy; nothing else of hrm-rl: copy this file.

    from runner import Runner

    runner = Runner("segment.onnx")
    (solved,) = runner.solve([".6.1...3.2..."])  # as the task writes it, row by row
    print(solved.answer, solved.segments)

or `python runner.py segment.onnx PUZZLE`. A puzzle is thought about segment by segment until the model wants
to halt or its budget is spent. Search (assumptions, starting over) is in the package only.

Legend: B puzzles, L cells, V tokens, S positions, D width of the state.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

State = dict[str, NDArray[np.float32]]
"""By name, each (B, S, D)."""


@dataclass(frozen=True)
class SolvedPuzzle:
    """What was handed in for one puzzle."""

    answer: str
    """As the task writes it, row by row."""
    tokens: NDArray[np.int64]
    """(L,) the same in tokens."""
    segments: int
    halted: bool
    """Whether the model wanted to halt; else the budget was spent."""
    q: tuple[float, float]
    """Its last values of halting and continuing."""


class Runner:
    """A segment and the loop around it."""

    def __init__(self, path: str | Path, threads: int = 0, providers: Sequence[str] | None = None):
        """threads: of onnxruntime, 0 for its own choice. providers: where it runs; the CPU if not given.
        Raises ValueError for another kind of file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=list(providers or ["CPUExecutionProvider"])
        )
        found = self.session.get_modelmeta().custom_metadata_map
        if json.loads(found.get("format", "null")) != "hrm-rl segment":
            raise ValueError(f"{path} is no segment written by hrm-rl export")
        self.about: Mapping[str, Any] = {key: json.loads(value) for key, value in found.items()}
        self.inputs = {value.name for value in self.session.get_inputs()}
        self.outputs = [value.name for value in self.session.get_outputs()]

    def initial(self, count: int) -> State:
        """The state of `count` puzzles that have not begun."""
        return {
            name: np.tile(np.array(row, np.float32), (count, self.about["positions"], 1))
            for name, row in self.about["initial"].items()
        }

    def segment(
        self, tokens: NDArray[np.int64], state: State, identifier: NDArray[np.int64] | None = None
    ) -> tuple[State, NDArray[np.float32], NDArray[np.float32]]:
        """One segment: the new state, logits (B, L, V) and q (B, 2). tokens: (B, L).  identifier: (B,) rows
        of the puzzle embedding, if there is one; 0 if not given."""
        feed = {"tokens": tokens, **state}
        if "identifier" in self.inputs:
            feed["identifier"] = np.zeros(len(tokens), np.int64) if identifier is None else identifier
        found = dict(zip(self.outputs, self.session.run(None, feed), strict=True))
        return {name: found[f"next_{name}"] for name in state}, found["logits"], found["q"]

    def wants_to_halt(self, q: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(B,) of Q-values (B, 2)."""
        return q[:, 0] > (0.0 if self.about["halts_where"] == "q_halt > 0" else q[:, 1])

    def answer(self, logits: NDArray[np.float32], puzzle: NDArray[np.int64]) -> NDArray[np.int64]:
        """(B, L) the likeliest tokens; given cells are copied where the model was trained on blanks alone."""
        likeliest = logits.argmax(-1)
        if self.about["loss_on"] == "all":
            return likeliest
        return np.where(np.isin(puzzle, self.about["unknown"]), likeliest, puzzle)

    def think(
        self,
        tokens: NDArray[np.int64],
        budget: int | None = None,
        adaptive: bool = True,
        identifier: NDArray[np.int64] | None = None,
    ) -> list[SolvedPuzzle]:
        """Think about puzzles (B, L). budget: the most segments, the model's own if not given.  adaptive:
        whether a puzzle ends where the model wants to halt; else each takes the whole budget."""
        state, rows = self.initial(len(tokens)), np.arange(len(tokens))
        identifier = np.zeros(len(tokens), np.int64) if identifier is None else identifier
        last = budget or self.about["budget"]
        done: dict[int, SolvedPuzzle] = {}
        for segment in range(1, last + 1):
            state, logits, q = self.segment(tokens[rows], state, identifier[rows])
            answers = self.answer(logits, tokens[rows])
            halts = self.wants_to_halt(q) & adaptive
            for i in np.flatnonzero(halts | (segment == last)):
                values = float(q[i, 0]), float(q[i, 1])
                text = self.write(answers[i])
                done[int(rows[i])] = SolvedPuzzle(text, answers[i], segment, bool(halts[i]), values)
            state, rows = {name: z[~halts] for name, z in state.items()}, rows[~halts]
            if not len(rows):
                break
        return [done[i] for i in range(len(tokens))]

    def solve(
        self, puzzles: Sequence[str], budget: int | None = None, adaptive: bool = True
    ) -> list[SolvedPuzzle]:
        """Think about puzzles that are written row by row; line ends do not count. Raises ValueError for text
        that is no puzzle of the model's task."""
        return self.think(np.stack([self.read(puzzle) for puzzle in puzzles]), budget, adaptive)

    def read(self, text: str) -> NDArray[np.int64]:
        """(L,) tokens of one puzzle. Raises ValueError."""
        cells, characters = "".join(text.splitlines()), self.about["characters"]
        length = self.about["rows"] * self.about["columns"]
        strange = sorted(set(cells) - set(characters))
        if strange or len(cells) != length:
            fault = f"'{strange[0]}' is in it" if strange else f"it has {len(cells)} characters"
            raise ValueError(f"no {self.about['task']} of {length} cells in '{characters[1:]}': {fault}")
        return np.array([characters.index(cell) for cell in cells], np.int64)

    def write(self, tokens: NDArray[np.int64]) -> str:
        """One row of tokens (L,) as text."""
        return "".join(self.about["characters"][token] for token in tokens)


if __name__ == "__main__":
    for found in Runner(sys.argv[1]).solve(sys.argv[2:]):
        print(found.answer, f"after {found.segments} segments", "" if found.halted else "(budget spent)")
