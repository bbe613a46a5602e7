"""What `hrm-rl solve --url` does: a service thinks, and the boards are those of `hrm-rl solve` itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs import PAD, DataError, PuzzleBatch, make_task
from envs.puzzle import NO_LEVEL, Tokens
from envs.registration import TASKS
from envs.search import Choice
from envs.task import PuzzleTask
from hrm_rl.analysis.boards import Step
from hrm_rl.analysis.search_boards import SearchStep
from hrm_rl.runs.loading import trained_on
from hrm_rl.serving.client import Client
from hrm_rl.serving.jobs import Mode
from hrm_rl.serving.schemas import BeginEvent, ModelInfo, SegmentEvent, TaskInfo
from hrm_rl.serving.settings import TOKEN_VARIABLE
from hrm_rl.utils.errors import UserError, unknown

ReadPuzzle = Callable[[PuzzleTask], PuzzleBatch]
"""The puzzle that is meant, as one of a task. Raises DataError where it is none."""


@dataclass(frozen=True)
class RemoteQuestion:
    """What to ask a service for."""

    url: str
    model: str
    """A name that the service knows; empty for the first one whose task takes the puzzle."""
    mode: Mode
    segments: int | None
    seed: int


@dataclass(frozen=True)
class RemoteThoughts:
    """What came of it."""

    begin: BeginEvent
    task: PuzzleTask
    puzzle: PuzzleBatch
    steps: Sequence[Step]


def ask(question: RemoteQuestion, read: ReadPuzzle | None = None, level: str = "") -> RemoteThoughts:
    """Have a service think about a puzzle: the one that `read` reads, or a new one of `level`, which the
    service makes. Raises UserError."""
    with Client(question.url, os.environ.get(TOKEN_VARIABLE) or None) as client:
        served = client.models()
        names = [model.name for model in served]
        if question.model and question.model not in names:
            raise unknown("model", question.model, names)
        models = [model for model in served if question.model in ("", model.name)]
        tasks = {info.task: _task_of(info) for info in client.tasks()}
        if read is None:
            model, puzzle = models[0], _made(client, models[0].task, level, question.seed)
        else:
            model, puzzle = _first_that_fits(models, tasks, read)
        begin: BeginEvent | None = None
        seen: list[SegmentEvent] = []
        for event in client.stream(
            puzzle.inputs[0].tolist(),
            model=model.name,
            mode=question.mode,
            segments=question.segments,
            seed=question.seed,
            identifier=int(puzzle.identifier[0]),
        ):
            if isinstance(event, BeginEvent):
                begin = event
            elif isinstance(event, SegmentEvent):
                seen.append(event)
    if begin is None or not seen:
        raise UserError(f"{question.url} told of no segment")
    task = tasks[model.task]
    return RemoteThoughts(begin, task, puzzle, steps_of_events(seen, begin.mode, puzzle))


def _first_that_fits(
    models: Sequence[ModelInfo], tasks: Mapping[str, PuzzleTask], read: ReadPuzzle
) -> tuple[ModelInfo, PuzzleBatch]:
    """The first model whose task takes the puzzle, and the puzzle. Raises UserError where none does."""
    refused: DataError | None = None
    for model in models:
        try:
            return model, read(tasks[model.task])
        except DataError as error:
            refused = refused or error
    assert refused is not None
    raise UserError(f"{refused}{trained_on(refused, tasks[models[0].task])}")


class ToldTask(PuzzleTask):
    """A task of which no more is known than a service tells: enough to read puzzles and to show them. A name
    that a service tells is never imported."""

    def __init__(self, info: TaskInfo):
        self.name, self.characters, self.drawn_as = info.name, info.characters, info.drawn_as
        self.grid_shape, self.levels = (info.rows, info.columns), tuple(info.levels)
        self.label_decides = True  # as far as can be told from here

    def solved(self, inputs: Tokens, answer: Tokens) -> NDArray[np.bool_]:
        raise NotImplementedError("only the service knows the rule")

    def unknown(self, inputs: Tokens) -> NDArray[np.bool_]:
        raise NotImplementedError("only the service knows what an answer has to find")

    def generate(
        self, level: str, count: int, rng: np.random.Generator, held_out: bool = False
    ) -> PuzzleBatch:
        raise NotImplementedError("the service makes puzzles")


def _task_of(info: TaskInfo) -> PuzzleTask:
    """The task of this project that a service calls by this name, if it is the same with its defaults; else
    what the service tells of it. Raises UserError for a Sudoku or a maze of another version."""
    if info.name not in TASKS:
        return ToldTask(info)
    try:
        task = make_task(info.name, size=info.columns)
    except UserError:
        return ToldTask(info)
    told = {identity.identifier: identity.name for identity in info.identities}
    if (task.characters, task.grid_shape, dict(task.identities())) == (
        info.characters,
        (info.rows, info.columns),
        told,
    ):
        return task
    if info.drawn_as == "board":
        raise UserError(f"the service's task {info.task} is another than that of this version of hrm-rl")
    return ToldTask(info)


def _made(client: Client, slug: str, level: str, seed: int) -> PuzzleBatch:
    made = client.random(slug, level, seed)
    tokens = np.array([made.tokens, made.solution], np.uint8)
    return PuzzleBatch(tokens[:1], tokens[1:], np.full(1, NO_LEVEL), np.array([made.identifier]))


def steps_of_events(seen: Sequence[SegmentEvent], mode: Mode, puzzle: PuzzleBatch) -> list[Step]:
    """The segments of a stream as pictures show them. Where the service cannot tell what is right, a label
    can, if there is one."""
    steps: list[Step] = []
    solution = puzzle.solution[0]
    labelled = solution != PAD
    for i, event in enumerate(seen):
        answer, board = np.array(event.answer, np.uint8), np.array(event.board, np.uint8)
        q_halt, q_continue = event.q_halt or 0.0, event.q_continue
        goes_on = i > 0 and seen[i - 1].start == event.start
        wrong = int(((answer != solution) & labelled).sum()) if labelled.any() else None
        before = steps[-1].answer if goes_on else None
        if mode != "search":
            stopped = any(step.halts for step in steps)
            steps.append(
                Step(
                    number=event.segment,
                    answer=answer,
                    before=before,
                    q_halt=q_halt,
                    q_continue=q_continue,
                    halts=q_halt > (q_continue or 0.0) and not stopped,
                    spent=event is seen[-1],
                    thinks_on=stopped,
                    solved=(None if wrong is None else wrong == 0) if event.solved is None else event.solved,
                    wrong=wrong,
                )
            )
            continue
        assumed = board != puzzle.inputs[0]
        steps.append(
            SearchStep(
                number=event.segment,
                answer=answer,
                before=before,
                q_halt=q_halt,
                q_continue=q_continue,
                halts=bool(event.solved),
                spent=event.decision == "give up",
                thinks_on=False,
                solved=event.solved,
                wrong=wrong,
                assumed=assumed,
                start=event.start,
                side_by_side=False,
                choice=_choice(event),
                contradicted=event.contradicted,
                assumes=sum(token > 0 for token in event.assumed),
                misled=int((assumed & labelled & (board != solution)).sum()) if labelled.any() else None,
            )
        )
    return steps


def _choice(event: SegmentEvent) -> Choice:
    if event.decision == "hand in":
        return Choice.HAND_IN
    return Choice.START_OVER if event.decision == "start over" or event.contradicted else Choice.CONTINUE
