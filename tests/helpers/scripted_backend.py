"""A backend (hrm_rl/serving/jobs.py) whose models are scripts: quick, always the same, and wrong when they
are told to be. It finds solutions with the tasks' own solvers.

- `steady4`, `steady9`, `steady6`: right after four segments, less and less of it wrong before.
- `searcher4`: doubts its first start, then hands in the right answer.
- `wrong4`: halts after three segments on an answer with two wrong cells.
- `broken4`: its replica dies after two segments.
- `tinter`, `flipper`: a grid of colours whose identity decides, and a string; as `steady4`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import numpy as np

from envs.maze import MazeTask
from envs.puzzle import Tokens
from envs.sudoku import SudokuTask
from envs.task import PuzzleTask
from hrm_rl.serving.jobs import BackendError, Decision, Job, JobResult, JobSegment, ServedModel
from tests.helpers.drawn import FlipTask, TintTask

LENGTH = 4


class ScriptedBackend:
    """A `Backend` of scripts."""

    slots = 8

    def __init__(self) -> None:
        four, nine, maze = SudokuTask(4), SudokuTask(9), MazeTask(6)
        self.models: Sequence[ServedModel] = [
            _model("steady4", four),
            _model("searcher4", four, trained_to_search=True),
            _model("wrong4", four),
            _model("broken4", four),
            _model("steady9", nine),
            _model("steady6", maze),
            _model("flipper", FlipTask()),
            _model("tinter", TintTask()),
        ]

    async def start(self) -> None:
        """Scripts are always ready."""

    async def solve(self, jobs: Sequence[Job]) -> list[JobResult]:
        """The results in the order of the jobs."""
        results = []
        for job in jobs:
            async for news in self.stream(job):
                last = news
            assert isinstance(last, JobResult)
            results.append(last)
        return results

    async def stream(self, job: Job) -> AsyncIterator[JobSegment | JobResult]:
        """Every segment, then the result."""
        segments = []
        for segment in self._segments(job):
            await asyncio.sleep(0.01)
            segments.append(segment)
            yield segment
        last = segments[-1]
        q = [segment.q for segment in segments]
        yield JobResult(
            last.answer, last.solved, last.segment, last.start, last.decision, q, queued=0.001, seconds=0.04
        )

    async def slots_in_use(self) -> int:
        return 0

    async def close(self) -> None:
        """Nothing to let go of."""

    def _segments(self, job: Job) -> Iterator[JobSegment]:
        task = next(model.task for model in self.models if model.name == job.model)
        if isinstance(task, TintTask):
            solution = task.recoloured(job.inputs[None], np.array([job.identifier]))[0]
        else:
            solution = task.prove(job.inputs)
        start, length = 0, min(LENGTH, job.segments)
        for segment in range(1, job.segments + 1):
            assumed = np.zeros_like(job.inputs)
            share, decision, ending = segment / LENGTH, "continue", segment == length
            if job.model == "wrong4":
                share, ending = min(share, 0.6), segment == 3
            if job.model == "broken4" and segment == 3:
                raise BackendError("the replica died")
            if job.mode == "search":
                start, share, ending = int(segment > 2), (segment - 1) % 2 * 0.5, segment == length
                share = 1.0 if ending else share
                assumed = _first_open(job.inputs, solution, task, segment % 3)
            answer, probabilities = _answer(task, job.inputs, solution, share)
            solved = None if task.label_decides else bool(task.solved(job.inputs[None], answer[None])[0])
            over = job.mode == "search" and segment == 2
            decision = _decision(job, segment, ending, solved, over)
            q = (6 * min(share, 1.0) - 3 if job.model != "wrong4" else 2.0, 1.0 - segment / 2)
            yield JobSegment(
                segment, start, job.inputs, answer, probabilities if job.detailed else None, q,
                solved, decision, over, assumed,
            )  # fmt: skip
            if decision not in ("continue", "start over"):
                return


def _model(name: str, task: PuzzleTask, trained_to_search: bool = False) -> ServedModel:
    return ServedModel(
        name=name,
        version="0123456789ab",
        task=task,
        parameters=1234,
        budget=8,
        search_budget=16 if task.assumable else None,
        trained_to_search=trained_to_search,
        origin="a script",
        identifiers=task.identifiers,
    )


def _decision(job: Job, segment: int, ending: bool, solved: bool | None, over: bool) -> Decision:
    spent = segment == job.segments
    if over:
        return "start over"
    if job.mode == "search":
        return "hand in" if solved else "give up" if spent else "continue"
    if job.mode == "fixed":
        return "spent" if spent else "continue"
    return "halt" if ending else "spent" if spent else "continue"


def _first_open(inputs: Tokens, solution: Tokens, task: PuzzleTask, count: int) -> Tokens:
    """(L,) the solution in the first `count` unknown cells, 0 elsewhere."""
    assumed = np.zeros_like(inputs)
    cells = np.flatnonzero(task.unknown(inputs[None])[0])[:count]
    assumed[cells] = solution[cells]
    return assumed


def _answer(task: PuzzleTask, inputs: Tokens, solution: Tokens, share: float) -> tuple[Tokens, np.ndarray]:
    """(L,) an answer with so much of the solution, and (L, V) its probabilities: sure where it is right."""
    answer, tokens = solution.copy(), task.vocab_size
    unknown = np.flatnonzero(task.unknown(inputs[None])[0])
    wrong = unknown[int(np.ceil(min(share, 1.0) * len(unknown))) :]
    others = {2: 5, 5: 2} if task.name == "maze" else {}
    answer[wrong] = [others.get(int(t), 2 + (int(t) - 1) % (tokens - 2)) for t in solution[wrong]]
    probabilities = np.full((len(inputs), tokens), 0.001, np.float32)
    probabilities[np.arange(len(inputs)), solution] = 0.4
    probabilities[np.arange(len(inputs)), answer] += 0.55
    return answer, probabilities / probabilities.sum(axis=1, keepdims=True)
