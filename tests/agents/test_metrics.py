"""Tallies add up over workers, and their summary means what its tags say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrm_rl.agents.tally import SUMS, Tally, sum_over_ranks, summarise

BUDGET = 5


def episodes(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Arguments of `Tally.add_episodes`."""
    random = np.random.default_rng(seed)
    solved = random.random(count) < 0.4
    return {
        "segments": random.integers(1, BUDGET + 1, count),
        "exact": solved & (random.random(count) < 0.9),
        "solved": solved,
        "forced": random.random(count) < 0.3,
        "explored": random.random(count) < 0.2,
        "q": random.standard_normal((count, 2)).astype(np.float32),
    }


def tally_of(arrays: dict[str, np.ndarray], rows: slice = slice(None)) -> Tally:
    """A worker's tally after one update in which these episodes ended."""
    tally = Tally(BUDGET)
    count = len(arrays["segments"][rows])
    tally.add(updates=1, slots=8, loss=2.0 * count, grad_norm=0.5, seconds=0.25)
    tally.add(cells=16 * count, cells_right=10 * count, blanks=8 * count, blanks_right=3 * count)
    if count:
        tally.add_episodes(**{name: array[rows] for name, array in arrays.items()})
    return tally


def summed(*tallies: Tally) -> Tally:
    """What the sum of the workers' vectors says."""
    total = Tally(BUDGET)
    total.load_vector(np.sum([t.vector() for t in tallies], axis=0))
    return total


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 100))
def test_tallies_of_workers_add_up_to_that_of_all_episodes(count: int, cut: int, seed: int) -> None:
    arrays = episodes(count, seed)
    total = summed(tally_of(arrays, slice(None, cut)), tally_of(arrays, slice(cut, None)))
    whole = tally_of(arrays)
    whole.add(updates=1, slots=8, grad_norm=0.5, seconds=0.25)
    assert total.sums == pytest.approx(whole.sums, rel=1e-5, abs=1e-5)
    assert total.halted_after.tolist() == whole.halted_after.tolist()
    assert total.halted_after_solved.tolist() == whole.halted_after_solved.tolist()
    assert summarise(total, 2) == pytest.approx(summarise(whole, 2), rel=1e-5, abs=1e-5)


def test_vector_and_back_is_the_same_tally() -> None:
    tally, other = tally_of(episodes(20)), Tally(BUDGET)
    other.load_vector(tally.vector())
    assert other.sums == tally.sums
    assert other.vector().tolist() == tally.vector().tolist()
    assert len(tally.vector()) == len(SUMS) + 2 * (BUDGET + 1)


def test_a_loaded_tally_does_not_write_into_the_vector_it_came_from() -> None:
    vector = tally_of(episodes(20)).vector()
    before = vector.copy()
    tally = Tally(BUDGET)
    tally.load_vector(vector)
    tally.add_episodes(**episodes(5))
    assert vector.tolist() == before.tolist()


def test_a_cleared_tally_is_a_new_one() -> None:
    tally = tally_of(episodes(20))
    tally.clear()
    assert tally.vector().tolist() == Tally(BUDGET).vector().tolist()
    tally.add_episodes(**episodes(20))
    assert tally.halted_after.tolist() == tally_of(episodes(20)).halted_after.tolist()


def test_a_misspelt_name_is_not_counted_silently() -> None:
    with pytest.raises(KeyError):
        Tally(BUDGET).add(epsiodes=1)


@given(st.integers(1, 50), st.integers(0, 100))
def test_halt_fractions_sum_to_one_and_their_mean_is_the_mean_of_segments(count: int, seed: int) -> None:
    scalars = summarise(tally_of(episodes(count, seed)), 1)
    fractions = [scalars[f"halting/halt_fraction/{k}"] for k in range(1, BUDGET + 1)]
    assert sum(fractions) == pytest.approx(1.0)
    mean = sum(k * share for k, share in enumerate(fractions, start=1))
    assert mean == pytest.approx(scalars["halting/segments_mean"])


def test_summary_means_what_its_tags_say() -> None:
    arrays = episodes(30)
    segments, exact, solved, forced, explored, q = arrays.values()
    scalars = summarise(tally_of(arrays), 1)
    expected = {
        "train/exact_accuracy": exact.mean(),
        "train/solved": solved.mean(),
        "train/cell_accuracy": 10 / 16,
        "train/blank_cell_accuracy": 3 / 8,
        "train/loss": 2.0 * 30 / 8,
        "train/grad_norm": 0.5,
        "halting/segments_mean": segments.mean(),
        "halting/segments_mean/solved": segments[solved].mean(),
        "halting/segments_mean/unsolved": segments[~solved].mean(),
        "halting/forced_fraction": forced.mean(),
        "halting/explored_fraction": explored.mean(),
        "halting/q_halt_mean": q[:, 0].mean(),
        "halting/q_halt_mean/solved": q[solved, 0].mean(),
        "halting/q_halt_mean/unsolved": q[~solved, 0].mean(),
        "halting/q_continue_mean": q[:, 1].mean(),
        "halting/q_halt_accuracy": ((q[:, 0] > 0) == solved).mean(),
        "perf/segments_per_s": 8 / 0.25,
        "perf/puzzles_per_s": 30 / 0.25,
        "perf/update_ms": 250,
    }
    for tag, value in expected.items():
        assert scalars[tag] == pytest.approx(value, rel=1e-5), tag


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_side_by_side_do_as_many_updates_and_more_segments(workers: int) -> None:
    # All count the same wall time, so time adds up over workers and must not be counted double.
    scalars = summarise(summed(*[tally_of(episodes(10))] * workers), workers)
    assert scalars["perf/update_ms"] == pytest.approx(250)
    assert scalars["perf/segments_per_s"] == pytest.approx(workers * 8 / 0.25)
    assert scalars["train/grad_norm"] == pytest.approx(0.5)


def test_rates_of_what_did_not_happen_are_left_out() -> None:
    tally = Tally(BUDGET)
    tally.add(updates=1, slots=8, seconds=0.1)
    assert not [tag for tag in summarise(tally, 1) if tag.startswith("halting") or "accuracy" in tag]
    unsolved = episodes(6) | {"solved": np.zeros(6, bool), "exact": np.zeros(6, bool)}
    scalars = summarise(tally_of(unsolved), 1)
    assert "halting/segments_mean/unsolved" in scalars
    assert "halting/segments_mean/solved" not in scalars


def test_skipped_updates_do_not_thin_out_the_mean_gradient_norm() -> None:
    tally = Tally(BUDGET)
    tally.add(updates=4, skipped_updates=1, slots=8, grad_norm=3 * 0.7)
    assert summarise(tally, 1)["train/grad_norm"] == pytest.approx(0.7)


def test_one_worker_alone_is_its_own_sum() -> None:
    values = np.arange(4.0)
    assert sum_over_ranks(values, torch.device("cpu")).tolist() == values.tolist()


def test_a_continue_value_that_nobody_asks_is_not_reported() -> None:
    tally = tally_of(episodes(20))
    with_it = summarise(tally, 1)
    tally.values_continuing = False
    without = summarise(tally, 1)
    assert set(with_it) - set(without) == {"train/q_continue_loss", "halting/q_continue_mean"}
    assert without.items() <= with_it.items()
