"""The curriculum's bookkeeping: whatever the order, the repetition or the loss of calls, all ranks hear what
one process summing in order would have told them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_rl.config import CurriculumConfig
from hrm_rl.data.curriculum import Counts, CurriculumState, advance
from hrm_rl.distributed.curriculum_actor import Ledger

EVERY = 10
CONFIG = CurriculumConfig(
    stages=("easy=1", "medium=1", "hard=1"), threshold=0.5, window=30, min_updates=20, min_episodes=3
)


def expected_states(counts: list[list[Counts]]) -> list[CurriculumState]:
    """States after each interval when one process adds up all ranks' counts."""
    states = [CurriculumState()]
    for by_rank in counts:
        states.append(advance(states[-1], sum(by_rank, Counts()), CONFIG, EVERY))
    return states


class Rank:
    """A worker as the actor sees it: sends interval k + 1 only after it has heard the answer to k. It is done
    when it has handed in its last interval, whose answer it does not wait for."""

    def __init__(self, number: int, world_size: int, counts: list[list[Counts]]):
        self.number, self.world_size, self.counts = number, world_size, counts
        self.heard = [CurriculumState()]

    @property
    def interval(self) -> int:
        return len(self.heard)

    def call(self, ledger: Ledger, attempt: int) -> None:
        counts = self.counts[self.interval - 1][self.number]
        ledger.hand_in(attempt, self.interval, self.number, self.world_size, counts, self.heard[-1])

    def listen(self, ledger: Ledger, attempt: int) -> None:
        if ledger.answered(attempt, self.interval):
            self.heard.append(ledger.state)

    @property
    def done(self) -> bool:
        return len(self.heard) == len(self.counts)


counts_of_a_run = st.integers(1, 3).flatmap(
    lambda ranks: st.lists(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(0, 2)).map(lambda n: Counts(n[0], sum(n), sum(n))),
            min_size=ranks,
            max_size=ranks,
        ),
        min_size=1,
        max_size=12,
    )
)


@settings(max_examples=150, deadline=None)
@given(counts=counts_of_a_run, data=st.data())
def test_every_rank_hears_the_sum_in_any_order_with_repeated_calls_and_restarted_actors(
    counts: list[list[Counts]], data: st.DataObject
) -> None:
    ranks = [Rank(r, len(counts[0]), counts) for r in range(len(counts[0]))]
    ledger = Ledger(CONFIG, EVERY)
    for _ in range(40 * len(counts)):
        waiting = [r for r in ranks if not r.done]
        if not waiting:
            break
        action = data.draw(st.sampled_from(["call", "call", "call", "listen", "listen", "kill"]))
        rank = data.draw(st.sampled_from(waiting))
        if action == "kill":
            ledger = Ledger(CONFIG, EVERY)
        elif action == "call":
            rank.call(ledger, attempt=1)
        else:
            rank.call(ledger, attempt=1)  # Ray retries a call whose actor has died
            rank.listen(ledger, attempt=1)
    while not all(r.done for r in ranks):  # nobody is killed any more: everyone must get to the end
        before = [len(r.heard) for r in ranks]
        for rank in ranks:
            rank.call(ledger, attempt=1)
        for rank in ranks:
            if not rank.done:
                rank.listen(ledger, attempt=1)
        assert [len(r.heard) for r in ranks] != before, "the ranks wait for each other for ever"
    for rank in ranks:
        assert rank.heard == expected_states(counts)[:-1]


def test_a_new_attempt_drops_half_filled_intervals_and_goes_on_from_its_checkpoint() -> None:
    ledger = Ledger(CONFIG, EVERY)
    start = CurriculumState()
    for rank in (0, 1):
        ledger.hand_in(1, 1, rank, 2, Counts(1, 1, 1), start)
    ledger.hand_in(1, 2, 0, 2, Counts(50, 50, 50), ledger.state)  # rank 1 dies here
    for rank in (0, 1):
        ledger.hand_in(2, 1, rank, 2, Counts(0, 4, 4), start)
    assert ledger.state == advance(start, Counts(0, 8, 8), CONFIG, EVERY)


def test_a_straggler_of_an_old_attempt_changes_nothing_and_does_not_wait() -> None:
    ledger = Ledger(CONFIG, EVERY)
    ledger.hand_in(2, 1, 0, 2, Counts(1, 1, 1), CurriculumState())
    ledger.hand_in(1, 1, 1, 2, Counts(9, 9, 9), CurriculumState())
    assert ledger.state == CurriculumState()
    assert ledger.answered(1, 1)
    assert not ledger.answered(2, 1)
