"""Requests on their way: how many puzzles are let in, what ends a request early, and the events of a stream.

A request ends early when its time is over, when its client goes away, or when the service has stopped and the
grace of that is over; in each case its work is cancelled, which frees its slots.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel
from starlette.types import Receive

from envs.puzzle import PAD
from hrm_rl.serving.faults import ClientGone, ServiceError
from hrm_rl.serving.jobs import Backend, Job, JobResult, JobSegment, Mode, ServedModel
from hrm_rl.serving.metrics import Metrics
from hrm_rl.serving.puzzles import Given, PreparedPuzzle, choose_model, prepare, slug_of, warm_up
from hrm_rl.serving.schemas import (
    BeginEvent,
    PuzzleResult,
    ResultEvent,
    SegmentEvent,
    SolveResponse,
    ThinkRequest,
)
from hrm_rl.serving.settings import ServingSettings

T = TypeVar("T")
VERDICTS = {True: "true", False: "false", None: "unknown"}
"""As the metrics count them."""
Emit = Callable[[str, BaseModel | None], Awaitable[None]]
"""Sends an event by its name, or, with None, a sign of life."""


@dataclass
class Note:
    """One request: what the log says of it, and what it holds until its end."""

    method: str
    path: str
    receive: Receive
    time_limit: float
    over: asyncio.Event
    """Set when nothing may run any more."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    began: float = field(default_factory=time.monotonic)
    status: int = 0
    about: dict[str, Any] = field(default_factory=dict)
    """What else the log is to say: model, stages, error."""
    held: ExitStack = field(default_factory=ExitStack)
    """Let go at the end of the request, however it ends."""

    async def until(self, work: Awaitable[T]) -> T:
        """The outcome of `work`, which is cancelled where the request ends early. Raises ServiceError (504,
        503) and ClientGone."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self._gone())
        over = asyncio.ensure_future(self.over.wait())
        left = self.began + self.time_limit - time.monotonic()
        try:
            await asyncio.wait((task, gone, over), timeout=max(0.0, left), return_when="FIRST_COMPLETED")
            if task.done():
                return task.result()
        finally:
            for other in (task, gone, over):
                other.cancel()
            await asyncio.gather(task, gone, over, return_exceptions=True)
        if gone.done() and not gone.cancelled():
            raise ClientGone
        if self.over.is_set():
            raise ServiceError(503, "the server stopped before this was done; ask again in a moment")
        raise ServiceError(504, f"not done after {self.time_limit:g} s, the time limit of this server")

    async def _gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


class Service:
    """What the routes of one application share."""

    def __init__(self, backend: Backend, settings: ServingSettings):
        self.backend = backend
        self.settings = settings
        self.metrics = Metrics()
        self.ready = False
        self.stopping = False
        self.over = asyncio.Event()
        self.running = 0
        """Requests under /v1/."""
        self._admitted = 0
        self._seconds = 0.05
        """That a puzzle takes, about."""
        self._pool: ThreadPoolExecutor | None = None

    @property
    def capacity(self) -> int:
        """Puzzles that are let in at a time."""
        return self.backend.slots + self.settings.queue

    @property
    def most_puzzles(self) -> int:
        """In one request."""
        return min(self.settings.max_puzzles, self.capacity)

    async def start(self) -> None:
        """Get ready for requests, also after a close."""
        await self.backend.start()
        self.metrics.slots.set(self.backend.slots)
        self.over = asyncio.Event()
        self._pool = ThreadPoolExecutor(self.settings.proof_threads, "proofs")
        self.ready, self.stopping = True, False
        # Nobody waits for it, and what fails here fails again where somebody hears of it.
        self._pool.submit(warm_up, self.backend.models, lambda: self.stopping)

    async def close(self) -> None:
        """Let go of threads and backend."""
        self.stop()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        await self.backend.close()

    def stop(self) -> None:
        """Take no new requests; those that run go on."""
        self.stopping = True

    async def drained(self, seconds: float) -> int:
        """Take no new requests, wait until none runs, at most so long, and end those that are left then.
        Returns how many these were."""
        self.stop()
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        left = self.running
        self.over.set()
        while self.running and time.monotonic() < deadline + 2.0:  # for them to say so to their clients
            await asyncio.sleep(0.02)
        return left

    @contextmanager
    def admission(self, count: int) -> Iterator[None]:
        """A place in the slots or the queue for `count` puzzles. Raises ServiceError (429)."""
        if self._admitted + count > self.capacity:
            seconds = self._seconds * self._admitted / self.backend.slots
            wait = max(1, min(60, math.ceil(seconds)))
            raise ServiceError(
                429,
                f"{self._admitted} puzzles are thought about or wait, of at most {self.capacity}: "
                f"ask again in {wait} s",
                headers={"Retry-After": str(wait)},
            )
        self._admitted += count
        self.metrics.admitted.set(self._admitted)
        try:
            yield
        finally:
            self._admitted -= count
            self.metrics.admitted.set(self._admitted)

    async def in_thread(self, work: Callable[..., T], *args: Any) -> T:
        """The outcome of slow work, one of a few at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def prepare(
        self, request: ThinkRequest, puzzles: Sequence[Given], note: Note, listed: bool = False
    ) -> tuple[ServedModel, list[PreparedPuzzle], Job]:
        """The model and the checked puzzles of a request, with places for them until its end, and the job
        that the first one is. listed: errors say which puzzle they are about. Raises ServiceError."""
        if len(puzzles) > self.most_puzzles:
            raise ServiceError(422, f"there are {len(puzzles)} puzzles; give {self.most_puzzles} at most")
        note.held.enter_context(self.admission(len(puzzles)))
        begun = time.monotonic()
        model = await self.in_thread(choose_model, self.backend.models, request.model, puzzles[0])
        mode, segments = self._plan(request, model)
        note.about |= {"model": model.name, "mode": mode, "puzzles": len(puzzles)}
        how, prepared = (request.identifier, not request.allow_unproven), []
        for i, puzzle in enumerate(puzzles):
            number = i if listed else None
            prepared.append(await self.in_thread(prepare, model, puzzle, *how, number))
        self._took("proof", note, time.monotonic() - begun)
        first = prepared[0]
        job = Job(model.name, first.inputs, mode, segments, request.seed, identifier=first.identifier)
        return model, prepared, job

    async def solve(
        self, request: ThinkRequest, puzzles: Sequence[Given], note: Note, listed: bool
    ) -> SolveResponse:
        """The answers to some puzzles. Raises ServiceError and BackendError."""
        model, prepared, first = await self.prepare(request, puzzles, note, listed)
        results = await self.backend.solve(
            [replace(first, inputs=puzzle.inputs, identifier=puzzle.identifier) for puzzle in prepared]
        )
        self._count(model, results, note)
        return SolveResponse(
            model=model.name,
            version=model.version,
            task=slug_of(model.task),
            results=[
                PuzzleResult(**_result(model, puzzle, result))
                for puzzle, result in zip(prepared, results, strict=True)
            ],
        )

    async def stream(
        self, model: ServedModel, puzzle: PreparedPuzzle, job: Job, note: Note, emit: Emit
    ) -> None:
        """Send the events of one puzzle. Raises BackendError."""
        job = replace(job, detailed=True)
        slug = slug_of(model.task)
        # What the task compiles when first asked does not hold up the event loop.
        await self.in_thread(model.task.violations, job.inputs[None], job.inputs[None])
        begin = BeginEvent(
            id=note.id,
            model=model.name,
            version=model.version,
            task=slug,
            inputs=puzzle.inputs.tolist(),
            unknown=_cells(model.task.unknown(puzzle.inputs[None])[0]),
            identifier=puzzle.identifier,
            solution=None if puzzle.solution is None else puzzle.solution.tolist(),
            mode=job.mode,
            segments=job.segments,
        )
        await emit("begin", begin)
        last: JobSegment | None = None
        async for news in self._with_pings(self.backend.stream(job), emit):
            if isinstance(news, JobSegment):
                await emit("segment", _segment(model, puzzle, news, last))
                last = news
            else:
                self._count(model, [news], note)
                about = {"model": model.name, "version": model.version, "task": slug}
                await emit("result", ResultEvent.model_validate(about | _result(model, puzzle, news)))

    async def _with_pings(
        self, stream: AsyncIterator[JobSegment | JobResult], emit: Emit
    ) -> AsyncIterator[JobSegment | JobResult]:
        """What the stream gives; signs of life while it gives nothing. Closes it at the end."""
        coming: asyncio.Future[JobSegment | JobResult] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(stream))
                await asyncio.wait((coming,), timeout=self.settings.ping_seconds)
                if not coming.done():
                    await emit("ping", None)
                    continue
                try:
                    news = coming.result()
                except StopAsyncIteration:
                    return
                coming = None
                yield news
        finally:
            if coming is not None:
                coming.cancel()
                with suppress(BaseException):
                    await coming
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    def _plan(self, request: ThinkRequest, model: ServedModel) -> tuple[Mode, int]:
        """How a model is to think and for how long. Raises ServiceError (422)."""
        mode, most = request.mode or model.default_mode, self.settings.max_segments
        try:
            budget = model.default_segments(mode)
        except ValueError as error:
            raise ServiceError(422, f"mode: {error}; take adaptive or fixed") from None
        if request.segments is not None and request.segments > most:
            raise ServiceError(422, f"segments: {request.segments} is more than this server allows, {most}")
        return mode, request.segments or min(budget, most)

    def _count(self, model: ServedModel, results: Sequence[JobResult], note: Note) -> None:
        for result in results:
            self.metrics.segments.labels(model.name).observe(result.segments)
            self.metrics.puzzles.labels(model.name, VERDICTS[result.solved]).inc()
            self.metrics.latency.labels("queue").observe(result.queued)
            self.metrics.latency.labels("think").observe(result.seconds)
            self._seconds += 0.1 * (result.seconds - self._seconds)
        note.about |= {
            "segments": sum(result.segments for result in results),
            "solved": None if model.task.label_decides else sum(bool(result.solved) for result in results),
            "queue_seconds": round(max(result.queued for result in results), 4),
            "think_seconds": round(max(result.seconds for result in results), 4),
        }

    def _took(self, stage: str, note: Note, seconds: float) -> None:
        self.metrics.latency.labels(stage).observe(seconds)
        note.about[f"{stage}_seconds"] = round(seconds, 4)


