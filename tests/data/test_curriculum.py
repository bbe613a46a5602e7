"""The curriculum as a state machine: when it moves on, and that nothing else makes it."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_rl.agents.tally import Tally
from hrm_rl.config import CurriculumConfig
from hrm_rl.data.curriculum import (
    Counts,
    CurriculumState,
    LocalCurriculum,
    advance,
    window_intervals,
)
from hrm_rl.training.loop import counts_of

EVERY = 5


def config(**changes: object) -> CurriculumConfig:
    settings = {
        "stages": ("easy=1", "easy=1,hard=1", "hard=1"),
        "threshold": 0.8,
        "window": 15,
        "min_updates": 0,
        "min_episodes": 1,
    }
    return CurriculumConfig.model_validate(settings | changes)


def interval(right: float, total: float = 10) -> Counts:
    return Counts(right, total, episodes=total)


def play(counts: list[Counts], settings: CurriculumConfig) -> list[CurriculumState]:
    """The states after each interval, with the first one before them."""
    states = [CurriculumState()]
    for c in counts:
        states.append(advance(states[-1], c, settings, EVERY))
    return states


some_counts = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda c: Counts(min(c), max(c), max(c))),
    max_size=30,
)
some_config = st.builds(
    lambda threshold, window, updates, episodes: config(
        threshold=threshold, window=window, min_updates=updates, min_episodes=episodes
    ),
    st.floats(0, 1),
    st.integers(1, 40),
    st.integers(0, 40),
    st.integers(1, 40),
)


@given(some_counts, some_config)
def test_graduates_exactly_when_all_conditions_hold(counts: list[Counts], settings: CurriculumConfig) -> None:
    length = -(-settings.window // EVERY)
    states = play(counts, settings)
    began = 0
    for i, (before, after) in enumerate(pairwise(states), start=1):
        seen = counts[max(began, i - length) : i]
        right, total = sum(c.right for c in seen), sum(c.total for c in seen)
        graduates = (
            len(seen) == length
            and (i - began) * EVERY >= settings.min_updates
            and sum(c.episodes for c in seen) >= settings.min_episodes
            and (right / total if total else 0.0) >= settings.threshold
            and before.stage < 2
        )
        assert after.stage == before.stage + graduates
        assert after.interval == i
        if graduates:
            began = i
            assert (after.window, after.graduated_at) == ((), i)
        else:
            assert after.window == tuple(seen)


@given(some_counts, some_config)
def test_stages_are_never_skipped_left_backwards_or_passed(
    counts: list[Counts], settings: CurriculumConfig
) -> None:
    stages = [state.stage for state in play(counts, settings)]
    assert all(after - before in (0, 1) for before, after in pairwise(stages))
    assert max(stages) <= 2


def test_graduates_at_the_threshold_and_not_below_it() -> None:
    assert play([interval(8)] * 3, config())[-1].stage == 1
    assert play([interval(8), interval(8), interval(7)], config())[-1].stage == 0


def test_accuracy_is_of_all_episodes_in_the_window_not_a_mean_of_means() -> None:
    state = play([Counts(0, 1, 1), Counts(90, 99, 99), Counts(0, 0, 0)], config(threshold=0.95))[-1]
    assert state.rolling_accuracy == pytest.approx(0.9)


def test_one_good_window_is_enough_after_bad_ones() -> None:
    states = play([interval(0)] * 5 + [interval(10)] * 3, config(threshold=1.0))
    assert [s.stage for s in states[-3:]] == [0, 0, 1]


def test_never_graduates_before_the_window_is_full() -> None:
    assert [s.stage for s in play([interval(10)] * 3, config())] == [0, 0, 0, 1]


def test_never_graduates_before_min_updates_in_every_stage() -> None:
    states = play([interval(10)] * 12, config(min_updates=25))
    assert [s.stage for s in states].index(1) == 5
    assert [s.stage for s in states].index(2) == 10


def test_never_graduates_on_fewer_episodes_than_asked_for() -> None:
    assert play([interval(10)] * 9, config(min_episodes=31))[-1].stage == 0
    assert play([interval(10)] * 9, config(min_episodes=30))[-1].stage == 2


def test_an_interval_without_episodes_does_not_graduate() -> None:
    assert play([Counts()] * 5, config(threshold=0.1))[-1].stage == 0


def test_window_is_emptied_so_that_old_successes_do_not_count_in_the_new_stage() -> None:
    states = play([interval(10)] * 3 + [interval(0)] * 2 + [interval(10)], config(threshold=0.3))
    assert [s.stage for s in states] == [0, 0, 0, 1, 1, 1, 2]
    assert states[4].rolling_accuracy == 0


def test_last_stage_is_never_left() -> None:
    assert play([interval(10)] * 50, config())[-1].stage == 2
    assert play([interval(10)] * 50, config(stages=("easy=1",)))[-1].stage == 0


@pytest.mark.parametrize(("window", "every", "intervals"), [(15, 5, 3), (16, 5, 4), (1, 5, 1), (5, 5, 1)])
def test_window_covers_at_least_the_updates_asked_for(window: int, every: int, intervals: int) -> None:
    assert window_intervals(config(window=window), every) == intervals


@given(some_counts, some_config)
def test_a_state_survives_json_and_goes_on_alike(counts: list[Counts], settings: CurriculumConfig) -> None:
    state = play(counts, settings)[-1]
    stored = CurriculumState.from_json(json.loads(json.dumps(state.to_json())))
    assert stored == state
    assert advance(stored, interval(3), settings, EVERY) == advance(state, interval(3), settings, EVERY)


@given(some_counts)
def test_counts_of_workers_add_up(counts: list[Counts]) -> None:
    total = sum(counts, Counts())
    assert total == Counts(*(sum(getattr(c, f) for c in counts) for f in ("right", "total", "episodes")))


@pytest.mark.parametrize(
    ("metric", "right", "total"),
    [("exact", 3, 5), ("solved", 4, 5), ("blank_cells", 20, 32), ("cells", 50, 64)],
)
def test_each_metric_counts_what_its_name_says(metric: str, right: int, total: int) -> None:
    tally = Tally(3)
    tally.add(episodes=5, exact=3, solved=4, blanks=32, blanks_right=20, cells=64, cells_right=50)
    assert counts_of(tally, config(metric=metric)) == Counts(right, total, episodes=5)


def test_local_curriculum_answers_with_the_state_after_the_interval_before() -> None:
    settings = config(window=5)
    curriculum = LocalCurriculum(settings, EVERY)
    known = curriculum.answer()
    assert known == CurriculumState()
    heard = []
    for i in range(1, 4):
        known = curriculum.answer()
        heard.append(known.interval)
        curriculum.send(i, interval(10), known)
    assert heard == [0, 1, 2]
    assert curriculum.answer() == play([interval(10)] * 3, settings)[-1]
    assert curriculum.answer().stage == 2


def test_local_curriculum_goes_on_from_a_checkpoint() -> None:
    settings, stored = config(), play([interval(10)] * 2, config())[-1]
    curriculum = LocalCurriculum(settings, EVERY)
    curriculum.resume(stored)
    assert curriculum.answer() == stored
    curriculum.send(3, interval(10), stored)
    assert curriculum.answer().stage == 1


def test_stages_are_weights_by_level() -> None:
    assert config().weights(1) == {"easy": 1.0, "hard": 1.0}
    assert config(stages=("easy=0.7, hard=.3",)).weights(0) == {"easy": 0.7, "hard": 0.3}
