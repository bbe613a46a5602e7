"""What the environments have in common: a puzzle is an episode, a step is one segment, and the budget ends
what the agent does not. What an agent can do in a step is left to envs/act.py and envs/search.py.

Legend: B slots, L tokens a puzzle.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.copies import writable
from envs.puzzle import PuzzleBatch, PuzzleSource, Tokens, View
from envs.spaces import RENDER_MODES, check_arguments, render, reseed
from envs.task import PuzzleTask


class PuzzleEnv(gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """One puzzle at a time. A subclass has the spaces, `step` and `_observation`."""

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 2}  # noqa: RUF012

    def __init__(
        self,
        task: PuzzleTask,
        source: PuzzleSource,
        budget: int,
        segment_cost: float,
        render_mode: str | None,
    ) -> None:
        check_arguments(segment_cost, render_mode)
        self.task = task
        self.source = source
        self.segment_cost = float(segment_cost)
        self.render_mode = render_mode
        self._budget = budget
        self._puzzle: PuzzleBatch | None = None  # one puzzle, (1, L)
        self._segment = 0
        self._answer: Tokens | None = None  # (L,)
        self._done = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The next puzzle of the source; with a seed, the first of that seed's stream. Takes no options."""
        super().reset(seed=seed)
        reseed(self.source, seed, options)
        self._puzzle = self.source.draw(1)
        self._segment, self._answer, self._done = 0, None, False
        self._begin(self._puzzle)
        return self._observation(self._puzzle), self._info(self._puzzle)

    def render(self) -> Any:
        """The present puzzle with the last answer: text (`ansi`) or an image (height, width, 3)."""
        if self._puzzle is None:
            raise gymnasium.error.ResetNeeded("call reset() before render()")
        return render(self.task, self.render_mode, self._view(self._puzzle))

    def close(self) -> None:
        self.source.close()

    def _current_puzzle(self) -> PuzzleBatch:
        """The puzzle to take a step in."""
        if self._puzzle is None or self._done:
            raise gymnasium.error.ResetNeeded("call reset() before the first step and after an episode's end")
        return self._puzzle

    def _judge(self, puzzle: PuzzleBatch, answer: Tokens) -> bool:
        """The rule's verdict on this step's answer (L,)."""
        self._answer = answer
        return bool(self.task.right(puzzle.inputs, answer[None], puzzle.solution)[0])

    def _finish(
        self, puzzle: PuzzleBatch, solved: bool, handed_in: bool, **said: Any
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """The end of a step whose answer is right or not: what `step` returns. puzzle: as it is observed now.
        said: what else the info holds."""
        self._segment += 1
        truncated = not handed_in and self._segment >= self._budget
        self._done = handed_in or truncated
        reward = float(solved) if self._done else 0.0 - self.segment_cost
        info = {**self._info(puzzle), "solved": solved, **said}
        return self._observation(puzzle), reward, handed_in, truncated, info

    def _begin(self, puzzle: PuzzleBatch) -> None:
        """Take note that an episode begins."""

    @abstractmethod
    def _observation(self, puzzle: PuzzleBatch) -> dict[str, Any]:
        """What is observed now, in new arrays."""

    def _view(self, puzzle: PuzzleBatch) -> View:
        return View(puzzle.inputs[0], self._answer, puzzle.solution[0])

    def _info(self, puzzle: PuzzleBatch) -> dict[str, Any]:
        return {
            "solution": puzzle.solution[0].copy(),
            "level": int(puzzle.level[0]),
            "identifier": int(puzzle.identifier[0]),
        }


class PuzzleVectorEnv(VectorEnv[dict[str, Any], dict[str, Any], NDArray[Any]]):
    """B puzzles side by side. A subclass has `step` and adds to what is observed."""

    metadata = {  # noqa: RUF012
        "render_modes": list(RENDER_MODES),
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        task: PuzzleTask,
        source: PuzzleSource,
        num_envs: int,
        budget: int,
        segment_cost: float,
        render_mode: str | None,
        single_spaces: tuple[spaces.Dict, spaces.Dict],
    ) -> None:
        """single_spaces: the observation and the action space of one slot."""
        check_arguments(segment_cost, render_mode)
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; there must be at least 1 slot")
        self.task = task
        self.source = source
        self.num_envs = num_envs
        self.segment_cost = float(segment_cost)
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = single_spaces
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._budget = budget
        self._started = False
        self._inputs = np.zeros((num_envs, task.length), np.uint8)
        self._solution = np.zeros((num_envs, task.length), np.uint8)
        self._level = np.zeros(num_envs, np.int64)
        self._identifier = np.zeros(num_envs, np.int64)
        self._segment = np.zeros(num_envs, np.int64)
        self._answer: Tokens | None = None  # (B, L) of the last step, for render()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(writable(state))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """New puzzles in all slots; with a seed, the first of that seed's stream. Takes no options."""
        super().reset(seed=seed)
        reseed(self.source, seed, options)
        self._fill(np.arange(self.num_envs))
        self._started = True
        return self.current()

    def current(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Observations and infos of the puzzles now in the slots, in the format of `reset`, drawing
        nothing."""
        self._check_started()
        return self._observation(), self._infos()

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Copies of what the slots hold: inputs (B, L), solution (B, L), level, identifier, segment (B,), and
        what a subclass adds. The source's own state is `source.state_dict()`."""
        self._check_started()
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_arrays(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Put back what `state_arrays` gave. Raises ValueError for another number of slots or another
        task."""
        state = self._state()
        if set(arrays) != set(state):
            raise ValueError(f"the saved slots hold {', '.join(arrays)}; expected {', '.join(state)}")
        for name, array in state.items():
            if arrays[name].shape != array.shape:
                raise ValueError(f"saved {name} has shape {arrays[name].shape}; this env has {array.shape}")
        for name, array in state.items():
            array[:] = arrays[name]
        self._started = True
        self._answer = None

    def render(self) -> tuple[Any, ...]:
        """A frame for each slot, with the slot's last answer if it is still for the puzzle in the slot."""
        self._check_started()
        return tuple(
            render(self.task, self.render_mode, self._view(slot, self._answer_of(slot)))
            for slot in range(self.num_envs)
        )

    def close_extras(self, **kwargs: Any) -> None:
        self.source.close()

    def _judge(self, answer: Tokens) -> NDArray[np.bool_]:
        """(B,) the rule's verdict on this step's answers (B, L)."""
        self._answer = answer
        return self.task.right(self._inputs, answer, self._solution)

    def _finish(
        self, solved: NDArray[np.bool_], handed_in: NDArray[np.bool_], **said: NDArray[Any]
    ) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """The end of a step whose answers are right or not (B,): what `step` returns. said: (B,) arrays of
        what else the infos hold."""
        self._segment += 1
        truncated = ~handed_in & (self._segment >= self._budget)
        done = handed_in | truncated
        reward = np.where(done, solved, 0.0 - self.segment_cost)

        said = {"solved": solved, **said}
        infos: dict[str, Any] = {}
        if done.any():
            infos = self._final_infos(done, said)
            self._fill(np.flatnonzero(done))
        infos.update(self._infos())
        if not done.all():
            for key, values in said.items():
                infos.update({key: values & ~done, f"_{key}": ~done})
        return self._observation(), reward, handed_in, truncated, infos

    def _draw(self, slots: NDArray[np.int64]) -> PuzzleBatch:
        """A puzzle for each of these slots, in their order."""
        return self.source.draw(len(slots))

    def _fill(self, slots: NDArray[np.int64]) -> None:
        """Put new puzzles into these slots."""
        batch = self._draw(slots)
        self._inputs[slots] = batch.inputs
        self._solution[slots] = batch.solution
        self._level[slots] = batch.level
        self._identifier[slots] = batch.identifier
        self._segment[slots] = 0

    def _state(self) -> dict[str, NDArray[Any]]:
        """What the slots hold between two steps: the arrays themselves."""
        return {
            "inputs": self._inputs,
            "solution": self._solution,
            "level": self._level,
            "identifier": self._identifier,
            "segment": self._segment,
        }

    def _observation(self) -> dict[str, Any]:
        """What is observed now, in new arrays."""
        return {"puzzle": self._inputs.copy(), "segment": self._segment.copy()}

    def _infos(self) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for key in ("solution", "level", "identifier"):
            infos[key] = self._state()[key].copy()
            infos[f"_{key}"] = np.ones(self.num_envs, np.bool_)
        return infos

    def _final_infos(self, done: NDArray[np.bool_], said: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """Last observation and info of the slots that are done, as `SyncVectorEnv` nests them: zeros
        elsewhere, and a mask for every key."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        observed = self._observation()
        for slot in np.flatnonzero(done):
            final_obs[slot] = {key: values[slot].copy() for key, values in observed.items()}
        final_info: dict[str, Any] = {}
        about = {key: self._state()[key] for key in ("solution", "level", "identifier")}
        for key, values in {**about, **said}.items():
            final = np.zeros_like(values)
            final[done] = values[done]
            final_info[key] = final
            final_info[f"_{key}"] = done.copy()
        return {
            "final_obs": final_obs,
            "_final_obs": done.copy(),
            "final_info": final_info,
            "_final_info": done.copy(),
        }

    def _answer_of(self, slot: int) -> Tokens | None:
        """(L,) the last answer, which belongs to the puzzle in the slot only if that has spent a segment."""
        return None if self._answer is None or self._segment[slot] == 0 else self._answer[slot]

    def _view(self, slot: int, answer: Tokens | None) -> View:
        return View(self._inputs[slot], answer, self._solution[slot])

    def _check_started(self) -> None:
        if not self._started:
            raise gymnasium.error.ResetNeeded("call reset() first")