def _number(value: float | None) -> float | None:
    """A number that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


def _result(model: ServedModel, puzzle: PreparedPuzzle, result: JobResult) -> dict[str, Any]:
    return {
        "answer": model.task.write_text(result.answer),
        "tokens": result.answer.tolist(),
        "inputs": puzzle.inputs.tolist(),
        "identifier": puzzle.identifier,
        "solved": result.solved,
        "decision": result.decision,
        "segments": result.segments,
        "starts": result.starts,
        "q": [(_number(halt), _number(go_on)) for halt, go_on in result.q],
        "queued": round(result.queued, 6),
        "seconds": round(result.seconds, 6),
    }


def _segment(
    model: ServedModel, puzzle: PreparedPuzzle, seen: JobSegment, last: JobSegment | None
) -> SegmentEvent:
    """What clients hear of a segment. last: the one before, if there is one."""
    task, inputs = model.task, puzzle.inputs
    before = seen.answer if last is None or last.start != seen.start else last.answer
    wrong = None
    if task.one_solution and puzzle.solution is not None:
        wrong = _cells((seen.answer != puzzle.solution) & (puzzle.solution != PAD))
    probabilities = None
    if seen.probabilities is not None:
        probabilities = np.nan_to_num(seen.probabilities.astype(np.float64)).round(3).tolist()
    return SegmentEvent(
        segment=seen.segment,
        start=seen.start,
        board=seen.board.tolist(),
        answer=seen.answer.tolist(),
        probabilities=probabilities,
        q_halt=_number(seen.q[0]),
        q_continue=_number(seen.q[1]),
        changed=_cells(seen.answer != before),
        violations=_cells(task.violations(inputs[None], seen.answer[None])[0]),
        wrong=wrong,
        solved=seen.solved,
        decision=seen.decision,
        contradicted=seen.contradicted,
        assumed=seen.assumed.tolist(),
    )


def _cells(mask: Any) -> list[int]:
    return [int(cell) for cell in np.flatnonzero(mask)]
