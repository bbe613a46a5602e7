"""From what a client sends to a puzzle that a model may be asked about, and puzzles made for clients.

All of it is work for threads: none of it may hold up an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from envs.errors import DataError, MisfitError, UserError, unknown
from envs.puzzle import PAD, Tokens
from envs.task import PuzzleTask
from hrm_rl.serving.faults import ServiceError
from hrm_rl.serving.jobs import Mode, ServedModel
from hrm_rl.serving.schemas import CellPlace, Identity, ModelInfo, RandomPuzzle, ReadResponse, TaskInfo

Given = str | list[int]
"""A puzzle as it comes: text or tokens."""


@dataclass(frozen=True)
class PreparedPuzzle:
    """A puzzle of sound form, with a solution that was proven if one was asked for."""

    inputs: Tokens
    """(L,)"""
    identifier: int
    solution: Tokens | None
    """(L,) None where no proof was asked for, or the task knows none."""


def slug_of(task: PuzzleTask) -> str:
    """`sudoku-9x9`."""
    return f"{task.name}-{task.grid_shape[0]}x{task.grid_shape[1]}"


def model_info(model: ServedModel) -> ModelInfo:
    """What clients hear of a model."""
    modes: list[Mode] = ["adaptive", "fixed"]
    return ModelInfo(
        name=model.name,
        version=model.version,
        task=slug_of(model.task),
        parameters=model.parameters,
        modes=modes if model.search_budget is None else [*modes, "search"],
        default_mode=model.default_mode,
        segments=model.budget,
        identifiers=model.identifiers,
        search_segments=model.search_budget,
        origin=model.origin,
    )


def task_infos(models: Sequence[ServedModel]) -> list[TaskInfo]:
    """What is to be known of the tasks of these models, each once."""
    slugs = dict.fromkeys(slug_of(model.task) for model in models)
    return [_task_info([model for model in models if slug_of(model.task) == slug]) for slug in slugs]


def _task_info(models: Sequence[ServedModel]) -> TaskInfo:
    """Of models of one task."""
    task = models[0].task
    rows, columns = task.grid_shape
    return TaskInfo(
        task=slug_of(task),
        name=task.name,
        rows=rows,
        columns=columns,
        characters=task.characters,
        drawn_as=task.drawn_as,
        box=None if task.box_shape is None else list(task.box_shape),
        levels=[level for level in task.levels if task.quick(level)],
        rules=list(task.rules),
        label_decides=task.label_decides,
        identities=[Identity(identifier=i, name=name) for i, name in task.identities().items()],
        models=[model.name for model in models],
    )


def warm_up(models: Sequence[ServedModel], stopping: Callable[[], bool]) -> None:
    """Do once what takes long the first time: compiled code of the tasks is loaded, or made."""
    for info in task_infos(models):
        if stopping():
            return
        if info.levels:
            random_puzzle(models, info.task, info.levels[0], seed=0)


def choose_model(models: Sequence[ServedModel], name: str | None, puzzle: Given) -> ServedModel:
    """The model called `name`, else the first whose task takes the puzzle. Raises ServiceError where none
    does, with the reason of the task that the puzzle is most like."""
    if name is not None:
        for model in models:
            if model.name == name:
                return model
        raise _refused(unknown("model", name, [model.name for model in models]))
    likeness: list[tuple[bool, float]] = []
    errors: list[DataError] = []
    for model in models:
        try:
            tokens_of(model.task, puzzle)
        except DataError as error:
            errors.append(error)
            likeness.append((not isinstance(error, MisfitError), _likeness(model.task, puzzle)))
        else:
            return model
    closest = likeness.index(max(likeness, key=lambda pair: (pair[1], pair[0])))
    raise _refused(errors[closest], models[closest].task)


def _likeness(task: PuzzleTask, puzzle: Given) -> float:
    """Share of a text's characters that are the task's."""
    if not isinstance(puzzle, str):
        return 1.0
    shown = [character for character in puzzle if not character.isspace()]
    return sum(character in task.characters for character in shown) / max(1, len(shown))


def tokens_of(task: PuzzleTask, puzzle: Given) -> Tokens:
    """(L,) a puzzle of sound form. Raises DataError."""
    if isinstance(puzzle, str):
        return task.encode(puzzle)
    tokens = np.array(puzzle, np.uint8)
    task.check(tokens)
    return tokens


def prepare(
    model: ServedModel, puzzle: Given, identifier: int | None, prove: bool, number: int | None = None
) -> PreparedPuzzle:
    """The puzzle, checked, and proven if `prove`. identifier: its identity; that of its text if not given.
    number: its index in a list. Raises ServiceError (422)."""
    task = model.task
    try:
        inputs = tokens_of(task, puzzle)
        if identifier is None:
            identifier = task.identify(puzzle) if isinstance(puzzle, str) else 0
        if identifier >= model.identifiers:
            raise DataError(f"identifier {identifier} is unknown to {model.name}; {_identifiers(model)}")
        solution = task.prove(inputs) if prove else None
    except DataError as error:
        raise _refused(error, task, number) from None
    known = solution is not None and bool((solution != PAD).any())
    return PreparedPuzzle(inputs, identifier, solution if known else None)


def _identifiers(model: ServedModel) -> str:
    return "it has 0 alone" if model.identifiers == 1 else f"it has 0 to {model.identifiers - 1}"


def random_puzzle(models: Sequence[ServedModel], slug: str, level: str, seed: int) -> RandomPuzzle:
    """A new puzzle of a level of a task. Raises ServiceError (422)."""
    try:
        task = _task_called(models, slug)
        quick = [name for name in task.levels if task.quick(name)]
        if level not in quick:
            raise unknown("level", level, quick)
        puzzle = task.generate(level, 1, np.random.default_rng(seed))
        inputs = puzzle.inputs[0]
        solution = task.prove(inputs)
    except UserError as error:
        raise _refused(error) from None
    if not (solution != PAD).any():
        solution = puzzle.solution[0]
    return RandomPuzzle(
        task=slug,
        level=level,
        puzzle=task.write_text(inputs),
        tokens=inputs.tolist(),
        identifier=int(puzzle.identifier[0]),
        solution=solution.tolist(),
        solutions=1 if task.one_solution else None,
        length=int(task.trait("length", inputs[None])[0]) if "length" in task.traits else None,
        seed=seed,
    )


def read_puzzle(models: Sequence[ServedModel], slug: str, text: str) -> ReadResponse:
    """The puzzle of a task that a text is. Raises ServiceError (422)."""
    task = None
    try:
        task = _task_called(models, slug)
        tokens, identifier = task.encode(text), task.identify(text)
    except UserError as error:
        raise _refused(error, task) from None
    return ReadResponse(task=slug, tokens=tokens.tolist(), identifier=identifier)


def _task_called(models: Sequence[ServedModel], slug: str) -> PuzzleTask:
    """Raises UserError for a task that is not served."""
    for model in models:
        if slug_of(model.task) == slug:
            return model.task
    raise unknown("task", slug, dict.fromkeys(slug_of(model.task) for model in models))


def _refused(error: UserError, task: PuzzleTask | None = None, number: int | None = None) -> ServiceError:
    """422, with the cell that the error names."""
    cell = getattr(error, "cell", None)
    place = None
    if cell is not None and task is not None:
        row, column = divmod(cell, task.grid_shape[1])
        place = CellPlace(row=row + 1, column=column + 1)
    of_task = f" (the task is {slug_of(task)})" if task is not None and isinstance(error, MisfitError) else ""
    return ServiceError(422, f"{error}{of_task}", place, number)
