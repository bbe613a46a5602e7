"""Puzzles as Gymnasium environments in which the agent decides how long to think (adaptive computation time).

`ActEnv` plays one puzzle, `ActVectorEnv` B slots at once; both take any task and any source.
Legend: B slots, L tokens a puzzle, V token values.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.puzzle import PuzzleBatch, PuzzleSource, Tokens
from envs.spaces import RENDER_MODES, check_action, check_arguments, render, reseed, spaces_of
from envs.task import PuzzleTask


class ActEnv(gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """One puzzle at a time; a step is one segment of thinking.

    ## Description

    In every step the agent answers the whole puzzle and decides whether to halt. A puzzle is an episode. The
    task's rule scores the answer that is handed in; the solution is never observed.

    ## Action Space

    A `Dict` of

    - `answer`, `MultiDiscrete([V] * L)`: a token for every cell;
    - `halt`, `Discrete(2)`: 1 hands the answer in, 0 continues.

    ## Observation Space

    A `Dict` of

    - `puzzle`, `Box(0, V - 1, (L,), uint8)`: the tokens of the question;
    - `segment`, `Discrete(halt_max_steps + 1)`: the segments spent on this puzzle, 0 after `reset`.

    The info holds `solution` (L,) uint8, `level` and `identifier` of the puzzle and, after a step, `solved`:
    whether this step's answer is right. It is privileged: nothing of it is in the observation.

    ## Rewards

    - `halt` = 1: 1.0 if the task's rule accepts the answer, else 0.0.
    - `halt` = 0 in the last segment of the budget: the same, since the answer is then handed in.
    - `halt` = 0 before: `-segment_cost`.

    ## Starting State

    The next puzzle of the source, with no segment spent. `reset(seed=...)` restarts the source with a seed.

    ## Episode End

    - Terminated: `halt` = 1.
    - Truncated: `halt` = 0 in segment `halt_max_steps`, the budget.

    ## Arguments

    - `task`: the rule, the tokens and the pictures.
    - `source`: where puzzles come from. The environment owns it: `close()` closes it.
    - `halt_max_steps`: the budget, in segments.
    - `segment_cost` (`0.0`): taken off the reward of every step that continues.
    - `render_mode` (`None`): `"ansi"` or `"rgb_array"`. Both show the last answer, wrong cells marked.

    `gymnasium.make` takes `level` (`"easy"`, or weights by level), `halt_max_steps` (`16`), `segment_cost`,
    `render_mode` and the task's own arguments, and generates the puzzles.

    ## Version History

    - v0: initial version.
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
        check_arguments(halt_max_steps, segment_cost, render_mode)
        self.task = task
        self.source = source
        self.halt_max_steps = halt_max_steps
        self.segment_cost = float(segment_cost)
        self.render_mode = render_mode
        self.observation_space, self.action_space = spaces_of(task, halt_max_steps)
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
        return self._observation(self._puzzle), self._info(self._puzzle)

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        if self._puzzle is None or self._done:
            raise gymnasium.error.ResetNeeded("call reset() before the first step and after an episode's end")
        batched = {key: np.asarray(action[key])[None] for key in ("answer", "halt")}
        answer, halts = check_action(self.task, batched, self._puzzle.inputs.shape)
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
        return render(
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

    ## Description

    B slots, each with a puzzle of its own. A slot whose episode ends holds its next puzzle in the same step
    (`AutoresetMode.SAME_STEP`); finished slots take theirs in slot order from one draw. Returned arrays are
    new in every call.

    ## Action Space

    That of `ActEnv` in a batch: `answer` (B, L), `halt` (B,).

    ## Observation Space

    That of `ActEnv` in a batch: `puzzle` (B, L) uint8, `segment` (B,) int64.

    Infos have the format of Gymnasium's `SyncVectorEnv`: `solution`, `level` and `identifier` are those of
    the puzzles now in the slots; `solved` concerns the slots that continue; `final_obs` and `final_info` hold
    the last observation and info of the episodes that ended; a mask `_key` says which slots a key speaks of.

    ## Rewards

    (B,) float64, each as in `ActEnv`.

    ## Starting State

    New puzzles in all slots. `reset(seed=...)` restarts the source with a seed.

    ## Episode End

    (B,) terminations and (B,) truncations, each as in `ActEnv`.

    ## Arguments

    - `task`, `source`, `halt_max_steps`, `segment_cost` (`0.0`), `render_mode` (`None`): as for `ActEnv`.
    - `num_envs`: B.

    `gymnasium.make_vec` takes what `gymnasium.make` does, and `num_envs` (`1`).

    ## Version History

    - v0: initial version.
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
        check_arguments(halt_max_steps, segment_cost, render_mode)
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}; there must be at least 1 slot")
        self.task = task
        self.source = source
        self.num_envs = num_envs
        self.halt_max_steps = halt_max_steps
        self.segment_cost = float(segment_cost)
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = spaces_of(task, halt_max_steps)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._started = False
        length = task.length
        self._inputs = np.zeros((num_envs, length), np.uint8)
        self._solution = np.zeros((num_envs, length), np.uint8)
        self._level = np.zeros(num_envs, np.int64)
        self._identifier = np.zeros(num_envs, np.int64)
        self._segment = np.zeros(num_envs, np.int64)
        self._answer: Tokens | None = None  # (B, L) of the last step, for render()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """New puzzles in all slots; with a seed, the first of that seed's stream. Takes no options."""
        super().reset(seed=seed)
        reseed(self.source, seed, options)
        self._fill(np.arange(self.num_envs))
        self._started = True
        return self.current()

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One segment in every slot: observations, rewards (B,), terminations (B,), truncations (B,),
        infos."""
        self._check_started()
        answer, halt = check_action(self.task, actions, self._inputs.shape)
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

    def add_slots(self, count: int) -> None:
        """`count` more slots behind those there are, with puzzles of their own once the
        environment is started."""
        if count < 0:
            raise ValueError(f"cannot add {count} slots")
        first = self.num_envs
        self.num_envs += count
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        for name, array in self._state().items():
            more = np.zeros((count, *array.shape[1:]), array.dtype)
            setattr(self, f"_{name}", np.concatenate((array, more)))
        self._answer = None
        if self._started and count:
            self._fill(np.arange(first, self.num_envs))

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
            frames.append(render(self.task, self.render_mode, puzzle, answer, solution))
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
        elsewhere, and a mask beside every key."""
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
