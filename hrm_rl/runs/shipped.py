"""Which of the models that come with this project takes a puzzle, for those who name none."""

from __future__ import annotations

import re
from collections.abc import Callable

from envs.errors import DataError
from envs.task import PuzzleTask
from hrm_rl.config import validate
from hrm_rl.data.streams import build_task
from hrm_rl.models.saving import CONFIG
from hrm_rl.runs.loading import described
from hrm_rl.runs.pretrained import read_about
from hrm_rl.utils.errors import UserError
from hrm_rl.weights import folder_of, shipped


def task_of(name: str) -> PuzzleTask:
    """The task of a shipped model, without its weights."""
    folder = folder_of(name)
    assert folder is not None
    return build_task(validate(read_about(folder).config, str(folder / CONFIG)))


def model_for(text: str, read: Callable[[PuzzleTask], object]) -> str:
    """The first shipped model whose task can `read` what `text` holds. Raises UserError that says what is
    wrong with it for the likeliest task."""
    refused: list[tuple[PuzzleTask, DataError]] = []
    for name in shipped():
        task = task_of(name)
        try:
            read(task)
        except DataError as error:
            refused.append((task, error))
        else:
            return name
    task, fault = min(refused, key=lambda found: _unlike(text, found[0]))
    raise UserError(f"{fault} (read as {described(task)}; --model names another model)")


def _unlike(text: str, task: PuzzleTask) -> tuple[bool, int]:
    """The less, the likelier `text` is of a task: whether it is a maze, and how many cells there are."""
    maze = "#" in text or {"S", "G"} <= set(text)
    cells = len(re.sub(r"[\n\r]" if maze else r"[\s|+-]", "", text))
    return (task.name == "maze") != maze, abs(cells - task.length)
