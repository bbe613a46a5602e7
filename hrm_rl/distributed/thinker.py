"""A replica of the service that thinks: all models behind one engine (hrm_rl/serving/engine.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import ray

from hrm_rl.runs.loading import LoadedModel
from hrm_rl.serving.engine import LocalBackend
from hrm_rl.serving.jobs import Job, JobResult, JobSegment
from hrm_rl.utils.devices import choose_device, use_threads

STALLED_SECONDS = 120.0
"""A segment that takes longer has come to nothing."""


class Thinker:
    """What Ray Serve runs several of."""

    def __init__(self, models: ray.ObjectRef[Any], slots: int, gpus: float):
        """models: a reference to a list of LoadedModel.  gpus: of this replica."""
        use_threads(1)
        loaded: Sequence[LoadedModel] = ray.get(models)
        device = choose_device("cuda" if gpus else "cpu")
        self._engine = LocalBackend([model.on(device) for model in loaded], slots)

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
        """Serve asks again and again, and replaces a replica for which this raises."""
        if self._engine.stalled() > STALLED_SECONDS:
            raise RuntimeError(f"no segment has ended for {STALLED_SECONDS:g} s")
