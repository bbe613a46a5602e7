"""Puzzles as Gymnasium environments in which the agent decides how long to think (adaptive computation time).

`ActEnv` plays one puzzle, `ActVectorEnv` B slots at once; both take any task and any source.
Legend: B slots, L tokens a puzzle, V token values.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.puzzle import PuzzleBatch, PuzzleSource, Tokens
from envs.task import PuzzleTask

RENDER_MODES = ("ansi", "rgb_array")


def _check_arguments(halt_max_steps: int, segment_cost: float, render_mode: str | None) -> None:
    if halt_max_steps < 1:
        raise ValueError(f"halt_max_steps is {halt_max_steps}; an episode has at least 1 segment")
    if not (np.isfinite(segment_cost) and segment_cost >= 0):
        raise ValueError(f"segment_cost is {segment_cost}; it is taken off the reward and must be 0 or more")
    if render_mode not in (None, *RENDER_MODES):
        raise ValueError(f"render_mode is {render_mode!r}; it must be None, {' or '.join(RENDER_MODES)}")


def _spaces(task: PuzzleTask, halt_max_steps: int) -> tuple[spaces.Dict, spaces.Dict]:
    """The observation and the action space of one puzzle."""
    length = task.grid_shape[0] * task.grid_shape[1]
    observation = spaces.Dict(
        {
            "puzzle": spaces.Box(0, task.vocab_size - 1, (length,), np.uint8),
            "segment": spaces.Discrete(halt_max_steps + 1),
        }
    )
    action = spaces.Dict(
        {"answer": spaces.MultiDiscrete([task.vocab_size] * length), "halt": spaces.Discrete(2)}
    )
    return observation, action


def _check_action(task: PuzzleTask, action: Any, shape: tuple[int, int]) -> tuple[Tokens, NDArray[np.bool_]]:
    """The answer (B, L) and whether to halt (B,), from an action of B slots."""
    answer, halt = np.asarray(action["answer"]), np.asarray(action["halt"])
    if answer.shape != shape:
        raise ValueError(f"the answer has shape {answer.shape}; it must be {shape}")
    if halt.shape != shape[:1]:
        raise ValueError(f"halt has shape {halt.shape}; it must be {shape[:1]}")
    if answer.dtype.kind not in "iu" or halt.dtype.kind not in "iub":
        raise ValueError(f"answer is {answer.dtype} and halt {halt.dtype}; both must be integers")
    if answer.max() >= task.vocab_size or answer.min() < 0:
        raise ValueError(
            f"the answer holds tokens {answer.min()}..{answer.max()}; "
            f"those of {task.name} are 0..{task.vocab_size - 1}"
        )
    if halt.max() > 1 or halt.min() < 0:
        raise ValueError(f"halt holds {halt.min()}..{halt.max()}; it must be 0 (continue) or 1 (halt)")
    return answer.astype(np.uint8), halt.astype(np.bool_)


def _render(
    task: PuzzleTask, mode: str | None, puzzle: Tokens, answer: Tokens | None, solution: Tokens
) -> str | NDArray[np.uint8]:
    if mode is None:
        raise ValueError(
            f"render() needs a render_mode, {' or '.join(RENDER_MODES)}, given to the environment"
        )
    if mode == "ansi":
        return task.render_text(puzzle, answer, solution)
    return task.render_rgb(puzzle, answer, solution)


class ActEnv(gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """One puzzle at a time; a step is one segment of thinking.

    Observation: `puzzle` (L,) uint8 tokens; `segment`, the segments already spent on this puzzle (0 after
    reset).

    Action: `answer` (L,), a token for every cell; `halt`, 1 to hand the answer in and 0 to continue.

    Reward and end:
    - `halt` = 1: terminated; 1.0 if the task's rule says the answer is right, else 0.0. Also at the budget.
    - `halt` = 0 in segment `halt_max_steps`, the budget: truncated, with the reward of a forced halt.
    - `halt` = 0 before: the episode continues, with reward `-segment_cost`.

    Info: `solution` (L,) uint8, `level` and `identifier` of the puzzle, and after a step `solved`, whether
    this step's answer is right by the rule. The solution is privileged and never part of the observation.

    Render modes: `ansi` (text) and `rgb_array`; they show the answer of the last step, wrong cells marked.

    The environment owns its source: `reset(seed=...)` reseeds it, `close()` closes it.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 2}  # noqa: RUF012

    def __init__(
        self,
        task: PuzzleTask,
        source: PuzzleSource,
        halt_max_steps: int,
        segment_cost: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        _check_arguments(halt_max_steps, segment_cost, render_mode)
        self.task = task
        self.source = source
        self.halt_max_steps = halt_max_steps
        self.segment_cost = float(segment_cost)
        self.render_mode = render_mode
        self.observation_space, self.action_space = _spaces(task, halt_max_steps)
        self._puzzle: PuzzleBatch | None = None  # one puzzle, (1, L)
        self._segment = 0
        self._answer: Tokens | None = None  # (L,)
        self._done = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The next puzzle of the source; with a seed, the first of that seed's stream. There are no
        options."""
        super().reset(seed=seed)
        if options:
            raise ValueError(f"reset has no options; got {', '.join(options)}")
        if seed is not None:
            self.source.reseed(seed)
        self._puzzle = self.source.draw(1)
        self._segment, self._answer, self._done = 0, None, False
        return self._observation(self._puzzle), self._info(self._puzzle)

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        if self._puzzle is None or self._done:
            raise gymnasium.error.ResetNeeded("call reset() before the first step and after an episode's end")
        batched = {key: np.asarray(action[key])[None] for key in ("answer", "halt")}
        answer, halts = _check_action(self.task, batched, self._puzzle.inputs.shape)
        halt = bool(halts[0])
        solved = bool(self.task.solved(self._puzzle.inputs, answer)[0])
        self._answer = answer[0]
        self._segment += 1
        truncated = not halt and self._segment >= self.halt_max_steps
        self._done = halt or truncated
        reward = float(solved) if self._done else 0.0 - self.segment_cost
        info = {**self._info(self._puzzle), "solved": solved}
        return self._observation(self._puzzle), reward, halt, truncated, info

    def render(self) -> Any:
        """The present puzzle with the last answer: text (`ansi`) or an image (height, width, 3)."""
        if self._puzzle is None:
            raise gymnasium.error.ResetNeeded("call reset() before render()")
        return _render(
            self.task, self.render_mode, self._puzzle.inputs[0], self._answer, self._puzzle.solution[0]
        )

    def close(self) -> None:
        self.source.close()

    def _observation(self, puzzle: PuzzleBatch) -> dict[str, Any]:
        return {"puzzle": puzzle.inputs[0].copy(), "segment": np.int64(self._segment)}

    def _info(self, puzzle: PuzzleBatch) -> dict[str, Any]:
        return {
            "solution": puzzle.solution[0].copy(),
            "level": int(puzzle.level[0]),
            "identifier": int(puzzle.identifier[0]),
        }


class ActVectorEnv(VectorEnv[dict[str, Any], dict[str, Any], NDArray[Any]]):
    """B puzzles side by side: what B `ActEnv`s on one source do, in whole arrays.

    Observation: `puzzle` (B, L) uint8, `segment` (B,) int64. Action: `answer` (B, L), `halt` (B,).
    A slot whose episode ends holds its next puzzle in the same step (`AutoresetMode.SAME_STEP`): finished
    slots take theirs in slot order from one draw. Infos have the format of Gymnasium's `SyncVectorEnv`:
    `solution`, `level`, `identifier` are those of the puzzles now in the slots; `solved` concerns the slots
    that continue; `final_obs` and `final_info` hold the last observation and info of those that ended; `_key`
    masks say which slots a key speaks of. Returned arrays are new in every call.
    """

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
        halt_max_steps: int,
        segment_cost: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        _check_arguments(halt_max_steps, segment_cost, render_mode)
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; there must be at least 1 slot")
        self.task = task
        self.source = source
        self.num_envs = num_envs
        self.halt_max_steps = halt_max_steps
        self.segment_cost = float(segment_cost)
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = _spaces(task, halt_max_steps)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._started = False
        length = task.grid_shape[0] * task.grid_shape[1]
        self._inputs = np.zeros((num_envs, length), np.uint8)
        self._solution = np.zeros((num_envs, length), np.uint8)
        self._level = np.zeros(num_envs, np.int64)
        self._identifier = np.zeros(num_envs, np.int64)
        self._segment = np.zeros(num_envs, np.int64)
        self._answer: Tokens | None = None  # (B, L) of the last step, for render()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """New puzzles in all slots; with a seed, the first ones of that seed's stream. There are no
        options."""
        super().reset(seed=seed)
        if options:
            raise ValueError(f"reset has no options; got {', '.join(options)}")
        if seed is not None:
            self.source.reseed(seed)
        self._fill(np.arange(self.num_envs))
        self._started = True
        return self.current()

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One segment in every slot: observations, rewards (B,), terminations (B,), truncations (B,),
        infos."""
        self._check_started()
        answer, halt = _check_action(self.task, actions, self._inputs.shape)
        solved = self.task.solved(self._inputs, answer)
        self._answer = answer
        self._segment += 1
        truncated = ~halt & (self._segment >= self.halt_max_steps)
        done = halt | truncated
        reward = np.where(done, solved, 0.0 - self.segment_cost)

        infos: dict[str, Any] = {}
        if done.any():
            infos = self._final_infos(done, solved)
            self._fill(np.flatnonzero(done))
        infos.update(self._infos())
        if not done.all():
            infos.update(solved=solved & ~done, _solved=~done)
        return self._observation(), reward, halt, truncated, infos

    def current(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Observations and infos of the puzzles now in the slots, in the format of `reset`, drawing
        nothing."""
        self._check_started()
        return self._observation(), self._infos()

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Copies of what the slots hold: inputs (B, L), solution (B, L), level, identifier, segment (B,).
        The source's own state is `source.state_dict()`."""
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
        frames = []
        for slot in range(self.num_envs):
            # The last answer belongs to the puzzle in the slot only if that has spent a segment.
            answer = None if self._answer is None or self._segment[slot] == 0 else self._answer[slot]
            puzzle, solution = self._inputs[slot], self._solution[slot]
            frames.append(_render(self.task, self.render_mode, puzzle, answer, solution))
        return tuple(frames)

    def close_extras(self, **kwargs: Any) -> None:
        self.source.close()

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
        return {
            "inputs": self._inputs,
            "solution": self._solution,
            "level": self._level,
            "identifier": self._identifier,
            "segment": self._segment,
        }

    def _observation(self) -> dict[str, Any]:
        return {"puzzle": self._inputs.copy(), "segment": self._segment.copy()}

    def _infos(self) -> dict[str, Any]:
        infos: dict[str, Any] = {}
        for key in ("solution", "level", "identifier"):
            infos[key] = self._state()[key].copy()
            infos[f"_{key}"] = np.ones(self.num_envs, np.bool_)
        return infos

    def _final_infos(self, done: NDArray[np.bool_], solved: NDArray[np.bool_]) -> dict[str, Any]:
        """Last observation and info of the slots that are done, as `SyncVectorEnv` nests them: zeros
        elsewhere, and a mask for every key."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        for slot, puzzle, segment in zip(
            np.flatnonzero(done), self._inputs[done], self._segment[done], strict=True
        ):
            final_obs[slot] = {"puzzle": puzzle, "segment": segment}
        final_info: dict[str, Any] = {}
        for key, values in (
            ("solution", self._solution),
            ("level", self._level),
            ("identifier", self._identifier),
            ("solved", solved),
        ):
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

    def _check_started(self) -> None:
        if not self._started:
            raise gymnasium.error.ResetNeeded("call reset() first")
