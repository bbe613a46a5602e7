"""The curriculum of a run with several workers: an actor adds up what they count.

Every worker sends its counts of an interval and takes the answer one interval later, so nobody waits and all
switch at the same update. The actor may die at any time: every call carries the state its worker last heard,
so a restarted actor, which has forgotten everything, knows it again with the first call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ray

from hrm_rl.data.curriculum import Counts, CurriculumState, advance

if TYPE_CHECKING:
    from hrm_rl.config import CurriculumConfig


class Ledger:
    """What the actor does, without Ray: collects the counts of an interval until all ranks' are in."""

    def __init__(self, config: CurriculumConfig, every: int):
        self.config = config
        self.every = every
        self.attempt = -1
        self.state = CurriculumState()
        self.inbox: dict[int, Counts] = {}
        """Counts of interval `state.interval + 1`, by rank; handing in twice changes nothing."""

    def hand_in(
        self, attempt: int, interval: int, rank: int, world_size: int, counts: Counts, known: CurriculumState
    ) -> None:
        """Take one rank's counts. A later attempt, or a caller that knows more than this ledger (which then
        is that of a restarted actor), replaces what is here."""
        if attempt < self.attempt:
            return
        if attempt > self.attempt or known.interval > self.state.interval:
            self.attempt, self.state, self.inbox = attempt, known, {}
        if interval != self.state.interval + 1:
            return
        self.inbox[rank] = counts
        if len(self.inbox) == world_size:
            total = sum((self.inbox[r] for r in sorted(self.inbox)), Counts())
            self.state, self.inbox = advance(self.state, total, self.config, self.every), {}

    def answered(self, attempt: int, interval: int) -> bool:
        """Whether the state after `interval` is known, or the asker belongs to an attempt that is over."""
        return attempt < self.attempt or self.state.interval >= interval


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class CurriculumActor:
    """`Ledger` behind calls that wait for the other ranks."""

    def __init__(self, config: CurriculumConfig, every: int):
        self.ledger = Ledger(config, every)
        self.changed = asyncio.Condition()

    async def update(
        self, attempt: int, interval: int, rank: int, world_size: int, counts: Counts, known: CurriculumState
    ) -> CurriculumState:
        """The state after `interval`, once all ranks have handed it in."""
        async with self.changed:
            self.ledger.hand_in(attempt, interval, rank, world_size, counts, known)
            self.changed.notify_all()
            await self.changed.wait_for(lambda: self.ledger.answered(attempt, interval))
            return self.ledger.state


class ActorCurriculum:
    """`hrm_rl.data.curriculum.Curriculum` of one worker, spoken through the actor."""

    def __init__(self, actor: Any, attempt: int, rank: int, world_size: int):
        """attempt: a number that grows with every restart of the worker group, the same on all ranks."""
        self.actor = actor
        self.attempt = attempt
        self.rank = rank
        self.world_size = world_size
        self._state = CurriculumState()
        self._pending: Any = None

    def send(self, interval: int, counts: Counts, known: CurriculumState) -> None:
        self._pending = self.actor.update.remote(
            self.attempt, interval, self.rank, self.world_size, counts, known
        )

    def answer(self) -> CurriculumState:
        if self._pending is not None:
            self._state, self._pending = ray.get(self._pending), None
        return self._state

    def resume(self, state: CurriculumState) -> None:
        self._state, self._pending = state, None
