"""The engine: models in this process, whose slots all requests share (continuous batching).

One thread thinks. Between two segments it lets jobs that are done go, forgets those that nobody waits for any
more, and takes new ones in, so that an easy puzzle leaves early and a hard one holds nobody up. The event
loop only hands jobs over and waits.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.jobs import ENDINGS, BackendError, Job, JobResult, JobSegment, ServedModel
from hrm_rl.serving.lanes import Lane, SearchingLane, ThinkingLane
from hrm_rl.serving.served import served_model

log = logging.getLogger(__name__)

News = JobSegment | JobResult | BackendError


@dataclass(eq=False)
class _Ticket:
    """A job, and who waits for it."""

    job: Job
    number: int
    loop: asyncio.AbstractEventLoop
    news: asyncio.Queue[News] = field(default_factory=asyncio.Queue)
    """What the waiter has not taken yet; filled on its loop."""
    left: bool = False
    """Nobody waits any more."""
    came: float = field(default_factory=time.monotonic)
    began: float = 0.0
    q: list[tuple[float, float | None]] = field(default_factory=list)


class LocalBackend:
    """A `Backend` (hrm_rl/serving/jobs.py) that thinks in this process."""

    def __init__(self, models: Sequence[LoadedModel], slots: int = 64):
        """models: on the device that they are to think on.  slots: puzzles thought about at a time, those of
        all models together."""
        if not models or slots < 1:
            raise ValueError("a backend needs a model and a slot")
        self._models = [served_model(loaded) for loaded in models]
        self._slots = slots
        self._loaded = dict(zip([model.name for model in self._models], models, strict=True))
        self._lanes: dict[tuple[str, bool], Lane] = {}
        self._running: dict[tuple[str, bool], dict[int, _Ticket]] = {}
        self._waiting: deque[_Ticket] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._beat = 0.0
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    @property
    def models(self) -> Sequence[ServedModel]:
        """The first one is the default."""
        return self._models

    @property
    def slots(self) -> int:
        return self._slots

    async def start(self) -> None:
        """Begin to think. Safe to call twice."""
        if self._thread is None:
            for loaded in self._loaded.values():
                loaded.model.eval()
            self._thread = threading.Thread(target=self._think, name="engine", daemon=True)
            self._thread.start()

    async def solve(self, jobs: Sequence[Job]) -> list[JobResult]:
        """As in `Backend`."""
        tickets = [self._ticket(job) for job in jobs]
        self._hand_over(tickets)
        try:
            return [await _result(ticket) for ticket in tickets]
        finally:
            self._leave(tickets)

    async def stream(self, job: Job) -> AsyncIterator[JobSegment | JobResult]:
        """As in `Backend`."""
        ticket = self._ticket(job)
        self._hand_over([ticket])
        try:
            while True:
                news = await ticket.news.get()
                if isinstance(news, BackendError):
                    raise news
                yield news
                if isinstance(news, JobResult):
                    return
        finally:
            self._leave([ticket])

    async def slots_in_use(self) -> int:
        return sum(len(tickets) for tickets in list(self._running.values()))

    def stalled(self) -> float:
        """Seconds for which jobs have waited for a segment to end; 0 if there are none."""
        with self._changed:
            return time.monotonic() - self._beat if self._busy() else 0.0

    async def close(self) -> None:
        """Stop thinking; jobs that run or wait fail."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _ticket(self, job: Job) -> _Ticket:
        if job.model not in self._loaded:
            raise BackendError(f"no model {job.model}")
        return _Ticket(job, next(self._numbers), asyncio.get_running_loop())

    def _hand_over(self, tickets: Sequence[_Ticket]) -> None:
        with self._changed:
            if self._closed:
                raise BackendError("the engine has stopped")
            if not self._busy():
                self._beat = time.monotonic()
            self._waiting.extend(tickets)
            self._changed.notify()

    def _busy(self) -> bool:
        return bool(self._waiting) or any(self._running.values())

    def _leave(self, tickets: Sequence[_Ticket]) -> None:
        for ticket in tickets:
            ticket.left = True

    # From here on, in the engine's thread.

    def _think(self) -> None:
        """Segment after segment, until closed."""
        while True:
            with self._changed:
                while not self._closed and not self._busy():
                    self._changed.wait()
                self._beat = time.monotonic()
                if self._closed:
                    break
                self._forget()
                entering = self._admit()
            post = _Post()
            for key in entering.keys() | self._running.keys():
                try:
                    self._round(key, entering.get(key, []), post)
                except Exception as error:
                    log.exception("the engine failed in a segment of %s", key[0])
                    self._fail(key, BackendError(f"{type(error).__name__}: {error}"), post)
            post.send()
        post = _Post()
        for ticket in [*self._waiting, *(t for tickets in self._running.values() for t in tickets.values())]:
            post.put(ticket, BackendError("the engine has stopped"))
        self._waiting.clear()
        self._running.clear()
        post.send()

    def _forget(self) -> None:
        """Free the slots of jobs that nobody waits for."""
        for key, tickets in self._running.items():
            left = [number for number, ticket in tickets.items() if ticket.left]
            if left:
                self._lanes[key].leave(left)
                for number in left:
                    del tickets[number]

    def _admit(self) -> dict[tuple[str, bool], list[_Ticket]]:
        """Those of the queue for whom there is a slot, by lane; first come, first served."""
        entering: dict[tuple[str, bool], list[_Ticket]] = {}
        free = self._slots - sum(map(len, self._running.values()))
        while self._waiting and free > 0:
            ticket = self._waiting.popleft()
            if ticket.left:
                continue
            ticket.began = time.monotonic()
            entering.setdefault((ticket.job.model, ticket.job.mode == "search"), []).append(ticket)
            free -= 1
        for key, tickets in entering.items():
            self._running.setdefault(key, {}).update({ticket.number: ticket for ticket in tickets})
        return entering

    def _round(self, key: tuple[str, bool], entering: Sequence[_Ticket], post: _Post) -> None:
        """One segment of a lane, and what its jobs hear of it."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._lane(key)
        if entering:
            lane.enter({ticket.number: ticket.job for ticket in entering})
        tickets, ended = self._running[key], []
        for number, seen in lane.think().items():
            ticket = tickets[number]
            ticket.q.append(seen.q)
            if ticket.job.detailed:
                post.put(ticket, seen)
            if seen.decision in ENDINGS:
                ended.append(number)
                post.put(ticket, _ended(ticket, seen))
        if ended:
            lane.leave(ended)
            for number in ended:
                del tickets[number]

    def _lane(self, key: tuple[str, bool]) -> Lane:
        loaded = self._loaded[key[0]]
        if key[1]:
            return SearchingLane(loaded.solver, loaded.config)
        return ThinkingLane(loaded.solver)

    def _fail(self, key: tuple[str, bool], error: BackendError, post: _Post) -> None:
        """End all jobs of a lane, and the lane."""
        for ticket in self._running.pop(key, {}).values():
            post.put(ticket, error)
        self._lanes.pop(key, None)


class _Post:
    """What waiters are to hear, sent to each event loop at once: a call into a loop costs more than a job's
    news."""

    def __init__(self) -> None:
        self._letters: dict[asyncio.AbstractEventLoop, list[tuple[_Ticket, News]]] = {}

    def put(self, ticket: _Ticket, news: News) -> None:
        self._letters.setdefault(ticket.loop, []).append((ticket, news))

    def send(self) -> None:
        for loop, letters in self._letters.items():
            try:
                loop.call_soon_threadsafe(_deliver, letters)
            except RuntimeError:  # the loop is closed: nobody waits there
                for ticket, _ in letters:
                    ticket.left = True


def _deliver(letters: Sequence[tuple[_Ticket, News]]) -> None:
    for ticket, news in letters:
        ticket.news.put_nowait(news)


def _ended(ticket: _Ticket, seen: JobSegment) -> JobResult:
    return JobResult(
        answer=seen.answer,
        solved=seen.solved,
        segments=seen.segment,
        starts=seen.start,
        decision=seen.decision,
        q=ticket.q,
        queued=ticket.began - ticket.came,
        seconds=time.monotonic() - ticket.began,
    )


async def _result(ticket: _Ticket) -> JobResult:
    while True:
        news = await ticket.news.get()
        if isinstance(news, BackendError):
            raise news
        if isinstance(news, JobResult):
            return news
