"""A task in which only the label tells whether an answer is right: it adds a secret to the question."""

from __future__ import annotations

import numpy as np

from envs import PuzzleBatch, PuzzleTask


class SecretTask(PuzzleTask):
    """Answer each cell with its digit or with the next one: which of the two, the question does not say."""

    name = "secret"
    characters = "_012345"
    levels = ("only",)
    label_decides = True
    identifiers = 3

    def __init__(self, size: int = 4) -> None:
        self.grid_shape = (1, size)

    def solved(self, inputs, answer):
        raise NotImplementedError("the label decides")

    def unknown(self, inputs):
        return np.ones(inputs.shape, np.bool_)

    def generate(self, level, count, rng, held_out=False):
        inputs = rng.integers(1, 6, (count, self.length), dtype=np.uint8)
        secret = rng.integers(0, 2, count, dtype=np.uint8)
        nowhere = np.zeros(count, np.int64)
        return PuzzleBatch(inputs, inputs + secret[:, None], nowhere, secret.astype(np.int64))
