"""A backend without a network: it knows the solutions, and does as tests tell it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np

from envs import make_task
from envs.errors import DataError
from envs.task import PuzzleTask
from hrm_rl.serving.jobs import BackendError, Job, JobResult, JobSegment, Mode, ServedModel


def fake_model(name: str, task: PuzzleTask, mode: Mode = "adaptive", identifiers: int = 1) -> ServedModel:
    search = 12 if task.assumable else None
    return ServedModel(name, "0123456789ab", task, 1000, 4, search, mode == "search", "a test", identifiers)


FOUR, MAZE = fake_model("four", make_task("sudoku", size=4)), fake_model("maze", make_task("maze", size=5))
NINE = fake_model("nine", make_task("sudoku"), "search")


class FakeBackend:
    """Answers in two segments: first the puzzle itself, then the solution if there is one."""

    def __init__(self, models: Sequence[ServedModel] = (FOUR, MAZE, NINE), slots: int = 4):
        self.models = list(models)
        self.slots = slots
        self.go_on = asyncio.Event()
        """Set: jobs do not wait between their segments."""
        self.go_on.set()
        self.error: Exception | None = None
        """Raised after the first segment."""
        self.jobs: list[Job] = []
        self.in_use = 0
        self.started = self.closed = False

    async def start(self) -> None:
        self.started = True

    async def close(self) -> None:
        self.closed = True

    async def slots_in_use(self) -> int:
        return self.in_use

    async def solve(self, jobs: Sequence[Job]) -> list[JobResult]:
        async def last(job: Job) -> JobResult:
            found = [news async for news in self.stream(job)][-1]
            assert isinstance(found, JobResult)
            return found

        return list(await asyncio.gather(*map(last, jobs)))

    async def stream(self, job: Job) -> AsyncIterator[JobSegment | JobResult]:
        self.jobs.append(job)
        task = next(model.task for model in self.models if model.name == job.model)
        try:
            solution = task.prove(job.inputs)
        except DataError:
            solution = job.inputs
        self.in_use += 1
        try:
            yield self._segment(task, job, job.inputs, 1)
            await self.go_on.wait()
            if self.error is not None:
                raise BackendError("as the test wanted") from self.error
            yield (last := self._segment(task, job, solution, 2))
            yield JobResult(
                last.answer, last.solved, 2, 0, last.decision, [(-1.0, 0.5), (float("nan"), None)], 0.25, 0.5
            )
        finally:
            self.in_use -= 1

    def _segment(self, task: PuzzleTask, job: Job, answer: np.ndarray, number: int) -> JobSegment:
        solved = None if task.label_decides else bool(task.solved(job.inputs[None], answer[None])[0])
        probabilities = np.full((task.length, task.vocab_size), 1 / task.vocab_size, np.float32)
        return JobSegment(
            segment=number,
            start=0,
            board=job.inputs,
            answer=answer,
            probabilities=probabilities if job.detailed else None,
            q=(-1.0, 0.5 if number == 1 else None),
            solved=solved,
            decision=("halt" if solved else "spent") if number == 2 else "continue",
            contradicted=False,
            assumed=np.zeros_like(answer),
        )
