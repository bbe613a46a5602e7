"""A task of a user's own, as small as one can be."""

from __future__ import annotations

import numpy as np

from envs import PuzzleBatch, PuzzleTask


class Mirror(PuzzleTask):
    """A user's task: answer a row of letters with the row reversed. Its text marks no changes."""

    name = "mirror"
    characters = "_ab"
    levels = ("only",)
    grid_shape = (1, 6)

    def solved(self, inputs, answer):
        return (answer == inputs[:, ::-1]).all(axis=1)

    def unknown(self, inputs):
        return inputs != 0

    def generate(self, level, count, rng, held_out=False):
        inputs = rng.integers(1, 3, (count, 6), dtype=np.uint8)
        zeros = np.zeros(count, np.int64)
        return PuzzleBatch(inputs, inputs[:, ::-1].copy(), zeros, zeros)

    def render_text(self, view):
        return "mine " + "".join(self.characters[t] for t in view.shown)
