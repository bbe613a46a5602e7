"""The spaces of the environments, and the checks of what comes in.

Legend: B slots, L tokens a puzzle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.puzzle import PuzzleSource, Tokens, View
from envs.task import PuzzleTask

RENDER_MODES = ("ansi", "rgb_array")


def check_arguments(segment_cost: float, render_mode: str | None) -> None:
    """Raises ValueError for a value that is out of range."""
    if not (np.isfinite(segment_cost) and segment_cost >= 0):
        raise ValueError(f"segment_cost is {segment_cost}; it is taken off the reward and must be 0 or more")
    if render_mode not in (None, *RENDER_MODES):
        raise ValueError(f"render_mode is {render_mode!r}; it must be None, {' or '.join(RENDER_MODES)}")


def check_budget(name: str, budget: int) -> None:
    """Raises ValueError for an episode without a segment. name: that of the argument."""
    if budget < 1:
        raise ValueError(f"{name} is {budget}; an episode has at least 1 segment")


def act_spaces(task: PuzzleTask, budget: int) -> tuple[spaces.Dict, spaces.Dict]:
    """The observation and the action space of one puzzle, for agents that halt."""
    observation = {"puzzle": board_space(task), "segment": spaces.Discrete(budget + 1)}
    return spaces.Dict(observation), spaces.Dict({"answer": answer_space(task), "halt": spaces.Discrete(2)})


def board_space(task: PuzzleTask) -> spaces.Box:
    """What a puzzle is observed in: (L,) tokens."""
    return spaces.Box(0, task.vocab_size - 1, (task.length,), np.uint8)


def answer_space(task: PuzzleTask) -> spaces.MultiDiscrete:
    """What is answered: a token for each of L cells."""
    return spaces.MultiDiscrete([task.vocab_size] * task.length)


def check_action(task: PuzzleTask, action: Any, shape: tuple[int, int]) -> tuple[Tokens, NDArray[np.bool_]]:
    """The answer (B, L) and whether to halt (B,), from an action of B slots. Raises ValueError."""
    answer = check_tokens(task, "answer", action, shape)
    halt = check_choice("halt", action, shape[0], "0 (continue) or 1 (halt)", 1)
    return answer, halt.astype(np.bool_)


def check_tokens(task: PuzzleTask, name: str, action: Any, shape: tuple[int, int]) -> Tokens:
    """The tokens (B, L) that an action has under this name. Raises ValueError."""
    tokens = np.asarray(action[name])
    if tokens.shape != shape:
        raise ValueError(f"{name} has shape {tokens.shape}; it must be {shape}")
    if tokens.dtype.kind not in "iu":
        raise ValueError(f"{name} is {tokens.dtype}; it must be integers")
    if tokens.max() >= task.vocab_size or tokens.min() < 0:
        raise ValueError(
            f"{name} holds tokens {tokens.min()}..{tokens.max()}; "
            f"those of {task.name} are 0..{task.vocab_size - 1}"
        )
    return tokens.astype(np.uint8)


def check_choice(name: str, action: Any, slots: int, meanings: str, highest: int) -> NDArray[np.int64]:
    """The numbers (B,), 0 to `highest`, that an action has under this name. Raises ValueError, which says
    their meanings."""
    choice = np.asarray(action[name])
    if choice.shape != (slots,):
        raise ValueError(f"{name} has shape {choice.shape}; it must be {(slots,)}")
    if choice.dtype.kind not in "iub":
        raise ValueError(f"{name} is {choice.dtype}; it must be integers")
    if choice.max() > highest or choice.min() < 0:
        raise ValueError(f"{name} holds {choice.min()}..{choice.max()}; it must be {meanings}")
    return choice.astype(np.int64)


def batch_of_one(action: dict[str, Any]) -> dict[str, Any]:
    """An action as that of one slot."""
    return {key: np.asarray(value)[None] for key, value in action.items()}


def reseed(source: PuzzleSource, seed: int | None, options: dict[str, Any] | None) -> None:
    """Restart the source with a seed, if `reset` was given one. Raises ValueError for options."""
    if options:
        raise ValueError(f"reset has no options; got {', '.join(options)}")
    if seed is not None:
        source.reseed(seed)


def render(task: PuzzleTask, mode: str | None, view: View) -> str | NDArray[np.uint8]:
    """One slot as a frame: text, or an image (height, width, 3). Raises ValueError without a mode."""
    if mode is None:
        raise ValueError(
            f"render() needs a render_mode, {' or '.join(RENDER_MODES)}, given to the environment"
        )
    return task.render_text(view) if mode == "ansi" else task.render_rgb(view)
