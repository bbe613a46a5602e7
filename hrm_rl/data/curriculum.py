"""The curriculum as a pure state machine: counts in, stage out.

Workers send what they counted in each interval of `train.log_every` updates; summed over workers that is one
call of `advance`. Who sums, an actor or nobody, is hrm_rl/distributed's business. The actor's process imports
this module and what it imports, which is therefore little.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from hrm_rl.config import CurriculumConfig


@dataclass(frozen=True)
class Counts:
    """Of one interval, or of several added up."""

    right: float = 0.0
    """Answers, or cells, that were right."""
    total: float = 0.0
    """Answers, or cells, that were given."""
    episodes: float = 0.0
    """Episodes that finished."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.total + other.total, self.episodes + other.episodes)


@dataclass(frozen=True)
class CurriculumState:
    """Where the curriculum stands after some interval."""

    stage: int = 0
    interval: int = 0
    """Intervals seen, over the whole run."""
    graduated_at: int = 0
    """Interval at which the present stage began."""
    window: tuple[Counts, ...] = ()
    """Counts of the last intervals, the oldest first; emptied on graduation."""

    @property
    def rolling_accuracy(self) -> float:
        counts = sum(self.window, Counts())
        return counts.right / counts.total if counts.total else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> CurriculumState:
        return CurriculumState(**{**values, "window": tuple(Counts(**c) for c in values["window"])})


def advance(state: CurriculumState, counts: Counts, config: CurriculumConfig, every: int) -> CurriculumState:
    """The state after one more interval of `every` updates with these counts, summed over workers.

    Graduates when the window is full, holds `min_episodes` finished episodes, at least `min_updates` have
    passed since the last graduation, the accuracy over the window reaches `threshold`, and a stage is left.
    """
    length = window_intervals(config, every)
    window = (*state.window, counts)[-length:]
    moved = CurriculumState(state.stage, state.interval + 1, state.graduated_at, window)
    ready = (
        len(window) == length
        and (moved.interval - moved.graduated_at) * every >= config.min_updates
        and sum(c.episodes for c in window) >= config.min_episodes
        and moved.stage + 1 < len(config.stages)
    )
    if ready and moved.rolling_accuracy >= config.threshold:
        return CurriculumState(moved.stage + 1, moved.interval, graduated_at=moved.interval)
    return moved


def window_intervals(config: CurriculumConfig, every: int) -> int:
    """Intervals of `every` updates that the rolling accuracy looks back on."""
    return max(1, -(-config.window // every))


class Curriculum(Protocol):
    """How a worker asks. The answer to an interval is taken one interval later, so that nobody waits."""

    def send(self, interval: int, counts: Counts, known: CurriculumState) -> None:
        """Hand in this worker's counts of interval number `interval` (from 1). known: the last answer."""

    def answer(self) -> CurriculumState:
        """The state after the interval handed in last, the same on all workers."""

    def resume(self, state: CurriculumState) -> None:
        """Go on from a checkpoint: `state` is the next answer."""


class LocalCurriculum:
    """The curriculum of a run with one worker, in its own process."""

    def __init__(self, config: CurriculumConfig, every: int):
        self.config = config
        self.every = every
        self._state = CurriculumState()

    def send(self, interval: int, counts: Counts, known: CurriculumState) -> None:
        assert interval == known.interval + 1, "intervals are handed in one after the other"
        self._state = advance(known, counts, self.config, self.every)

    def answer(self) -> CurriculumState:
        return self._state

    def resume(self, state: CurriculumState) -> None:
        self._state = state
