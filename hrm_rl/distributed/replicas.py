"""The service under Ray Serve: a front that speaks HTTP, and replicas that think.

The front is one process with the application of hrm_rl/serving/app.py. Its backend hands jobs to the
thinkers, each of which has all models behind an engine of its own. Serve chooses the one with the least to
do, and starts another when one has died or does not get on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve import Application
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.app import create_app
from hrm_rl.serving.engine import LocalBackend
from hrm_rl.serving.jobs import BackendError, Job, JobResult, JobSegment, ServedModel
from hrm_rl.serving.settings import ServingSettings
from hrm_rl.utils.devices import choose_device, use_threads
from hrm_rl.utils.errors import one_line

UNLIMITED = 1_000_000
"""Requests that Serve lets through to a process at a time: the application has the limits."""
TRIES = 2
"""Replicas that jobs are given to before they count as failed: one may die."""
COUNT_SECONDS = 2.0
"""What the replicas may take to say how many slots are in use."""
HEALTH_EVERY, HEALTH_SECONDS = 2.0, 20.0
"""Seconds between two questions whether a replica is well, and what it may take for the answer."""
STALLED_SECONDS = 120.0
"""A segment that takes longer has come to nothing: the replica is replaced."""
LEAVE_SECONDS = 2.0
"""What a replica may take to end."""


class Thinker:
    """A replica: all models behind one engine."""

    def __init__(self, models: ray.ObjectRef[Any], names: Sequence[str], slots: int, gpus: float):
        """models: a reference to a list of LoadedModel.  gpus: of this replica."""
        use_threads(1)
        loaded: Sequence[LoadedModel] = ray.get(models)
        device = choose_device("cuda" if gpus else "cpu")
        for model in loaded:
            model.model.to(device)
        self._engine = LocalBackend(loaded, slots, names)

    async def solve(self, jobs: Sequence[Job]) -> list[JobResult]:
        """As in `Backend`."""
        await self._engine.start()
        return await self._engine.solve(jobs)

    async def stream(self, job: Job) -> AsyncIterator[JobSegment | JobResult]:
        """As in `Backend`."""
        await self._engine.start()
        async for news in self._engine.stream(job):
            yield news

    async def slots_in_use(self) -> int:
        """As in `Backend`."""
        return await self._engine.slots_in_use()

    async def check_health(self) -> None:
        """Serve asks every HEALTH_EVERY seconds, and replaces a replica for which this raises."""
        if self._engine.stalled() > STALLED_SECONDS:
            raise RuntimeError(f"no segment has ended for {STALLED_SECONDS:g} s")


class RayBackend:
    """A `Backend` (hrm_rl/serving/jobs.py) whose jobs run in `Thinker`s."""

    def __init__(self, thinkers: DeploymentHandle, models: Sequence[ServedModel], slots: int, replicas: int):
        """slots: of each replica."""
        self._thinkers = thinkers
        self._solve = thinkers.options(method_name="solve")
        self._stream = thinkers.options(method_name="stream", stream=True)
        self._models = models
        self._slots = slots * replicas
        self._replicas = replicas

    @property
    def models(self) -> Sequence[ServedModel]:
        return self._models

    @property
    def slots(self) -> int:
        return self._slots

    async def start(self) -> None:
        """Serve has the replicas ready before it lets a request through."""

    async def solve(self, jobs: Sequence[Job]) -> list[JobResult]:
        """As in `Backend`. The replicas share many jobs; those of one that dies go to another, once."""
        if len(jobs) == 1:
            return await self._by_one(jobs)
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
        with suppress(TimeoutError):
            response = self._thinkers.broadcast("slots_in_use")
            counts = await response.results_async(timeout_s=COUNT_SECONDS, return_exceptions=True)
        return sum(count for count in counts if isinstance(count, int))

    async def close(self) -> None:
        """The replicas end with Serve."""


def _failed(error: Exception) -> BackendError:
    return BackendError(f"{type(error).__name__}: {one_line(error, 1000)}")


class Counted:
    """An ASGI application that knows how many requests it is at."""

    def __init__(self, app: Any):
        self.app = app
        self.running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        counts = scope["type"] == "http"
        self.running += counts
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= counts


@serve.ingress()
class Front:
    """The process that speaks HTTP."""

    def __init__(
        self,
        thinkers: DeploymentHandle,
        models: Sequence[ServedModel],
        settings: ServingSettings,
        slots: int,
        replicas: int,
    ):
        self._app = Counted(create_app(RayBackend(thinkers, models, slots, replicas), settings))

    def __serve_build_asgi_app__(self) -> Counted:
        """What Serve calls with every request."""
        return self._app

    async def drain(self, seconds: float) -> int:
        """Take no new requests, and wait for those that run. Returns how many are left after `seconds`."""
        self._app.app.state.stopping = True
        end = time.monotonic() + seconds
        while self._app.running and time.monotonic() < end:
            await asyncio.sleep(0.05)
        return self._app.running


def application(
    models: Sequence[LoadedModel],
    served: Sequence[ServedModel],
    settings: ServingSettings,
    replicas: int,
    gpus_per_replica: float,
    slots: int,
) -> Application:
    """What Serve is to run. models: on the CPU.  slots: of each replica."""
    logs = LoggingConfig(enable_access_log=False, log_level="WARNING")
    common: dict[str, Any] = {
        "max_ongoing_requests": UNLIMITED,
        "health_check_period_s": HEALTH_EVERY,
        "health_check_timeout_s": HEALTH_SECONDS,
        "graceful_shutdown_wait_loop_s": 0.1,
        "graceful_shutdown_timeout_s": LEAVE_SECONDS,
        "max_constructor_retry_count": TRIES,
        "logging_config": logs,
    }
    resources = {"num_cpus": 1, "num_gpus": gpus_per_replica}
    thinker: Any = serve.deployment(Thinker, num_replicas=replicas, ray_actor_options=resources, **common)
    front: Any = serve.deployment(Front, ray_actor_options={"num_cpus": 0}, **common)
    # By reference: Serve keeps what its processes are made with in the cluster's own table, which is for
    # small things.
    names = [model.name for model in served]
    thinkers = thinker.bind(ray.put(list(models)), names, slots, gpus_per_replica)
    app: Application = front.bind(thinkers, list(served), settings, slots, replicas)
    return app
