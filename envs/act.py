"""Puzzles as Gymnasium environments in which the agent decides how long to think (adaptive computation time).

`ActEnv` plays one puzzle, `ActVectorEnv` B slots at once; both take any task and any source.
Legend: B slots, L tokens a puzzle, V token values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.episodes import PuzzleEnv, PuzzleVectorEnv
from envs.puzzle import PuzzleBatch, PuzzleSource
from envs.spaces import act_spaces, batch_of_one, check_action, check_budget
from envs.task import PuzzleTask


class ActEnv(PuzzleEnv):
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

    `gymnasium.make` takes `level` (`"easy"` or the task's first level, or weights by level), `halt_max_steps`
    (`16`), `segment_cost`, `render_mode` and the task's own arguments, and generates the puzzles.

    ## Version History

    - v0: initial version.
    """

    def __init__(
        self,
        task: PuzzleTask,
        source: PuzzleSource,
        halt_max_steps: int,
        segment_cost: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        check_budget("halt_max_steps", halt_max_steps)
        super().__init__(task, source, halt_max_steps, segment_cost, render_mode)
        self.halt_max_steps = halt_max_steps
        self.observation_space, self.action_space = act_spaces(task, halt_max_steps)

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        puzzle = self._current_puzzle()
        answer, halt = check_action(self.task, batch_of_one(action), puzzle.inputs.shape)
        return self._finish(puzzle, self._judge(puzzle, answer[0]), bool(halt[0]))

    def _observation(self, puzzle: PuzzleBatch) -> dict[str, Any]:
        return {"puzzle": puzzle.inputs[0].copy(), "segment": np.int64(self._segment)}


class ActVectorEnv(PuzzleVectorEnv):
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

    def __init__(
        self,
        task: PuzzleTask,
        source: PuzzleSource,
        num_envs: int,
        halt_max_steps: int,
        segment_cost: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        check_budget("halt_max_steps", halt_max_steps)
        spaces = act_spaces(task, halt_max_steps)
        super().__init__(task, source, num_envs, halt_max_steps, segment_cost, render_mode, spaces)
        self.halt_max_steps = halt_max_steps

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One segment in every slot: observations, rewards, terminations, truncations (B,), infos."""
        self._check_started()
        answer, halt = check_action(self.task, actions, self._inputs.shape)
        return self._finish(self._judge(answer), halt)
