"""Thinking about a puzzle several times from other states, and which of the answers is taken.

Like votes, rollouts are reported beside the single pass, which is the first of them and has no noise.
Legend: N puzzles, R rollouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from envs import PuzzleBatch
from hrm_rl.agents.act.engine import answers
from hrm_rl.agents.act.noise import RolloutNoise
from hrm_rl.agents.act.stopping import Thoughts
from hrm_rl.config import Section
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.evaluation.votes import Asker, MultiPass, sizes
from hrm_rl.runs.loading import LoadedModel
from hrm_rl.utils.errors import UserError

ChosenBy = Literal["q_halt", "change", "rule"]


class RolloutChoice(Section):
    """Flags that say which rollouts."""

    rollouts: Annotated[int | None, Field(ge=2)] = None
    """Besides, think about each puzzle this many times, once as it is and then with noise on the state, and
    take one of the answers."""
    choose: ChosenBy | None = None
    """With --rollouts: take the answer with the highest q_halt (which is the default), the one that moved the
    state least at its end, or the first that keeps the task's rule, after which no more are tried."""
    rollout_noise: Annotated[float | None, Field(ge=0.0)] = None
    """With --rollouts: standard deviation of the noise before each segment; model.state_noise of the training
    run if not given."""

    def refuse_stray_flags(self) -> None:
        """Raise UserError for flags that say nothing without --rollouts."""
        for flag, given in (("--choose", self.choose), ("--rollout-noise", self.rollout_noise)):
            if given is not None and self.rollouts is None:
                raise UserError(f"{flag} belongs to --rollouts: say how many, for example --rollouts 8")

    def rollouts_of(self, model: LoadedModel, seed: int) -> Rollouts | None:
        """What is asked for, of this model. Raises UserError."""
        if self.rollouts is None:
            return None
        trained = model.config.model
        state_std = trained.state_noise if self.rollout_noise is None else self.rollout_noise
        if not state_std and not trained.init_std:
            raise UserError(
                f"--rollouts {self.rollouts}: {model.name} was trained without noise, so all would be the "
                "same: give --rollout-noise, for example 0.3"
            )
        return Rollouts(self.rollouts, self.choose or "q_halt", trained.init_std, state_std, seed)


@dataclass(frozen=True)
class Rollouts:
    """How many rollouts of each puzzle, with which noise, and which answer is taken."""

    count: int
    """R, the single pass included."""
    choose: ChosenBy
    init_std: float
    state_std: float
    seed: int

    @property
    def kind(self) -> str:
        return f"rollouts by {self.choose}"


def roll_out(asker: Asker, puzzles: PuzzleBatch, single: Evaluation, how: Rollouts) -> dict[int, MultiPass]:
    """The answers taken from the first rollouts of each puzzle, by their number: `sizes(how.count)`."""
    return (_until_right if how.choose == "rule" else _best)(asker, puzzles, single, how)


def _best(asker: Asker, puzzles: PuzzleBatch, single: Evaluation, how: Rollouts) -> dict[int, MultiPass]:
    """The rollout that ended with the highest q_halt or the smallest change of the state."""

    def merit(q: NDArray[np.float32], change: NDArray[np.float32]) -> NDArray[np.float32]:
        return q[:, 0] if how.choose == "q_halt" else -change

    answer, best = single.answer.copy(), merit(single.q, single.change).copy()
    segments, found = single.segments.copy(), {}
    for rolled in range(2, how.count + 1):
        given = _ask(asker, puzzles, how, rolled, np.arange(len(puzzles)))
        value = merit(given.q, given.change)
        better = value > best
        answer[better], best[better] = given.answer[better], value[better]
        segments += given.segment
        if rolled in sizes(how.count):
            passes = np.full(len(puzzles), rolled)
            found[rolled] = MultiPass.of(
                asker.solver.task, puzzles, answer.copy(), segments.copy(), passes, how.kind
            )
    return found


def _until_right(
    asker: Asker, puzzles: PuzzleBatch, single: Evaluation, how: Rollouts
) -> dict[int, MultiPass]:
    """The first answer that keeps the task's rule; the single pass's if none does."""
    task = asker.solver.task
    answer, segments, found = single.answer.copy(), single.segments.copy(), {}
    passes, open_ = np.ones(len(puzzles), np.int64), ~single.solved
    for rolled in range(2, how.count + 1):
        rows = np.flatnonzero(open_)
        if len(rows):
            given = _ask(asker, puzzles, how, rolled, rows)
            segments[rows] += given.segment
            passes[rows] += 1
            right = task.solved(puzzles.inputs[rows], given.answer)
            answer[rows[right]] = given.answer[right]
            open_[rows[right]] = False
        if rolled in sizes(how.count):
            found[rolled] = MultiPass.of(
                task, puzzles, answer.copy(), segments.copy(), passes.copy(), how.kind
            )
    return found


def _ask(asker: Asker, puzzles: PuzzleBatch, how: Rollouts, rolled: int, rows: NDArray[np.int64]) -> Thoughts:
    """What rollout number `rolled` hands in for the puzzles `rows`."""
    noise = RolloutNoise(how.init_std, how.state_std, (how.seed, rolled), rows)
    given = []
    for thoughts in answers(asker.solver, [puzzles.take(rows)], asker.stopping, asker.batch_size, noise):
        given.append(thoughts)
        asker.progress(int(thoughts.index[-1]) + 1)
    return Thoughts.concatenate(given)
