"""The process of the service that speaks HTTP under Ray Serve, and how it has replicas think.

It runs the application of hrm_rl/serving/app.py, whose backend hands jobs to replicas (thinker.py). Serve
chooses the replica with the least to do, says when one has died, and starts another. Knows no torch.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from starlette.datastructures import Headers

from hrm_rl.serving.app import create_app
from hrm_rl.serving.gate import GIVEN_ID
from hrm_rl.serving.jobs import BackendError, Job, JobResult, JobSegment, ServedModel
from hrm_rl.serving.settings import ServingSettings
from hrm_rl.utils.errors import one_line

TRIES = 2
"""Replicas that jobs are given to before they count as failed: one may die."""
COUNT_SECONDS = 2.0
"""What the replicas may take to say how many slots are in use."""
SHORT_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
"""Ids that come with requests and may be in answers and in the log."""
MOST_LINES = 10_000
"""Lines of the log that wait to be fetched; the oldest go first."""


class RayBackend:
    """A `Backend` (hrm_rl/serving/jobs.py) whose jobs run in replicas."""

    def __init__(self, thinkers: DeploymentHandle, models: Sequence[ServedModel], slots: int, replicas: int):
        """thinkers: of Thinker.  slots: of each of the replicas."""
        self._thinkers = thinkers
        self._solve = thinkers.options(method_name="solve")
        self._stream = thinkers.options(method_name="stream", stream=True)
        self._models = models
        self._slots = slots * replicas
        self._replicas = replicas

    @property
    def models(self) -> Sequence[ServedModel]:
        """The first one is the default."""
        return self._models

    @property
    def slots(self) -> int:
        return self._slots

    async def start(self) -> None:
        """Serve has the replicas ready before it lets a request through."""

    async def solve(self, jobs: Sequence[Job]) -> list[JobResult]:
        """As in `Backend`. The replicas share many jobs; those of one that dies go to another, once."""
        size = -(-len(jobs) // self._replicas)
        parts = [jobs[first : first + size] for first in range(0, len(jobs), size)]
        calls = [asyncio.ensure_future(self._by_one(part)) for part in parts]
        try:
            return [result for part in await asyncio.gather(*calls) for result in part]
        finally:
            for call in calls:
                call.cancel()

    async def _by_one(self, jobs: Sequence[Job]) -> list[JobResult]:
        for left in reversed(range(TRIES)):
            response = self._solve.remote(jobs)
            try:
                results: list[JobResult] = await response
                return results
            except RayActorError as error:
                if not left:
                    raise _failed(error) from None
            except (RayError, RayServeException) as error:
                raise _failed(error) from None
            finally:
                response.cancel()  # in vain if it has ended
        raise AssertionError("a loop of no tries")

    async def stream(self, job: Job) -> AsyncIterator[JobSegment | JobResult]:
        """As in `Backend`. What a replica had begun when it died is not begun anew: its segments are out."""
        response: Any = self._stream.remote(job)
        try:
            async for news in response:
                yield news
        except (RayError, RayServeException) as error:
            raise _failed(error) from None
        finally:
            response.cancel()

    async def slots_in_use(self) -> int:
        """As in `Backend`, as far as the replicas answer: one that has just died has none in use."""
        counts: list[Any] = []
        with suppress(TimeoutError, RayError, RayServeException):
            response = self._thinkers.broadcast("slots_in_use")
            counts = await response.results_async(timeout_s=COUNT_SECONDS, return_exceptions=True)
        return sum(count for count in counts if isinstance(count, int))

    async def close(self) -> None:
        """The replicas end with Serve."""


def _failed(error: Exception) -> BackendError:
    if isinstance(error, RayTaskError):  # it was raised in the replica, whose log has the rest
        error = error.cause
    if isinstance(error, BackendError):
        return BackendError(*error.args)
    return BackendError(f"{type(error).__name__}: {one_line(error, 1000)}")


class ProxyIds:
    """Has an application name requests as Serve's proxy does, which adds its own id, or one that the client
    has chosen, to every answer."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = Headers(scope=scope).get("x-request-id", "")
            if SHORT_ID.fullmatch(given):
                scope[GIVEN_ID] = given
        await self._app(scope, receive, send)


class KeptLines(logging.Handler):
    """Lines of a log, until they are fetched."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    def fetch(self) -> list[str]:
        """Those that nobody has fetched yet."""
        return [self._lines.popleft() for _ in range(len(self._lines))]


@serve.ingress()
class Front:
    """What Ray Serve runs one of."""

    def __init__(
        self,
        thinkers: DeploymentHandle,
        models: Sequence[ServedModel],
        settings: ServingSettings,
        slots: int,
        replicas: int,
    ):
        self._app = create_app(RayBackend(thinkers, models, slots, replicas), settings)
        self._lines = KeptLines()
        log = logging.getLogger("hrm_rl.serving")
        log.addHandler(self._lines)
        log.setLevel(logging.INFO)
        log.propagate = False

    def __serve_build_asgi_app__(self) -> Any:
        """What Serve calls with every request."""
        return ProxyIds(self._app)

    async def lines(self) -> list[str]:
        """Of the log of requests, those since the last call."""
        return self._lines.fetch()

    async def drain(self, seconds: float) -> int:
        """Take no new requests, let those that run go on for so long, and end those that are left then.
        Returns how many these were."""
        left: int = await self._app.state.service.drained(seconds)
        return left
