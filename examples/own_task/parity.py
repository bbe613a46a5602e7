"""A task of your own in one class; docs/extend/task.md explains it."""

import numpy as np

from envs import NO_LEVEL, PAD, PuzzleBatch, PuzzleTask

ZERO, ONE = 1, 2  # token 0 is PAD: a cell that is not there


class ParityTask(PuzzleTask):
    """Answer each bit of a row with the parity of the bits up to it."""

    name = "parity"
    characters = "_01"  # token t in files and pictures
    levels = ("short", "long")
    measures = ("first_mistake",)
    drawn_as = "string"  # in pictures and on the page; else a board of cells

    def __init__(self, size: int = 16):
        self.grid_shape = (1, size)

    def solved(self, inputs, answer):
        """The rule: which answers are right, worked out from the question alone."""
        return ((answer == self.parities(inputs)) | (inputs == PAD)).all(axis=1)

    def unknown(self, inputs):
        """The cells that an answer has to find: here, all that are there."""
        return inputs != PAD

    def generate(self, level, count, rng, held_out=False):
        """New puzzles, from the random generator given and nothing else."""
        self.level_index(level)  # refuses an unknown level
        inputs = rng.integers(ZERO, ONE + 1, (count, self.length), dtype=np.uint8)
        if level == "short":
            inputs[:, self.length // 2 :] = PAD
        return PuzzleBatch(inputs, self.parities(inputs), self.level_of(inputs), np.zeros(count, np.int64))

    # Everything below has a default and could be left out.

    def level_of(self, inputs):
        """The level of puzzles that come from a file."""
        bits = (inputs != PAD).sum(axis=1)
        return np.select([bits == self.length // 2, bits == self.length], [0, 1], NO_LEVEL)

    def measure(self, inputs, answer):
        """More than right or wrong: the first cell that a wrong answer gets wrong."""
        wrong = (answer != self.parities(inputs)) & (inputs != PAD)
        return np.where(wrong.any(axis=1), wrong.argmax(axis=1) + 1.0, np.nan)[:, None]

    def parities(self, inputs):
        parity = np.cumsum(inputs == ONE, axis=1) % 2
        return np.where(inputs == PAD, PAD, ZERO + parity).astype(np.uint8)
