"""What `ActEnv` and `ActVectorEnv` share: their spaces, and the checks of what comes in.

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


def check_arguments(halt_max_steps: int, segment_cost: float, render_mode: str | None) -> None:
    """Raises ValueError for a value that is out of range."""
    if halt_max_steps < 1:
        raise ValueError(f"halt_max_steps is {halt_max_steps}; an episode has at least 1 segment")
    if not (np.isfinite(segment_cost) and segment_cost >= 0):
        raise ValueError(f"segment_cost is {segment_cost}; it is taken off the reward and must be 0 or more")
    if render_mode not in (None, *RENDER_MODES):
        raise ValueError(f"render_mode is {render_mode!r}; it must be None, {' or '.join(RENDER_MODES)}")


def spaces_of(task: PuzzleTask, halt_max_steps: int) -> tuple[spaces.Dict, spaces.Dict]:
    """The observation and the action space of one puzzle."""
    length = task.length
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


def check_action(task: PuzzleTask, action: Any, shape: tuple[int, int]) -> tuple[Tokens, NDArray[np.bool_]]:
    """The answer (B, L) and whether to halt (B,), from an action of B slots. Raises ValueError."""
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


def reseed(source: PuzzleSource, seed: int | None, options: dict[str, Any] | None) -> None:
    """Restart the source with a seed, if `reset` was given one. Raises ValueError for options."""
    if options:
        raise ValueError(f"reset has no options; got {', '.join(options)}")
    if seed is not None:
        source.reseed(seed)


def render(
    task: PuzzleTask, mode: str | None, puzzle: Tokens, answer: Tokens | None, solution: Tokens
) -> str | NDArray[np.uint8]:
    """One slot as a frame: text, or an image (height, width, 3). Raises ValueError without a mode."""
    if mode is None:
        raise ValueError(
            f"render() needs a render_mode, {' or '.join(RENDER_MODES)}, given to the environment"
        )
    if mode == "ansi":
        return task.render_text(View(puzzle, answer, solution))
    return task.render_rgb(View(puzzle, answer, solution))
