"""Puzzles as Gymnasium environments in which the agent also assumes and starts over: search as an episode.

`SearchEnv` plays one puzzle, `SearchVectorEnv` B slots at once; both take any source, and any task that says
what may be assumed and when a board contradicts itself.
Legend: B slots, L tokens a puzzle, V token values.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.episodes import PuzzleEnv, PuzzleVectorEnv
from envs.errors import UserError
from envs.puzzle import PuzzleBatch, PuzzleSource, Tokens, View, fingerprint
from envs.spaces import answer_space, batch_of_one, board_space, check_budget, check_choice, check_tokens
from envs.task import PuzzleTask


class Choice(IntEnum):
    """What a search agent does after a segment."""

    CONTINUE = 0
    """Assume, and think on."""
    HAND_IN = 1
    """Give the answer; the episode ends."""
    START_OVER = 2
    """Drop all assumptions and think anew."""


class SearchEnv(PuzzleEnv):
    """One puzzle at a time, with assumptions; a step is one segment of thinking.

    ## Description

    A puzzle is an episode. The agent thinks about a board: the puzzle, with the assumptions that it has
    written into blank cells. In every step it answers the whole puzzle and chooses to think on, to hand the
    answer in or to start over. The task's rule scores the answer that is handed in, and drops a board that
    contradicts itself at a glance; the solution is never observed. Without assumptions and starts over an
    episode is one of `ActEnv`.

    ## Action Space

    A `Dict` of

    - `answer`, `MultiDiscrete([V] * L)`: a token for every cell;
    - `assume`, `MultiDiscrete([V] * L)`: what to write into the board, 0 where nothing. Only tokens that the
      task calls `assumable` are written, and only into cells that are blank on the board. The rest is
      ignored, and all of it with another choice than 0;
    - `choice`, `Discrete(3)`: 0 continues, 1 hands the answer in, 2 starts over (`envs.search.Choice`).

    ## Observation Space

    A `Dict` of

    - `puzzle`, `Box(0, V - 1, (L,), uint8)`: the tokens of the question, after a fresh start in another
      form;
    - `board`, `Box(0, V - 1, (L,), uint8)`: the same, with the assumptions;
    - `assumed`, `MultiBinary(L)`: where they are;
    - `chain`, `Discrete(budget + 1)`: the segments spent since the last fresh start; at 0 nothing is assumed,
      and what the agent remembers should go, too;
    - `segment`, `Discrete(budget + 1)`: the segments spent on this puzzle, all starts together;
    - `segments_left`, `Discrete(budget + 1)`: the rest of the budget.

    The info holds `solution` (L,) uint8, `level` and `identifier` of the puzzle and, after a step, `solved`:
    whether this step's answer is right; and `contradicted`: whether the board contradicted itself with what
    this step assumed, and so was dropped. `solution` and `solved` are privileged: nothing of them is in the
    observation.

    ## Rewards

    - `choice` = 1: 1.0 if the task's rule accepts the answer, else 0.0.
    - Another choice in the last segment of the budget: the same, since the answer is then handed in.
    - Another choice before: `-segment_cost`.

    ## Starting State

    The next puzzle of the source, with no segment spent. `reset(seed=...)` restarts the source with a seed.

    ## Episode End

    - Terminated: `choice` = 1.
    - Truncated: another choice in segment `budget`.

    A fresh start ends no episode, and the budget goes on. The board is the puzzle again, but in another form:
    under a random symmetry of the task, which `solution` follows. A network that is sure of a wrong digit is
    sure of it every time it meets the same board; in another form it errs elsewhere (docs/search.md).

    ## Arguments

    - `task`: the rule, the tokens and the pictures. It must have `assumable` tokens.
    - `source`: where puzzles come from. The environment owns it: `close()` closes it.
    - `budget`: the most segments of an episode, over all starts.
    - `segment_cost` (`0.0`): taken off the reward of every step that does not end the episode.
    - `render_mode` (`None`): `"ansi"` or `"rgb_array"`. Both show the last answer, wrong cells marked and
      assumed ones dimmed.

    `gymnasium.make` takes `level` (as for `envs.ActEnv`), `budget` (`64`), `segment_cost`,
    `render_mode` and the task's own arguments, and generates the puzzles.

    ## Version History

    - v0: initial version.
    """

    _board: Tokens  # (L,)

    def __init__(
        self,
        task: PuzzleTask,
        source: PuzzleSource,
        budget: int,
        segment_cost: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        check_budget("budget", budget)
        refuse_unsearchable(task)
        super().__init__(task, source, budget, segment_cost, render_mode)
        self.budget = budget
        self.observation_space, self.action_space = search_spaces(task, budget)
        self._chain = 0

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        puzzle = self._current_puzzle()
        shape = puzzle.inputs.shape
        (answer,), assume, (choice,) = check_search_action(self.task, batch_of_one(action), shape)
        solved = self._judge(puzzle, answer)
        self._chain += 1
        ends = choice == Choice.HAND_IN or self._segment + 1 == self.budget
        contradicted = False
        if not ends and choice == Choice.CONTINUE:
            board = with_assumptions(self.task, self._board[None], assume)
            contradicted = bool(self.task.contradicts(board)[0])
            self._board = board[0]
        if contradicted or (not ends and choice == Choice.START_OVER):
            self._puzzle = puzzle = another_form(self.task, puzzle)
            self._begin(puzzle)
        return self._finish(puzzle, solved, bool(choice == Choice.HAND_IN), contradicted=contradicted)

    def _begin(self, puzzle: PuzzleBatch) -> None:
        self._board, self._chain = puzzle.inputs[0].copy(), 0

    def _observation(self, puzzle: PuzzleBatch) -> dict[str, Any]:
        return {
            "puzzle": puzzle.inputs[0].copy(),
            "board": self._board.copy(),
            "assumed": (self._board != puzzle.inputs[0]).astype(np.int8),
            "chain": np.int64(self._chain),
            "segment": np.int64(self._segment),
            "segments_left": np.int64(self.budget - self._segment),
        }

    def _view(self, puzzle: PuzzleBatch) -> View:
        answer = self._answer if self._chain else None  # that of the form before is of another puzzle
        return view_of(puzzle.inputs[0], answer, puzzle.solution[0], self._board)


class SearchVectorEnv(PuzzleVectorEnv):
    """B puzzles side by side: what B `SearchEnv`s on one source do, in whole arrays.

    ## Description

    B slots, each with a puzzle and a board of its own. A slot whose episode ends holds its next puzzle in the
    same step (`AutoresetMode.SAME_STEP`); finished slots take theirs in slot order from one draw. Returned
    arrays are new in every call.

    ## Action Space

    That of `SearchEnv` in a batch: `answer` (B, L), `assume` (B, L), `choice` (B,).

    ## Observation Space

    That of `SearchEnv` in a batch: `puzzle` (B, L) uint8, `board` (B, L) uint8, `assumed` (B, L) int8, and
    `chain`, `segment`, `segments_left` (B,) int64.

    Infos have the format of Gymnasium's `SyncVectorEnv`: `solution`, `level` and `identifier` are those of
    the puzzles now in the slots; `solved` and `contradicted` concern the slots that continue; `final_obs` and
    `final_info` hold the last observation and info of the episodes that ended; a mask `_key` says which slots
    a key speaks of.

    ## Rewards

    (B,) float64, each as in `SearchEnv`.

    ## Starting State

    New puzzles in all slots. `reset(seed=...)` restarts the source with a seed.

    ## Episode End

    (B,) terminations and (B,) truncations, each as in `SearchEnv`.

    ## Arguments

    - `task`, `source`, `budget`, `segment_cost` (`0.0`), `render_mode` (`None`): as for `SearchEnv`.
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
        budget: int,
        segment_cost: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        check_budget("budget", budget)
        refuse_unsearchable(task)
        single_spaces = search_spaces(task, budget)
        super().__init__(task, source, num_envs, budget, segment_cost, render_mode, single_spaces)
        self.budget = budget
        self._board = np.zeros_like(self._inputs)
        self._chain = np.zeros_like(self._segment)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One segment in every slot: observations, rewards, terminations, truncations (B,), infos."""
        self._check_started()
        answer, assume, choice = check_search_action(self.task, actions, self._inputs.shape)
        solved = self._judge(answer)
        self._chain += 1
        handed_in = choice == Choice.HAND_IN
        goes_on = ~handed_in & (self._segment + 1 < self.budget)
        thinks_on = goes_on & (choice == Choice.CONTINUE)
        board = with_assumptions(self.task, self._board[thinks_on], assume[thinks_on])
        self._board[thinks_on] = board
        contradicted = np.zeros(self.num_envs, np.bool_)
        contradicted[thinks_on] = self.task.contradicts(board)
        self._start_over(np.flatnonzero(contradicted | (goes_on & (choice == Choice.START_OVER))))
        return self._finish(solved, handed_in, contradicted=contradicted)

    def _start_over(self, slots: NDArray[np.int64]) -> None:
        """A fresh start on the puzzles of these slots, each in another form."""
        for slot in slots:
            one = slice(slot, slot + 1)
            puzzle = PuzzleBatch(
                self._inputs[one], self._solution[one], self._level[one], self._identifier[one]
            )
            form = another_form(self.task, puzzle)
            self._inputs[one], self._solution[one] = form.inputs, form.solution
        self._begin(slots)

    def _begin(self, slots: NDArray[Any]) -> None:
        """A fresh start in these slots, a mask or numbers."""
        self._board[slots] = self._inputs[slots]
        self._chain[slots] = 0

    def _fill(self, slots: NDArray[np.int64]) -> None:
        super()._fill(slots)
        self._begin(slots)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {**super()._state(), "board": self._board, "chain": self._chain}

    def _observation(self) -> dict[str, Any]:
        return {
            "puzzle": self._inputs.copy(),
            "board": self._board.copy(),
            "assumed": (self._board != self._inputs).astype(np.int8),
            "chain": self._chain.copy(),
            "segment": self._segment.copy(),
            "segments_left": self.budget - self._segment,
        }

    def _view(self, slot: int, answer: Tokens | None) -> View:
        answer = answer if self._chain[slot] else None  # that of the form before is of another puzzle
        return view_of(self._inputs[slot], answer, self._solution[slot], self._board[slot])


def another_form(task: PuzzleTask, puzzle: PuzzleBatch) -> PuzzleBatch:
    """One puzzle under a random symmetry of its task, which is drawn from the puzzle itself: the same puzzle
    always comes back in the same form, whoever asks."""
    return task.augment(puzzle, np.random.default_rng(fingerprint(puzzle.inputs)))


def refuse_unsearchable(task: PuzzleTask) -> None:
    """Raises UserError for a task that cannot be searched."""
    if not task.assumable:
        raise UserError(
            f"{task.name} cannot be searched: its task names no `assumable` tokens; run it without search"
        )


def search_spaces(task: PuzzleTask, budget: int) -> tuple[spaces.Dict, spaces.Dict]:
    """The observation and the action space of one puzzle."""
    segments = ("chain", "segment", "segments_left")
    observation = {
        "puzzle": board_space(task),
        "board": board_space(task),
        "assumed": spaces.MultiBinary(task.length),
        **{name: spaces.Discrete(budget + 1) for name in segments},
    }
    action = {
        "answer": answer_space(task),
        "assume": answer_space(task),
        "choice": spaces.Discrete(len(Choice)),
    }
    return spaces.Dict(observation), spaces.Dict(action)


def check_search_action(
    task: PuzzleTask, action: Any, shape: tuple[int, int]
) -> tuple[Tokens, Tokens, NDArray[np.int64]]:
    """The answer (B, L), what to assume (B, L) and the choice (B,), from an action of B slots. Raises
    ValueError."""
    meanings = ", ".join(f"{choice} ({choice.name.lower().replace('_', ' ')})" for choice in Choice)
    return (
        check_tokens(task, "answer", action, shape),
        check_tokens(task, "assume", action, shape),
        check_choice("choice", action, shape[0], meanings, max(Choice)),
    )


def with_assumptions(task: PuzzleTask, board: Tokens, assume: Tokens) -> Tokens:
    """The boards (N, L) with the assumable tokens of `assume` (N, L) in their blank cells."""
    may = task.unknown(board) & np.isin(assume, task.assumable)
    return np.where(may, assume, board)


def view_of(puzzle: Tokens, answer: Tokens | None, solution: Tokens, board: Tokens) -> View:
    """A picture of the last answer (L,), with what is assumed now as it stands on the board (L,)."""
    assumed = board != puzzle
    shown = None if answer is None else np.where(assumed, board, answer)
    return View(puzzle, shown, solution, assumed=assumed)
